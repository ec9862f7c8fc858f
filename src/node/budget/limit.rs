//! How much memory the node may take: what the user says, else what suits the board; in any case no more than the control
//! group lets it have.

use std::{
    fmt,
    fs::read_to_string,
    path::{Path, PathBuf},
    str::FromStr,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The least that can be asked for: a node of a small test network takes half of that. Mainnet needs ten times as much.
const MIN_LIMIT: u64 = 64 * MIB;
/// Boards up to this size get [`SMALL_BOARD_LIMIT`].
const SMALL_BOARD: u64 = 2 * GIB;
/// What the node was built for. On such a board something else, an execution client as a rule, needs the rest.
const SMALL_BOARD_LIMIT: u64 = GIB;
/// Elsewhere: twice as many states in memory, so that re-orgs and old states asked for over the API hardly ever need a replay.
/// More would help nobody, and an execution client on the same board can use all that it gets.
const DEFAULT_LIMIT: u64 = 2 * GIB;
/// Files of control groups say "no limit" in numbers that no board has.
const NO_LIMIT: u64 = 1 << 60;

/// A number of bytes, such as `1GiB`, `768MiB` or `1.5G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// Why a limit is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not a number of bytes.
    #[error("\"{0}\" is no amount of memory; write it like 1GiB, 1.5GiB or 768MiB")]
    Malformed(String),
    /// Too little for any chain.
    #[error("{0} is too little: the least is {min}, and mainnet needs some 700 MiB", min = ByteCount(MIN_LIMIT))]
    TooSmall(ByteCount),
}

impl FromStr for ByteCount {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<ByteCount, LimitError> {
        let malformed = || LimitError::Malformed(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => MIB,
            "g" | "gib" => GIB,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            _ => return Err(malformed()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 6 {
            return Err(malformed());
        }
        let whole: u64 = whole.parse().map_err(|_| malformed())?;
        let fraction = fraction.parse::<u64>().map_err(|_| malformed())? * unit / 10u64.pow(fraction.len() as u32);
        let bytes = whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(fraction)).ok_or_else(malformed)?;
        Ok(ByteCount(bytes))
    }
}

impl fmt::Display for ByteCount {
    /// In MiB.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} MiB", self.0 / MIB)
    }
}

/// The limit, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes.
    pub bytes: u64,
    /// For the log.
    pub why: &'static str,
}

impl MemoryLimit {
    /// What the user asked for or else what suits this machine; less if the control group allows less.
    ///
    /// # Errors
    /// When what was asked for is too little for any chain.
    pub fn of_machine(asked: Option<ByteCount>) -> Result<MemoryLimit, LimitError> {
        let board = read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
        let group = read_to_string("/proc/self/cgroup").ok();
        let group = group.and_then(|text| group_limit(&text, Path::new("/sys/fs/cgroup")));
        MemoryLimit::choose(asked, board, group)
    }

    /// As [`MemoryLimit::of_machine`], for a board and a control group of so many bytes, where they are known.
    fn choose(asked: Option<ByteCount>, board: Option<u64>, group: Option<u64>) -> Result<MemoryLimit, LimitError> {
        let limit = match (asked, board) {
            (Some(asked), _) if asked.0 < MIN_LIMIT => return Err(LimitError::TooSmall(asked)),
            (Some(asked), _) => MemoryLimit { bytes: asked.0, why: "--memory-limit" },
            (None, Some(board)) if board > SMALL_BOARD => MemoryLimit { bytes: DEFAULT_LIMIT, why: "the default" },
            (None, Some(board)) if board / 4 * 3 < SMALL_BOARD_LIMIT => {
                MemoryLimit { bytes: board / 4 * 3, why: "three quarters of this board's" }
            }
            // Where it can't be seen how much there is, too.
            (None, _) => MemoryLimit { bytes: SMALL_BOARD_LIMIT, why: "the default for a small board" },
        };
        let group = group.filter(|group| *group < limit.bytes);
        Ok(group.map_or(limit, |bytes| MemoryLimit { bytes, why: "the control group's" }))
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_memory(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest limit of the process' control group and those above it, of either version. `membership` is what
/// `/proc/self/cgroup` says, `root` where the groups are mounted. Only reads.
fn group_limit(membership: &str, root: &Path) -> Option<u64> {
    let limits = membership.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (mount, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        lowest(&mount, path, file)
    });
    limits.min()
}

fn lowest(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let group: PathBuf = mount.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|group| group.starts_with(mount));
    // In a container the path may be the host's, of which only the mount itself is there.
    let limits = groups.filter_map(|group| read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok());
    limits.filter(|limit| *limit < NO_LIMIT).min()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn amounts_have_units() {
        let bytes = |text: &str| text.parse::<ByteCount>().map(|count| count.0);
        for (text, expected) in [
            ("1GiB", GIB),
            ("768MiB", 768 * MIB),
            ("1.5g", 3 * GIB / 2),
            (" 900 M ", 900 * MIB),
            ("1000000000", 1_000_000_000),
            ("1GB", 1_000_000_000),
            ("70000kib", 70_000 << 10),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "GiB", "1.GiB", ".5GiB", "-1GiB", "1TiB", "1 2MiB", "1.2.3G", "99999999999GiB", "much"] {
            assert!(bytes(text).is_err_and(|error| error.to_string().contains("1GiB")), "{text}");
        }
    }

    #[test]
    fn small_boards_get_a_gib_and_others_two() {
        let chosen = |board| MemoryLimit::choose(None, board, None).unwrap().bytes;
        assert_eq!(chosen(Some(8 * GIB)), 2 * GIB);
        assert_eq!(chosen(Some(1850 * MIB)), GIB);
        assert_eq!(chosen(Some(900 * MIB)), 675 * MIB);
        assert_eq!(chosen(None), GIB);
    }

    #[test]
    fn what_was_asked_for_counts_unless_the_group_has_less() {
        let asked = |mib: u64, group| MemoryLimit::choose(Some(ByteCount(mib * MIB)), Some(8 * GIB), group);
        assert_eq!(asked(3000, None).unwrap(), MemoryLimit { bytes: 3000 * MIB, why: "--memory-limit" });
        assert_eq!(asked(3000, Some(GIB)).unwrap(), MemoryLimit { bytes: GIB, why: "the control group's" });
        assert_eq!(asked(700, Some(GIB)).unwrap().bytes, 700 * MIB);
        let error = asked(63, None).unwrap_err().to_string();
        assert!(error.contains("63 MiB is too little: the least is 64 MiB"), "{error}");
    }

    #[test]
    fn the_lowest_group_counts_in_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("system.slice/memory.max", "1073741824\n");
        put("system.slice/hornero.service/memory.max", "max\n");
        let two = "0::/system.slice/hornero.service\n";
        assert_eq!(group_limit(two, dir.path()), Some(GIB));
        put("system.slice/hornero.service/memory.max", "536870912\n");
        assert_eq!(group_limit(two, dir.path()), Some(GIB / 2));
        put("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
        let one = "12:cpu,cpuacct:/x\n11:memory:/a\n1:name=systemd:/a\n";
        assert_eq!(group_limit(one, dir.path()), None);
        put("memory/memory.limit_in_bytes", "805306368\n");
        assert_eq!(group_limit(one, dir.path()), Some(768 * MIB));
        // A container sees its own group where it believes the root to be.
        assert_eq!(group_limit("11:memory:/docker/0123\n", dir.path()), Some(768 * MIB));
        assert_eq!(group_limit("nonsense\n", dir.path()), None);
    }

    #[test]
    fn total_memory_is_in_kib() {
        assert_eq!(total_memory("MemTotal:        1894312 kB\nMemFree: 1 kB\n"), Some(1_894_312 << 10));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
    }
}
