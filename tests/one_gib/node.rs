//! The node as a process: started under the limit, its memory read from the kernel, ended in any case.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use super::limit::Limit;

/// Lines of the log that are kept for a failure's message.
const LOG_LINES: usize = 40;

pub struct Node {
    pub api: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    limit: Limit,
}

/// What the kernel says of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The most that was resident since the last [`Node::forget_peak`].
    pub peak: u64,
    pub resident: u64,
    /// Of it, mapped from files.
    pub files: u64,
    /// Reserved addresses at most.
    pub addresses: u64,
}

impl Node {
    /// Starts it, and waits until its API answers: then it has its checkpoint.
    pub fn start(limit: Limit, arguments: &[&str], patience: Duration) -> Node {
        let mut child = limit
            .command(env!("CARGO_BIN_EXE_hornero"))
            .arg("node")
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = read_log(child.stderr.take().expect("piped"), log.clone());
        let mut node = Node { api: String::new(), child, log, limit };
        match address.recv_timeout(patience) {
            Ok(api) => node.api = api,
            Err(_) => panic!("the node did not come up:\n{}", node.told()),
        }
        node
    }

    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            // Of a process that ended, nothing is left to read.
            number.unwrap_or_else(|| panic!("the node has ended:\n{}", self.told())) * 1024
        };
        Memory { peak: kib("VmHWM:"), resident: kib("VmRSS:"), files: kib("RssFile:"), addresses: kib("VmPeak:") }
    }

    /// Begins a new peak, where the kernel lets us.
    pub fn forget_peak(&self) -> bool {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").is_ok()
    }

    /// The end of its log, for a failure's message.
    pub fn told(&self) -> String {
        let killed =
            if self.limit.has_killed() { "the kernel killed the node: it needed more than the limit\n" } else { "" };
        format!("{killed}{}", self.log.lock().unwrap().join("\n"))
    }

    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Asks for an orderly end and insists on one.
    pub fn stop(mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        let ended = self.child.wait().expect("it ends");
        assert!(killed.success() && ended.success(), "it ended with {ended}:\n{}", self.told());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already ended after `stop`; otherwise the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the log's last lines; sends the API's address when a line tells it. `HORNERO_ONE_GIB_LOG` names a file for all of it.
fn read_log(stderr: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    let mut file = std::env::var_os("HORNERO_ONE_GIB_LOG").map(|path| fs::File::create(Path::new(&path)).unwrap());
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(api) = line.split("API and metrics at ").nth(1) {
                let _ = sender.try_send(api.split(';').next().unwrap_or_default().to_string());
            }
            if let Some(file) = &mut file {
                let _ = std::io::Write::write_all(file, format!("{line}\n").as_bytes());
            }
            let mut log = log.lock().unwrap();
            if log.len() == LOG_LINES {
                log.remove(0);
            }
            log.push(line);
        }
    });
    receiver
}
