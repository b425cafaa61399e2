//! Three processes that trust each other by certificates and logins: SASL_SSL everywhere between them, SCRAM-SHA-512 from
//! broker to broker, PLAIN and a certificate towards controllers, sessions that end every few seconds. And those who do not
//! get in: with a wrong password, a certificate of somebody else, or a name that may not do it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::{BufMut, Bytes, BytesMut};
use klamm::access::Outbound;
use klamm::config::security::Whom;
use klamm::config::{BrokerConfig, Live};
use klamm::model::NodeId;
use klamm::peer::{Endpoint, Link, LinkSettings, PeerError};
use klamm::rt::fs::disk::disk;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::broker::free_port;
use support::{Broker, PATIENCE, read_all, text};

const TOPIC: &str = "guarded";
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAg";
/// How long a login lasts.
const SESSION_MS: u32 = 3000;
const SECRETS: [&str; 3] = ["broker-secret", "controller-secret", "mallory-secret"];

fn openssl(dir: &Path, arguments: &str) {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).stderr(Stdio::null()).status();
    assert!(run.unwrap().success(), "openssl {arguments}");
}

/// An authority, `<name>.pem`, and a server's key and certificate that it signed, `<name>-node.pem`.
fn authority(dir: &Path, name: &str) {
    openssl(
        dir,
        &format!("req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -days 2 -keyout {name}.key -out {name}.pem"),
    );
    openssl(dir, "req -newkey rsa:2048 -nodes -subj /CN=node -keyout node.key -out node.csr");
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        dir,
        &format!(
            "x509 -req -in node.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2 -extfile names -out node.crt"
        ),
    );
    let parts = ["node.key", "node.crt"].map(|part| std::fs::read_to_string(dir.join(part)).unwrap());
    std::fs::write(dir.join(format!("{name}-node.pem")), parts.concat()).unwrap();
}

/// The ports of one node: for clients, for brokers, for controllers.
type Ports = [u16; 3];

struct Cluster {
    // Ends before its files do.
    brokers: Vec<Broker>,
    ports: Vec<Ports>,
    dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        authority(dir.path(), "ours");
        authority(dir.path(), "theirs");
        let ports = (0..3).map(|_| [free_port(), free_port(), free_port()]).collect();
        let mut cluster = Cluster { brokers: Vec::new(), ports, dir };
        let mut nodes = Vec::new();
        for id in 1..=3 {
            let settings = cluster.settings(id);
            let file = cluster.dir.path().join(format!("{id}.properties"));
            std::fs::write(&file, settings.join("\n")).unwrap();
            let formatted = Command::new(env!("CARGO_BIN_EXE_klamm"))
                .args(["storage", "format", "-t", CLUSTER_ID, "--add-scram"])
                .arg(format!("SCRAM-SHA-512=[name=node,password={}]", SECRETS[0]))
                .arg("-c")
                .arg(&file)
                .stdout(Stdio::null())
                .status();
            assert!(formatted.unwrap().success());
            nodes.push((cluster.ports[id - 1][0], settings));
        }
        cluster.brokers = Broker::together(CLUSTER_ID, nodes);
        // librdkafka asks for the controller once, and waits for minutes where nobody can be named yet.
        let deadline = Instant::now() + PATIENCE;
        while cluster.members() != [1, 2, 3] {
            assert!(Instant::now() < deadline, "not all are members: {:?}", cluster.members());
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    /// Where and how to reach the controllers, and how to log in there.
    fn towards_controllers(&self, user: &str, password: &str, certificate: &str, trusted: &str) -> Vec<String> {
        let voter = |(id, ports): (usize, &Ports)| format!("{id}@localhost:{}", ports[2]);
        let voters: Vec<String> = (1..).zip(&self.ports).map(voter).collect();
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            format!("controller.quorum.voters={}", voters.join(",")),
            "controller.listener.names=CONTROLLER".into(),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BROKERS:SASL_SSL,CONTROLLER:SASL_SSL".into(),
            "sasl.mechanism.controller.protocol=PLAIN".into(),
            "listener.name.controller.sasl.enabled.mechanisms=PLAIN".into(),
            format!(
                "listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
                 required username=\"{user}\" password=\"{password}\" user_node=\"{}\" user_mallory=\"{}\";",
                SECRETS[1], SECRETS[2]
            ),
            "ssl.keystore.type=PEM".into(),
            format!("ssl.keystore.location={}", file(certificate)),
            "ssl.truststore.type=PEM".into(),
            format!("ssl.truststore.location={}", file(trusted)),
        ]
    }

    fn settings(&self, id: usize) -> Vec<String> {
        let [clients, brokers, controllers] = self.ports[id - 1];
        let mut settings = self.towards_controllers("node", SECRETS[1], "ours-node.pem", "ours.pem");
        settings.extend([
            format!("node.id={id}"),
            format!("log.dirs={}/data-{id}", self.dir.path().display()),
            "process.roles=broker,controller".into(),
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{clients},BROKERS://localhost:{brokers},\
                 CONTROLLER://localhost:{controllers}"
            ),
            "inter.broker.listener.name=BROKERS".into(),
            "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512".into(),
            "sasl.enabled.mechanisms=SCRAM-SHA-512".into(),
            format!(
                "listener.name.brokers.scram-sha-512.sasl.jaas.config=\
                 org.apache.kafka.common.security.scram.ScramLoginModule required username=\"node\" password=\"{}\";",
                SECRETS[0]
            ),
            format!("connections.max.reauth.ms={SESSION_MS}"),
            // Beside a password, controllers ask for a certificate.
            "listener.name.controller.ssl.client.auth=required".into(),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".into(),
            // The first are the nodes, the second the clients of this test.
            "super.users=User:node;User:ANONYMOUS".into(),
            "broker.session.timeout.ms=3000".into(),
            "broker.heartbeat.interval.ms=500".into(),
            "replica.lag.time.max.ms=3000".into(),
        ]);
        settings
    }

    fn client(&self) -> ClientConfig {
        let all: Vec<String> = self.ports.iter().map(|ports| format!("127.0.0.1:{}", ports[0])).collect();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", all.join(","));
        config
    }

    /// The ids of the brokers that clients are told of.
    fn members(&self) -> Vec<i32> {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_secs(5)) else { return Vec::new() };
        let mut ids: Vec<i32> = metadata.brokers().iter().map(|broker| broker.id()).collect();
        ids.sort_unstable();
        ids
    }

    /// How many replicas of the topic are in sync.
    fn in_sync(&self) -> usize {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let Ok(metadata) = consumer.fetch_metadata(Some(TOPIC), Duration::from_secs(5)) else { return 0 };
        metadata.topics()[0].partitions().first().map_or(0, |partition| partition.isr().len())
    }

    fn wait_until_in_sync(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.in_sync() != 3 {
            assert!(Instant::now() < deadline, "not in sync within {PATIENCE:?}: {}", self.in_sync());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    async fn produce(&self, values: std::ops::Range<u32>) {
        let producer: FutureProducer = self.client().set("message.timeout.ms", "60000").create().unwrap();
        for value in values {
            let value = value.to_string();
            producer.send(FutureRecord::to(TOPIC).key("").payload(&value), PATIENCE).await.unwrap();
        }
    }

    /// A broker that wants to join, and what it says until `until` is in it, or until the patience ends.
    fn stranger(&self, towards: Vec<String>, until: &str) -> String {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let said = dir.path().join("said");
        let file = std::fs::File::create(&said).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
        let own = ["node.id=4", "process.roles=broker", "inter.broker.listener.name=PLAINTEXT"].map(str::to_owned);
        let more = [
            format!("listeners=PLAINTEXT://127.0.0.1:{port}"),
            format!("log.dirs={}", dir.path().join("data").display()),
            "admin.listener=127.0.0.1:0".into(),
        ];
        for setting in towards.into_iter().chain(own).chain(more) {
            command.args(["--set", &setting]);
        }
        let streams = command.env("CLUSTER_ID", CLUSTER_ID).stdin(Stdio::null());
        let mut child = Ended(streams.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
        let read = || std::fs::read_to_string(&said).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !read().contains(until) {
            assert!(Instant::now() < deadline, "{until:?} was not said: {}", read());
            assert!(child.0.try_wait().unwrap().is_none(), "it did not go on: {}", read());
            std::thread::sleep(Duration::from_millis(50));
        }
        // It goes on trying, and does not say it each time.
        std::thread::sleep(Duration::from_secs(2));
        read()
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A vote for node 2 in `term`, as one controller asks another for it.
fn vote(term: u64) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(u8::try_from(CLUSTER_ID.len() + 1).unwrap());
    out.put_slice(CLUSTER_ID.as_bytes());
    out.put_i32(2);
    out.put_i32(1);
    // Ask for a vote: the term, for whom, not won yet, and the end of a log that is as long as can be.
    out.put_u8(2);
    out.put_u64(term);
    out.put_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
    out.put_u64(term);
    out.put_u64(u64::from(u32::MAX));
    out.freeze()
}

/// Asks the controller 1 for its vote, as `user`. Answers the term in which it votes.
async fn ask_for_a_vote(cluster: &Cluster, user: &str, password: &str, term: u64) -> Result<u64, PeerError> {
    let mut settings = cluster.towards_controllers(user, password, "ours-node.pem", "ours.pem");
    settings.extend(["node.id=4".into(), "process.roles=broker".into(), "listeners=PLAINTEXT://localhost:0".into()]);
    let values = settings.iter().map(|setting| setting.split_once('=').unwrap());
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let live = Arc::new(Live::new(BrokerConfig::new(values).unwrap()));
    let peers = live.load().settings().peers.clone();
    let secure = Outbound::new(Whom::Controllers, true, &live, disk()).unwrap().unwrap();
    let at = Endpoint { host: "localhost".into(), port: cluster.ports[0][2] };
    let link = Link::new(
        NodeId(1),
        LinkSettings::secured(peers, "test".into(), Arc::new(secure)),
        Arc::new(move || Some(at.clone())),
    );
    let answer = link.call_raw(29_000, 0, vote(term), PATIENCE).await?;
    assert_eq!(answer[0], 0, "{answer:?}");
    Ok(u64::from_be_bytes(answer[1..9].try_into().unwrap()))
}

#[test]
fn a_cluster_that_trusts_nobody_else() {
    let mut cluster = Cluster::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
    let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert_eq!(created, [Ok(TOPIC.to_owned())]);
    cluster.wait_until_in_sync();

    // Longer than a session: whoever does not log in again is closed.
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_millis(u64::from(SESSION_MS) * 2) {
        runtime.block_on(cluster.produce(sent..sent + 10));
        sent += 10;
    }
    assert_eq!(cluster.in_sync(), 3, "no replica fell behind meanwhile");

    cluster.brokers[0].kill();
    runtime.block_on(cluster.produce(sent..sent + 10));
    sent += 10;
    cluster.brokers[0].start_again();
    cluster.wait_until_in_sync();
    let values: Vec<u32> =
        read_all(&cluster.brokers[0], TOPIC, 0).iter().map(|one| text(one).parse().unwrap()).collect();
    assert_eq!(values, (0..sent).collect::<Vec<_>>());

    // A client whom controllers know and who is no node may not vote, and a node may.
    let term = runtime.block_on(ask_for_a_vote(&cluster, "node", SECRETS[1], 0)).unwrap();
    assert!(term > 0);
    let refused = runtime.block_on(ask_for_a_vote(&cluster, "mallory", SECRETS[2], 1_000_000));
    assert!(matches!(refused, Err(PeerError::Closed(_))), "{refused:?}");
    let now = runtime.block_on(ask_for_a_vote(&cluster, "node", SECRETS[1], 0)).unwrap();
    assert!(now < 1_000_000, "the quorum was moved to term {now}");
    let wrong = runtime.block_on(ask_for_a_vote(&cluster, "node", "wrong", 1_000_000));
    assert!(wrong.unwrap_err().to_string().contains("Invalid username or password"));

    for (password, certificate, trusted, why) in [
        ("wrong", "ours-node.pem", "ours.pem", "Authentication failed: Invalid username or password"),
        (SECRETS[1], "theirs-node.pem", "ours.pem", "SSL handshake failed: received fatal alert: UnknownCA"),
        (SECRETS[1], "ours-node.pem", "theirs.pem", "SSL handshake failed: invalid peer certificate: UnknownIssuer"),
    ] {
        let said = cluster.stranger(cluster.towards_controllers("node", password, certificate, trusted), why);
        // Once about each controller.
        let times = said.lines().filter(|line| line.contains("failed authentication")).count();
        assert!((1..=3).contains(&times), "{said}");
        assert!(SECRETS.iter().all(|secret| !said.contains(secret)), "{said}");
        assert_eq!(cluster.members(), [1, 2, 3]);
    }
}
