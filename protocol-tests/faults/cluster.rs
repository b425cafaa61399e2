//! Three nodes from three `server.properties`, and what is done to them.

use super::ask;
use super::history::History;
use super::network::{NODES, Network, run};
use super::plan::{Fault, Step, Target};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a question to a node may take that is asked for the schedule's or an observer's sake.
pub(crate) const SOON: Duration = Duration::from_millis(700);

const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAg";

/// Sessions are short, so that a run of minutes has many elections; logs roll often.
const SETTINGS: &str = "
process.roles=broker,controller
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
admin.listener=127.0.0.1:0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
initial.broker.registration.timeout.ms=600000
default.replication.factor=3
min.insync.replicas=2
num.partitions=3
auto.create.topics.enable=false
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
offsets.topic.segment.bytes=1048576
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=500
log.segment.bytes=1048576
";

fn others(node: usize) -> impl Iterator<Item = usize> {
    (0..NODES).filter(move |other| *other != node)
}

struct Node {
    /// `None`: it is not to run.
    child: Option<Child>,
    life: u32,
    /// Without room for the metadata it may end, as Kafka's nodes do.
    was_full: bool,
}

pub(crate) struct Cluster {
    network: Network,
    dir: PathBuf,
    ports: Vec<(u16, u16)>,
    nodes: Mutex<Vec<Node>>,
    /// The bug that the nodes are to have; only builds with the feature `planted` know any.
    planted: Option<&'static str>,
}

/// The program to hurt.
fn program() -> String {
    std::env::var("KLAMM_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_klamm").to_owned())
}

impl Cluster {
    /// Three nodes that lie in `dir`; returns before they answer.
    pub(crate) fn start(dir: &Path, planted: Option<&'static str>) -> Cluster {
        let network = Network::set_up();
        let port = super::super::support::broker::free_port;
        let ports = (0..NODES).map(|_| if network.is_own() { (9092, 9093) } else { (port(), port()) }).collect();
        let cluster = Cluster { network, dir: dir.to_owned(), ports, nodes: Mutex::default(), planted };
        let voters: Vec<String> =
            (0..NODES).map(|n| format!("{}@{}:{}", n + 1, cluster.network.host(n), cluster.ports[n].1)).collect();
        for node in 0..NODES {
            let (host, (port, controller)) = (cluster.network.host(node), cluster.ports[node]);
            let text = format!(
                "node.id={}\ncontroller.quorum.voters={}\nlisteners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}\n\
                 log.dirs={}\n{SETTINGS}",
                node + 1,
                voters.join(","),
                cluster.data(node).display(),
            );
            std::fs::write(cluster.file(node, "properties"), text).unwrap();
            std::fs::create_dir(cluster.data(node)).unwrap();
            if cluster.network.is_own() {
                let mounted = run(&format!("mount -t tmpfs -o size=192m tmpfs {}", cluster.data(node).display()));
                assert!(mounted, "root may mount");
            }
            cluster.nodes.lock().push(Node { child: Some(cluster.spawn(node)), life: 1, was_full: false });
        }
        cluster
    }

    fn file(&self, node: usize, extension: &str) -> PathBuf {
        self.dir.join(format!("node-{}.{extension}", node + 1))
    }

    /// Where a node's partitions lie.
    pub(crate) fn data(&self, node: usize) -> PathBuf {
        self.dir.join(format!("data-{}", node + 1))
    }

    /// What fills a node's disk.
    fn ballast(&self, node: usize) -> PathBuf {
        self.data(node).join("ballast")
    }

    /// Copies what the disks hold to where they are when the cluster is gone.
    pub(crate) fn keep_disks(&self) {
        if self.network.is_own() {
            for node in 0..NODES {
                run(&format!("cp -r {} {}", self.data(node).display(), self.file(node, "disk").display()));
            }
        }
    }

    pub(crate) fn has_network(&self) -> bool {
        self.network.is_own()
    }

    pub(crate) fn address(&self, node: usize) -> String {
        format!("{}:{}", self.network.host(node), self.ports[node].0)
    }

    pub(crate) fn bootstrap(&self) -> String {
        (0..NODES).map(|node| self.address(node)).collect::<Vec<_>>().join(",")
    }

    fn spawn(&self, node: usize) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.file(node, "log")).unwrap();
        let mut command = self.network.command(node, &program());
        command.arg("--config").arg(self.file(node, "properties"));
        command.env("CLUSTER_ID", CLUSTER_ID).env("RUST_BACKTRACE", "1");
        if let Some(bug) = self.planted {
            command.env("KLAMM_PLANTED", bug);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program()))
    }

    /// Which life of the node this is, from 1.
    pub(crate) fn life(&self, node: usize) -> u32 {
        self.nodes.lock()[node].life
    }

    fn signal(&self, node: usize, signal: Signal) {
        if let Some(child) = &self.nodes.lock()[node].child {
            // It may be gone by itself, which `look` tells.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    fn kill(&self, node: usize) {
        if let Some(mut child) = self.nodes.lock()[node].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and what the node ended with; `None`: it did not run, or would not end.
    fn stop(&self, node: usize, patience: Duration) -> Option<ExitStatus> {
        self.signal(node, Signal::TERM);
        let mut child = self.nodes.lock()[node].child.take()?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    fn begin(&self, node: usize) {
        let mut nodes = self.nodes.lock();
        if nodes[node].child.is_none() {
            let was_full = self.ballast(node).exists();
            nodes[node] = Node { child: Some(self.spawn(node)), life: nodes[node].life + 1, was_full };
        }
    }

    /// Finds nodes that ended by themselves, and starts them again so that the run goes on.
    pub(crate) fn look(&self, history: &History) {
        for node in 0..NODES {
            let mut nodes = self.nodes.lock();
            if let Some(status) = nodes[node].child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                nodes[node].child = None;
                let full = nodes[node].was_full;
                drop(nodes);
                let what = format!("node {} ended by itself: {status}\n{}", node + 1, self.last_words(node));
                if full {
                    history.say(&what)
                } else {
                    history.find(what)
                }
                self.begin(node);
            }
        }
    }

    fn last_words(&self, node: usize) -> String {
        let log = std::fs::read_to_string(self.file(node, "log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Panics that a node survived.
    pub(crate) fn look_for_panics(&self, history: &History) {
        for node in 0..NODES {
            let log = std::fs::read_to_string(self.file(node, "log")).unwrap_or_default();
            for line in log.lines().filter(|line| line.contains("panicked at")) {
                history.find(format!("node {} panicked: {line}", node + 1));
            }
        }
    }

    /// Who decides, as those say that answer: the latest of them.
    pub(crate) fn controller(&self) -> Option<usize> {
        let told = (0..NODES).filter_map(|node| ask::controller(&self.address(node), SOON));
        let (id, _) = told.max_by_key(|(_, epoch)| *epoch)?;
        usize::try_from(id - 1).ok().filter(|node| *node < NODES)
    }

    fn leader(&self, topic: &str) -> Option<usize> {
        let told = (0..NODES).filter_map(|node| ask::standings(&self.address(node), &[topic], SOON)).flatten();
        let standing = told.filter(|standing| standing.partition == 0).max_by_key(|standing| standing.leader_epoch)?;
        usize::try_from(standing.leader - 1).ok().filter(|node| *node < NODES)
    }

    fn find(&self, target: Target, topic: &str) -> usize {
        match target {
            Target::Node(node) => node,
            Target::Controller => self.controller().unwrap_or(0),
            Target::Leader => self.leader(topic).unwrap_or(1),
        }
    }

    /// Begins a fault; returns what ends it.
    fn hurt(&self, fault: Fault, topic: &str, history: &History) -> Hurt {
        match fault {
            Fault::Nothing => Hurt::Nothing,
            Fault::Kill(target) => {
                let node = self.find(target, topic);
                self.kill(node);
                Hurt::Down(vec![node])
            }
            Fault::KillAll => {
                (0..NODES).for_each(|node| self.kill(node));
                Hurt::Down((0..NODES).collect())
            }
            Fault::Restart(target) => {
                let node = self.find(target, topic);
                // A node that cannot hand over what it leads may take its time, and is killed then.
                match self.stop(node, Duration::from_secs(15)) {
                    // It had not got so far that it listens to signals.
                    Some(status) if status.signal() == Some(Signal::TERM.as_raw()) => {}
                    Some(status) if !status.success() => {
                        history.find(format!("node {} ended with {status} after SIGTERM", node + 1));
                    }
                    Some(_) => {}
                    None => history.say(&format!("node {} did not run, or did not end in time", node + 1)),
                }
                Hurt::Down(vec![node])
            }
            Fault::Pause(target) => {
                let node = self.find(target, topic);
                self.signal(node, Signal::STOP);
                Hurt::Paused(node)
            }
            Fault::Strand(target) => {
                let node = self.find(target, topic);
                others(node).for_each(|other| self.signal(other, Signal::STOP));
                Hurt::Stranded(node)
            }
            Fault::CutOff(target) => {
                let node = self.find(target, topic);
                let pairs: Vec<_> = others(node).flat_map(|other| [(node, other), (other, node)]).collect();
                pairs.iter().for_each(|(from, to)| self.network.mute(*from, *to, true));
                Hurt::Muted(pairs)
            }
            Fault::Isolate(target) => {
                let node = self.find(target, topic);
                self.network.isolate(node, true);
                Hurt::Isolated(node)
            }
            Fault::Cut(one, other) => {
                self.network.mute(one, other, true);
                self.network.mute(other, one, true);
                Hurt::Muted(vec![(one, other), (other, one)])
            }
            Fault::OneWay(from, to) => {
                self.network.mute(from, to, true);
                Hurt::Muted(vec![(from, to)])
            }
            Fault::Fill(target) => {
                let node = self.find(target, topic);
                self.nodes.lock()[node].was_full = true;
                let ballast = std::fs::File::create(self.ballast(node)).unwrap();
                // Whoever writes meanwhile takes what was free a moment ago.
                while rustix::fs::statvfs(self.data(node)).is_ok_and(|disk| disk.f_bavail > 0) {
                    let (disk, length) =
                        (rustix::fs::statvfs(self.data(node)).unwrap(), ballast.metadata().unwrap().len());
                    let _ = rustix::fs::fallocate(
                        &ballast,
                        rustix::fs::FallocateFlags::empty(),
                        length,
                        disk.f_bavail * disk.f_frsize,
                    );
                }
                Hurt::Full(node)
            }
            Fault::Loss(target, percent) => {
                let node = self.find(target, topic);
                self.network.lose(node, percent, true);
                Hurt::Losing(node, percent)
            }
        }
    }

    fn heal(&self, hurt: &Hurt) {
        match hurt {
            Hurt::Nothing => {}
            Hurt::Down(nodes) => nodes.iter().for_each(|node| self.begin(*node)),
            Hurt::Paused(node) => self.signal(*node, Signal::CONT),
            Hurt::Stranded(node) => {
                self.kill(*node);
                others(*node).for_each(|other| self.signal(other, Signal::CONT));
                self.begin(*node);
            }
            Hurt::Full(node) => std::fs::remove_file(self.ballast(*node)).unwrap(),
            Hurt::Isolated(node) => self.network.isolate(*node, false),
            Hurt::Muted(pairs) => pairs.iter().for_each(|(from, to)| self.network.mute(*from, *to, false)),
            Hurt::Losing(node, percent) => self.network.lose(*node, *percent, false),
        }
    }

    /// Runs the schedule; in the end everything is healed.
    pub(crate) fn suffer(&self, steps: &[Step], topic: &str, history: &History) {
        let began = Instant::now();
        let mut coming = steps.iter().peekable();
        let mut lasting: Vec<(Duration, Hurt)> = Vec::new();
        while coming.peek().is_some() || !lasting.is_empty() {
            let now = began.elapsed();
            let (over, on): (Vec<_>, Vec<_>) = lasting.into_iter().partition(|(until, _)| *until <= now);
            lasting = on;
            for (_, hurt) in over {
                history.say(&format!("  over: {hurt:?}"));
                self.heal(&hurt);
            }
            if let Some(step) = coming.next_if(|step| step.at <= now) {
                history.say(&format!("{:?} for {:?}", step.fault, step.lasts));
                let hurt = self.hurt(step.fault, topic, history);
                lasting.push((began.elapsed() + step.lasts, hurt));
            }
            self.look(history);
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever was stopped by two faults at once.
        (0..NODES).for_each(|node| self.signal(node, Signal::CONT));
    }

    /// SIGTERM to all, one after the other.
    pub(crate) fn stop_all(&self, history: &History) {
        for node in 0..NODES {
            match self.stop(node, Duration::from_secs(30)) {
                Some(status) if status.success() => {}
                other => {
                    history.find(format!("node {} ended with {other:?} after SIGTERM, when all was quiet", node + 1));
                }
            }
        }
    }
}

#[derive(Debug)]
enum Hurt {
    Nothing,
    Down(Vec<usize>),
    Paused(usize),
    Stranded(usize),
    Full(usize),
    Isolated(usize),
    Muted(Vec<(usize, usize)>),
    Losing(usize, u64),
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..NODES {
            self.kill(node);
            if self.network.is_own() {
                run(&format!("umount {}", self.data(node).display()));
            }
        }
    }
}
