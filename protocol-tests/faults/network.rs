//! A network of their own for the nodes: a namespace each, on a bridge with an address for this process. Needs root and
//! iptables; without them the nodes share the loopback, and only processes can be hurt.

use std::process::{Command, Stdio};

pub(crate) const NODES: usize = 3;

pub(crate) enum Network {
    Loopback,
    Spaces { prefix: String, subnet: String },
}

/// Whether the command ran and succeeded.
pub(crate) fn run(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Network {
    pub(crate) fn set_up() -> Network {
        let id = std::process::id();
        let prefix = format!("kf{}", id % 100_000);
        let subnet = format!("10.{}.{}", 64 + id % 128, (id / 128) % 256);
        let network = Network::Spaces { prefix: prefix.clone(), subnet: subnet.clone() };
        let switch = format!("{prefix}sw");
        let mut lines = vec![
            format!("ip netns add {switch}"),
            format!("ip -n {switch} link add br0 type bridge"),
            format!("ip -n {switch} link set br0 up"),
            format!("ip link add {prefix}c type veth peer name pc netns {switch}"),
            format!("ip -n {switch} link set pc master br0 up"),
            format!("ip addr add {subnet}.100/24 dev {prefix}c"),
            format!("ip link set {prefix}c up"),
        ];
        for node in 0..NODES {
            let (space, address) = (format!("{prefix}n{node}"), format!("{subnet}.{}", node + 1));
            lines.extend([
                format!("ip netns add {space}"),
                format!("ip link add e0 netns {space} type veth peer name p{node} netns {switch}"),
                format!("ip -n {switch} link set p{node} master br0 up"),
                format!("ip -n {space} addr add {address}/24 dev e0"),
                format!("ip -n {space} link set e0 up"),
                format!("ip -n {space} link set lo up"),
                format!("ip netns exec {space} iptables -L -n"),
            ]);
        }
        match lines.iter().find(|line| !run(line)) {
            None => network,
            Some(line) => {
                eprintln!("no network of our own ({line}): nodes are only killed and stopped");
                Network::Loopback
            }
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Network::Spaces { .. })
    }

    pub(crate) fn host(&self, node: usize) -> String {
        match self {
            Network::Loopback => "127.0.0.1".to_owned(),
            Network::Spaces { subnet, .. } => format!("{subnet}.{}", node + 1),
        }
    }

    /// A command that runs where the node is. The process is the program's own.
    pub(crate) fn command(&self, node: usize, program: &str) -> Command {
        match self {
            Network::Loopback => Command::new(program),
            Network::Spaces { prefix, .. } => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &format!("{prefix}n{node}"), program]);
                command
            }
        }
    }

    /// Adds a rule to what a node lets in, or takes it back.
    fn filter(&self, node: usize, add: bool, rule: &str) {
        if let Network::Spaces { prefix, .. } = self {
            let op = if add { "-A" } else { "-D" };
            let done = run(&format!("ip netns exec {prefix}n{node} iptables {op} INPUT {rule} -j DROP"));
            assert!(done, "iptables {op} {rule}");
        }
    }

    /// `to` does not hear `from`.
    pub(crate) fn mute(&self, from: usize, to: usize, on: bool) {
        self.filter(to, on, &format!("-s {}", self.host(from)));
    }

    pub(crate) fn lose(&self, node: usize, percent: u64, on: bool) {
        self.filter(node, on, &format!("-m statistic --mode random --probability 0.{percent:02}"));
    }

    /// The port of the switch goes down, or up again.
    pub(crate) fn isolate(&self, node: usize, on: bool) {
        if let Network::Spaces { prefix, .. } = self {
            let state = if on { "down" } else { "up" };
            assert!(run(&format!("ip -n {prefix}sw link set p{node} {state}")), "link {state}");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Network::Spaces { prefix, .. } = self {
            for node in 0..NODES {
                run(&format!("ip netns del {prefix}n{node}"));
            }
            // With it goes this process's end of the bridge.
            run(&format!("ip netns del {prefix}sw"));
        }
    }
}
