//! The binary as a child process, for tests over its sockets.
#![allow(dead_code, reason = "every test program uses its own part of this")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start, a stop or an answer may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker with a data directory of its own. It ends with the value, by its own process id.
pub(crate) struct Broker {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
    settings: Vec<String>,
    /// `CLUSTER_ID`
    cluster: Option<String>,
}

impl Broker {
    pub(crate) fn start() -> Broker {
        Broker::with(&[])
    }

    /// A broker with settings as `--set` takes them; what begins with `--` is an option.
    pub(crate) fn with(settings: &[&str]) -> Broker {
        Broker::new(free_port(), tempfile::tempdir().unwrap(), settings)
    }

    /// A broker on a port that the caller chose, because a setting names it: with `listeners` among them, that is
    /// where it listens.
    pub(crate) fn on(port: u16, settings: &[&str]) -> Broker {
        Broker::new(port, tempfile::tempdir().unwrap(), settings)
    }

    /// A broker in a directory that the caller made, because a setting names it: with `log.dirs` among them, that
    /// is where the data is.
    pub(crate) fn within(dir: tempfile::TempDir, settings: &[&str]) -> Broker {
        Broker::new(free_port(), dir, settings)
    }

    fn new(port: u16, dir: tempfile::TempDir, settings: &[&str]) -> Broker {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut broker = Broker::spawned(port, dir, settings, None);
        broker.wait_until_it_answers();
        broker
    }

    fn spawned(port: u16, dir: tempfile::TempDir, settings: Vec<String>, cluster: Option<String>) -> Broker {
        let child = spawn(dir.path(), port, &settings, cluster.as_deref());
        Broker { child, port, dir, settings, cluster }
    }

    /// The nodes of a cluster, each with its port and settings: none answers before most are there.
    pub(crate) fn together(cluster_id: &str, nodes: Vec<(u16, Vec<String>)>) -> Vec<Broker> {
        let spawned = |(port, settings): (u16, Vec<String>)| {
            Broker::spawned(port, tempfile::tempdir().unwrap(), settings, Some(cluster_id.to_owned()))
        };
        let mut brokers: Vec<Broker> = nodes.into_iter().map(spawned).collect();
        brokers.iter_mut().for_each(Broker::wait_until_it_answers);
        brokers
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
        1024 * line.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or_else(|| panic!("the broker is gone"))
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// kill -9: nothing of the process runs again.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and an exit with code 0.
    pub(crate) fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the broker did not stop within {PATIENCE:?} of SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(self.child.wait().unwrap().success(), "the broker ended with an error after SIGTERM");
    }

    /// Starts again on the same directory and port, after `kill` or `stop`.
    pub(crate) fn start_again(&mut self) {
        self.begin_again();
        self.wait_until_it_answers();
    }

    /// As `start_again`, but does not wait.
    pub(crate) fn begin_again(&mut self) {
        self.child = spawn(self.dir.path(), self.port, &self.settings, self.cluster.as_deref());
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !answers(self.port) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the broker ended at start: {status}");
            }
            assert!(Instant::now() < deadline, "the broker gave no answer within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, port: u16, settings: &[String], cluster: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
    let names = |name: &str| settings.iter().any(|setting| setting.starts_with(name));
    if !names("log.dirs=") {
        command.arg("--data-dir").arg(dir.join("data"));
    }
    if !names("listeners=") {
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
    }
    command.args(["--set", "admin.listener=127.0.0.1:0"]);
    for setting in settings {
        match setting.starts_with("--") {
            true => command.arg(setting),
            false => command.args(["--set", setting]),
        };
    }
    if let Some(id) = cluster {
        command.env("CLUSTER_ID", id);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One ApiVersions v0 exchange.
fn answers(port: u16) -> bool {
    let exchange = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])?;
        stream.read_exact(&mut [0; 4])
    };
    exchange().is_ok()
}
