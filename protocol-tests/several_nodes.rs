//! `--brokers N`: a cluster in one process, and what is refused before it begins.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::net::TcpListener;
use std::process::Command;
use support::broker::free_port;
use support::{Broker, PATIENCE, read_all, text, wait_for_brokers};

/// A port whose five successors are free too. Below those that the system gives away.
fn six_free_ports() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 1000).unwrap() * 6;
    let is_free = |port: &u16| (*port..*port + 6).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (first..32_000).step_by(6).find(is_free).unwrap()
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

#[test]
fn several_nodes_in_one_process_are_a_cluster_that_a_restart_keeps() {
    let port = six_free_ports();
    let mut cluster = Broker::on(port, &["--brokers=3"]);
    // Any of them will do.
    let last = format!("127.0.0.1:{}", port + 2);
    wait_for_brokers(&last, &[1, 2, 3]);
    let admin: AdminClient<DefaultClientContext> = client(&last).create().unwrap();
    let topic = NewTopic::new("t", 3, TopicReplication::Fixed(3)).set("min.insync.replicas", "3");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap(), [Ok("t".to_owned())]);
    let producer: BaseProducer = client(&last).set("acks", "all").create().unwrap();
    for partition in 0..3 {
        producer.send(BaseRecord::<str, str>::to("t").partition(partition).payload("kept")).map_err(|e| e.0).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    cluster.stop();
    cluster.start_again();
    wait_for_brokers(&last, &[1, 2, 3]);
    for partition in 0..3 {
        let records = read_all(&cluster, "t", partition);
        assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["kept"], "in partition {partition}");
    }
    for node in 1..=3 {
        assert!(cluster.data_dir().join(format!("data/node-{node}/t-0")).is_dir(), "node {node} has a replica");
    }
}

#[test]
fn replicas_are_on_brokers_and_never_on_a_node_that_is_only_a_controller() {
    let (controller, ports) = (free_port(), [free_port(), free_port()]);
    let common = [
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        "controller.listener.names=CONTROLLER".to_owned(),
    ];
    let node = |own: [String; 3]| own.into_iter().chain(common.clone()).collect::<Vec<_>>();
    let mut nodes = vec![(
        controller,
        node([
            "node.id=1".to_owned(),
            "process.roles=controller".to_owned(),
            format!("listeners=CONTROLLER://127.0.0.1:{controller}"),
        ]),
    )];
    nodes.extend((2..).zip(ports).map(|(id, port)| {
        let listeners = format!("listeners=PLAINTEXT://127.0.0.1:{port}");
        (port, node([format!("node.id={id}"), "process.roles=broker".to_owned(), listeners]))
    }));
    let nodes = Broker::together("AAAAAAAAQACAAAAAAAAAAg", nodes);
    let bootstrap = nodes[2].bootstrap();
    wait_for_brokers(&bootstrap, &[2, 3]);

    let admin: AdminClient<DefaultClientContext> = client(&bootstrap).create().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let create = |name: &str, replicas| {
        let topic = NewTopic::new(name, 6, TopicReplication::Fixed(replicas));
        runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap().remove(0)
    };
    create("two", 2).unwrap();
    assert_eq!(create("three", 3).unwrap_err().1, RDKafkaErrorCode::InvalidReplicationFactor);
    create("one", 1).unwrap();
    let consumer: BaseConsumer = client(&bootstrap).create().unwrap();
    for topic in consumer.fetch_metadata(None, PATIENCE).unwrap().topics() {
        for partition in topic.partitions() {
            assert!(
                partition.replicas().iter().all(|id| [2, 3].contains(id)),
                "{}: {:?}",
                topic.name(),
                partition.replicas()
            );
        }
    }
}

#[test]
fn what_is_no_cluster_or_finds_no_ports_is_refused_in_one_sentence() {
    let port = six_free_ports();
    let taken = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let cases = [
        ("2", format!("127.0.0.1:{port}"), "--brokers 2 is no cluster that goes on when a node is gone"),
        ("ten", format!("127.0.0.1:{port}"), "--brokers <N>"),
        ("3", "127.0.0.1:65533".to_owned(), "runs out of ports"),
        ("3", format!("127.0.0.1:{port}"), "is taken by another process"),
    ];
    for (count, listen, sentence) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
        command.args(["--ephemeral", "--set", "admin.listener=", "--brokers", count, "--listen", &listen]);
        let output = command.env("RUST_LOG", "off").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(sentence), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    drop(taken);
}
