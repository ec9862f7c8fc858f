//! A hard limit on one process' memory, by hand: a control group, of version 2 or 1, whichever lets us make one; otherwise
//! `ulimit -v`, which counts what is reserved and never touched too, and so must allow more.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Addresses for each byte of the limit: stacks of threads and the allocator's arenas are reserved, hardly used.
const ADDRESSES: u64 = 2;

pub enum Limit {
    /// A control group's folder.
    Group { folder: PathBuf, version: u8 },
    /// By `ulimit -v`, in KiB.
    Addresses(u64),
}

impl Limit {
    pub fn new(bytes: u64) -> Limit {
        let groups = [
            (Path::new("/sys/fs/cgroup"), "memory.max", 2),
            (Path::new("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", 1),
        ];
        let name = format!("hornero-one-gib-{}", std::process::id());
        for (parent, file, version) in groups {
            let folder = parent.join(&name);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            // In what is no memory controller's folder, making the directory is all that succeeds.
            let limit = Limit::Group { folder: folder.clone(), version };
            if folder.join(file).exists() && fs::write(folder.join(file), bytes.to_string()).is_ok() {
                return limit;
            }
        }
        Limit::Addresses(ADDRESSES * bytes / 1024)
    }

    /// Which one holds, in words.
    pub fn describe(&self) -> String {
        match self {
            Limit::Group { version, .. } => format!("a control group (version {version})"),
            Limit::Addresses(kib) => format!("ulimit -v {kib} only, as no control group can be made here"),
        }
    }

    /// A command that puts itself under the limit and becomes `program`.
    pub fn command(&self, program: &str) -> Command {
        let script = match self {
            Limit::Group { folder, .. } => {
                format!("echo $$ >'{}' && exec \"$0\" \"$@\"", folder.join("cgroup.procs").display())
            }
            Limit::Addresses(kib) => format!("ulimit -v {kib} && exec \"$0\" \"$@\""),
        };
        let mut command = Command::new("sh");
        command.args(["-c", &script, program]);
        command
    }

    /// The most bytes that the group held, page cache included.
    pub fn most(&self) -> Option<u64> {
        let Limit::Group { folder, version } = self else { return None };
        let file = if *version == 2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
    }

    /// Whether the kernel killed for this limit.
    pub fn has_killed(&self) -> bool {
        let Limit::Group { folder, version } = self else { return false };
        let file = if *version == 2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Limit::Group { folder, .. } = self {
            // A group is removed when nothing is in it.
            let _ = fs::remove_dir(folder);
        }
    }
}
