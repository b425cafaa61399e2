//! Hostile bytes against the real binary: whatever one client sends, the broker answers with an error or closes that
//! connection, its memory stays bounded, and another client produces and fetches all the while.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "support/broker.rs"]
mod support;

use bytes::Bytes;
use common::client::{self, Client, batch, batch_of, fetch, produce, topic_name};
use common::{Rng, framed, hostile, random, request};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiVersionsRequest, CreateTopicsRequest, MetadataRequest};
use klamm::record::compression::{Compression, compress};
use klamm::record::crc32c;
use klamm::wire::shape;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::Broker;

const MIB: u64 = 1024 * 1024;

/// How much more memory the broker may hold after a client has done its worst. It is the C library that holds it: who has
/// freed a block of nearly 32 MiB may keep twice as much at the top of each of its heaps, and there is one a worker.
const GROWTH_MAX: u64 = 128 * MIB;

/// A broker, and a client of it that minds its own business.
struct Scene {
    broker: Broker,
    neighbour: Option<JoinHandle<usize>>,
    over: Arc<AtomicBool>,
    resident: u64,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(&[])
    }

    fn with(settings: &[&str]) -> Scene {
        let broker = Broker::with(&[&["auto.create.topics.enable=false"], settings].concat());
        let mut client = Client::connect(&broker.bootstrap());
        assert_eq!(client.create_topic("hostile", 1, &[]), 0);
        assert_eq!(client.create_topic("recompressed", 1, &[("compression.type", "uncompressed")]), 0);
        assert_eq!(client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]), 0);
        assert_eq!(client.create_topic("neighbour", 1, &[]), 0);
        let over = Arc::new(AtomicBool::new(false));
        let neighbour = {
            let (over, address) = (Arc::clone(&over), broker.bootstrap());
            std::thread::spawn(move || mind_own_business(&address, &over))
        };
        std::thread::sleep(Duration::from_millis(200));
        let resident = broker.resident();
        Scene { broker, neighbour: Some(neighbour), over, resident }
    }

    /// The broker serves, and holds no more memory than it may. What was held when this was last asked counts.
    fn check(&mut self, after: &str) {
        let neighbour = self.neighbour.as_ref().unwrap();
        assert!(!neighbour.is_finished(), "the neighbour fared badly after {after}");
        let mut client = Client::connect(&self.broker.bootstrap());
        assert_eq!(client.call(0, &ApiVersionsRequest::default()).error_code, 0, "after {after}");
        let resident = self.broker.resident();
        let growth = resident.saturating_sub(self.resident);
        assert!(growth < GROWTH_MAX, "{} MiB more memory after {after}", growth / MIB);
    }

    /// The neighbour was served to the end.
    fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        let rounds = self.neighbour.take().unwrap().join().unwrap_or_else(|_| panic!("the neighbour fared badly"));
        assert!(rounds > 10, "the neighbour was served {rounds} times only");
    }
}

/// Produces and fetches, and expects to get back what it gave, every time, until it is over.
fn mind_own_business(address: &str, over: &AtomicBool) -> usize {
    let mut client = Client::connect(address);
    let mut rounds = 0;
    while !over.load(Ordering::Relaxed) {
        let value = format!("round {rounds}");
        let produced = client.produce("neighbour", 0, &batch(&[&value]));
        assert_eq!((produced.error_code, produced.base_offset), (0, rounds));
        let fetched = client.fetch("neighbour", 0, rounds);
        let records = fetched.records.unwrap();
        assert_eq!((fetched.error_code, fetched.high_watermark), (0, rounds + 1));
        assert!(records.windows(value.len()).any(|bytes| bytes == value.as_bytes()), "{value} was lost");
        rounds += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    usize::try_from(rounds).unwrap()
}

/// Sends `stream`, then a request that anybody may make, and reads until that is answered or the connection is closed or
/// nothing comes for a while.
fn send(address: &str, stream: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect: {error}"));
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let last = framed(&[0, 18, 0, 0, 0x7e, 0x57, 0x7e, 0x57, 0xff, 0xff]);
    // A broker that closes early makes either fail: that is its right.
    if socket.write_all(stream).and_then(|()| socket.write_all(&last)).is_err() {
        return;
    }
    let (mut seen, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(read @ 1..) = socket.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..read]);
        if seen.windows(4).any(|id| id == [0x7e, 0x57, 0x7e, 0x57]) {
            break;
        }
    }
}

#[test]
fn a_broker_outlives_every_generated_request_and_its_neighbour_notices_nothing() {
    let mut scene = Scene::new();
    let address = scene.broker.bootstrap();
    for (sent, case) in hostile::cases().enumerate() {
        send(&address, &case.frame());
        if sent % 1000 == 0 {
            scene.check(&case.name);
        }
    }
    scene.check("all cases");
    scene.end();
}

/// A batch whose header may lie. `length` and `crc` are right unless they are given.
fn raw_batch(attributes: i16, count: i32, payload: &[u8], length: Option<i32>, crc: Option<u32>) -> Vec<u8> {
    let mut body = attributes.to_be_bytes().to_vec();
    body.extend_from_slice(&count.saturating_sub(1).max(0).to_be_bytes());
    for timestamp in [client::now_ms(); 2] {
        body.extend_from_slice(&timestamp.to_be_bytes());
    }
    body.extend_from_slice(&(-1i64).to_be_bytes());
    body.extend_from_slice(&(-1i16).to_be_bytes());
    body.extend_from_slice(&(-1i32).to_be_bytes());
    body.extend_from_slice(&count.to_be_bytes());
    body.extend_from_slice(payload);
    let mut rest = vec![0, 0, 0, 0, 2];
    rest.extend_from_slice(&crc.unwrap_or_else(|| crc32c(&body)).to_be_bytes());
    rest.extend_from_slice(&body);
    let mut batch = 0i64.to_be_bytes().to_vec();
    batch.extend_from_slice(&length.unwrap_or(rest.len() as i32).to_be_bytes());
    batch.extend_from_slice(&rest);
    batch
}

/// Batches that no topic takes, whatever its settings.
fn lying_batches() -> Vec<(&'static str, Vec<u8>)> {
    let one = [0x0e, 0, 0, 0, 1, 2, b'a', 0];
    let mut old_magic = batch(&["old"]).to_vec();
    old_magic[16] = 1;
    vec![
        ("a wrong CRC", raw_batch(0, 1, &one, None, Some(1))),
        ("a negative length", raw_batch(0, 1, &[], Some(-5), None)),
        ("a length of 2^31-1", raw_batch(0, 1, &one, Some(i32::MAX), None)),
        ("a length shorter than its header", raw_batch(0, 1, &one, Some(10), None)),
        ("a length longer than it is", raw_batch(0, 1, &one, Some(200), None)),
        ("2^31-1 records", raw_batch(0, i32::MAX, &[], None, None)),
        ("-1 records", raw_batch(0, -1, &[], None, None)),
        ("no record", raw_batch(0, 0, &[], None, None)),
        ("one record more than there is", raw_batch(0, 2, &one, None, None)),
        ("one record less than there is", raw_batch(0, 1, &[one, one].concat(), None, None)),
        ("a record of 2^31 bytes", raw_batch(0, 1, &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0], None, None)),
        ("a record of negative length", raw_batch(0, 1, &[0x01, 0, 0, 0, 1, 2, b'a', 0], None, None)),
        ("a varint without an end", raw_batch(0, 1, &[0xff; 40], None, None)),
        ("2^31 headers", raw_batch(0, 1, &[0x16, 0, 0, 0, 1, 2, b'a', 0xfe, 0xff, 0xff, 0xff, 0x0f], None, None)),
        ("a codec that nobody has", raw_batch(7, 1, b"x", None, None)),
        ("a control batch", raw_batch(0x20, 1, &[0x14, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0], None, None)),
        ("a transactional control batch", raw_batch(0x30, 1, &[0x14, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0], None, None)),
        ("two batches", [batch(&["one"]), batch(&["two"])].concat()),
        ("magic 1", old_magic),
        ("nothing", Vec::new()),
        ("garbage", (0..=255).cycle().take(10_000).collect()),
    ]
}

/// Compressed batches that lie or explode; found out by whoever opens them.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let mut bombs = Vec::new();
    let zeros = vec![0; 300 << 20];
    for (name, codec) in [
        ("300 MiB of zeros in gzip", Compression::Gzip),
        ("300 MiB of zeros in snappy", Compression::Snappy),
        ("300 MiB of zeros in lz4", Compression::Lz4),
        ("300 MiB of zeros in zstd", Compression::Zstd),
    ] {
        let mut packed = compress(codec, 1, &zeros).unwrap();
        // Snappy takes 14 MiB for them, which no topic allows; cut short it is the beginning of a bomb.
        packed.truncate(1_000_000);
        bombs.push((name, raw_batch(i16::from(codec.id()), 1, &packed, None, None)));
    }
    let lies: [(&str, i16, &[u8]); 9] = [
        ("snappy that claims 4 GiB", 2, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a xerial chunk of 2^31-1 bytes", 2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xffx"),
        ("a xerial chunk of negative length", 2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xffx"),
        ("xerial chunks that claim 4 GiB", 2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff\x0f"),
        ("zstd that claims an EiB", 4, &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0]),
        ("a zstd window of 2 GiB", 4, &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0]),
        ("an lz4 block of 2 GiB", 3, &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0xff, 0xff, 0xff, 0x7f, 0]),
        ("gzip without an end", 1, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0x63]),
        ("gzip that is text", 1, b"this is not gzip"),
    ];
    for (name, codec, payload) in lies {
        bombs.push((name, raw_batch(codec, 1, payload, None, None)));
    }
    bombs
}

#[test]
fn batches_that_lie_or_explode_are_refused_and_cost_nothing_that_stays() {
    let mut scene = Scene::new();
    let mut client = Client::connect(&scene.broker.bootstrap());
    for (name, batch) in lying_batches() {
        for topic in ["hostile", "recompressed", "compacted"] {
            let answer = client.produce(topic, 0, &batch);
            assert_ne!(answer.error_code, 0, "{topic} took {name}");
            assert_eq!(answer.base_offset, -1, "{name}");
        }
        scene.check(name);
    }
    for (name, batch) in bombs() {
        for topic in ["recompressed", "compacted"] {
            let answer = client.produce(topic, 0, &batch);
            assert_ne!(answer.error_code, 0, "{topic} took {name}");
        }
        // Nobody opens it here; who fetches it gets what was produced.
        client.produce("hostile", 0, &batch);
        scene.check(name);
    }
    // Sixteen at once, each of which is opened.
    let (name, bomb) = bombs().remove(0);
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let (address, bomb) = (scene.broker.bootstrap(), bomb.clone());
            std::thread::spawn(move || Client::connect(&address).produce("compacted", 0, &bomb).error_code)
        })
        .collect();
    for sender in senders {
        assert_ne!(sender.join().unwrap(), 0, "{name}");
    }
    scene.check("sixteen bombs at once");
    let good = client.produce("compacted", 0, &batch(&["good"]));
    assert_eq!((good.error_code, good.base_offset), (0, 0), "nothing of all that was appended");
    scene.end();
}

#[test]
fn streams_that_are_wrong_from_the_start_are_closed_or_wait_and_cost_nothing() {
    let mut scene = Scene::new();
    let address = scene.broker.bootstrap();
    for (name, stream) in hostile::streams() {
        send(&address, &stream);
        scene.check(name);
    }
    for (name, stream) in [
        ("SaslAuthenticate before anything", framed(&request(36, 0, 1, b"\0\0\0\x05\0a\0bc"))),
        (
            "SaslHandshake and a token of 10 MiB",
            [framed(&request(17, 1, 1, b"\0\x05PLAIN")), (10i32 << 20).to_be_bytes().to_vec()].concat(),
        ),
        ("a Produce body of garbage", framed(&request(0, 3, 1, &(0..=255).cycle().take(10_000).collect::<Vec<u8>>()))),
        ("a million topics in Metadata", {
            let names = [&b"\0\x01a"[..]; 1].concat().repeat(1_000_000);
            framed(&request(3, 1, 1, &[&1_000_000i32.to_be_bytes()[..], &names].concat()))
        }),
    ] {
        send(&address, &stream);
        scene.check(name);
    }
    scene.end();
}

#[test]
fn names_that_climb_out_of_the_directory_are_refused_everywhere() {
    let mut scene = Scene::new();
    let mut client = Client::connect(&scene.broker.bootstrap());
    let before = names_in(scene.broker.data_dir());
    let long = "a".repeat(300);
    for name in ["../../../tmp/klamm", "..", ".", "", "a\0b/c", "a/b", "ä", &long] {
        assert_eq!(client.create_topic(name, 1, &[]), 17, "CreateTopics took {name:?}");
        assert_eq!(client.produce(name, 0, &batch(&["x"])).error_code, 3, "Produce took {name:?}");
        assert_eq!(client.fetch(name, 0, 0).error_code, 3, "Fetch took {name:?}");
        assert_eq!(client.offset_at(name, -1).error_code, 3, "ListOffsets took {name:?}");
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let asked = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
        let answer = client.call(12, &asked).topics[0].error_code;
        assert!(answer == 17 || answer == 3, "Metadata took {name:?}: {answer}");
        scene.check(name);
    }
    assert_eq!(names_in(scene.broker.data_dir()), before);
    scene.end();
}

fn names_in(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(names_in(&entry.path()));
            names.push(entry.path());
        }
    }
    names.sort();
    names
}

#[test]
fn absurd_numbers_are_answered_with_an_error_or_with_what_there_is() {
    let mut scene = Scene::new();
    let mut client = Client::connect(&scene.broker.bootstrap());
    for partitions in [i32::MAX, 1_000_000_000] {
        assert_eq!(client.create_topic("big", partitions, &[]), 44, "POLICY_VIOLATION");
        scene.check("a request for a billion partitions");
    }
    for partitions in [0, -2, i32::MIN] {
        assert_eq!(client.create_topic("none", partitions, &[]), 37, "INVALID_PARTITIONS");
    }
    let topic = |i: usize| {
        let name = topic_name(&format!("t_{i}"));
        CreatableTopic::default().with_name(name).with_num_partitions(0).with_replication_factor(1)
    };
    let many = CreateTopicsRequest::default().with_topics((0..50_000).map(topic).collect()).with_timeout_ms(10_000);
    let answer = client.call(7, &many);
    assert!(answer.topics.iter().all(|topic| topic.error_code == 44));
    scene.check("fifty thousand topics without partitions");

    client.produce("hostile", 0, &batch(&["one"]));
    let mut everything = fetch("hostile", 0, 0, 0).with_max_bytes(i32::MAX);
    everything.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    let read = client.call(12, &everything).responses.remove(0).partitions.remove(0);
    assert_eq!(read.error_code, 0);
    assert!(read.records.is_some_and(|records| !records.is_empty()));
    // The answer to minus one byte is one batch: there is always progress (KIP-74).
    let least = fetch("hostile", 0, 0, 0).with_max_bytes(-1).with_min_bytes(i32::MIN).with_max_wait_ms(i32::MIN);
    assert_eq!(client.call(12, &least).responses[0].partitions[0].error_code, 0);
    let as_replica = fetch("hostile", 0, 0, 0).with_replica_id(1.into());
    assert_ne!(client.call(12, &as_replica).responses[0].partitions[0].error_code, 0, "a client is no replica");
    // A thousand times the same partition.
    let mut repeated = fetch("hostile", 0, 0, 0);
    repeated.topics = vec![repeated.topics[0].clone(); 10_000];
    client.call(12, &repeated);
    let mut repeated = produce("hostile", 0, -1, &batch(&["again"]));
    repeated.topic_data = vec![repeated.topic_data[0].clone(); 10_000];
    client.call(12, &repeated);
    scene.check("the same partition ten thousand times");
    scene.end();
}

#[test]
fn a_list_as_long_as_a_megabyte_holds_is_answered_in_time_by_every_api() {
    let mut scene = Scene::new();
    for served in klamm::api::served() {
        let api = shape::all().find(|api| api.key == served.key).unwrap();
        let version = klamm::api::form(api.key, served.versions.max);
        let one = random::wide_message(&mut Rng(7), api, version, 100).bytes.len();
        let count = (1 << 20) * 100 / one.max(1_000);
        let body = random::wide_message(&mut Rng(7), api, version, count).bytes;
        let header = klamm::wire::header::request_header_version(api.key, version).unwrap();
        let begun = Instant::now();
        send_and_wait(&scene.broker.bootstrap(), &framed(&request(api.key, version, header, &body)));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "{} took {took:?} for {count} items", api.name);
        scene.check(api.name);
    }
    scene.end();
}

/// Sends a frame and waits until it is answered or refused, a minute at most.
fn send_and_wait(address: &str, frame: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    if socket.write_all(frame).is_ok() {
        let _ = socket.read(&mut [0; 64]);
    }
}

#[test]
fn ten_thousand_half_open_connections_and_slow_senders_keep_nobody_out() {
    let most = raise_open_files().saturating_sub(300).min(10_000);
    assert!(most > 500, "this machine allows {most} connections only");
    // Who finds Kafka's short queue of the kernel full tries again a second later, which would take this test minutes.
    let mut scene = Scene::with(&["socket.listen.backlog.size=1024"]);
    let address = scene.broker.bootstrap();
    let beginnings: [&[u8]; 4] = [
        &[0],
        // 100 MiB are to come.
        &[0x06, 0x40, 0, 0],
        &[0, 0, 1, 0, 0, 3, 0, 1],
        &[],
    ];
    let mut flood = Vec::with_capacity(most);
    for i in 0..most {
        let mut socket = TcpStream::connect(&address).unwrap_or_else(|error| panic!("connection {i}: {error}"));
        socket.write_all(beginnings[i % beginnings.len()]).unwrap();
        flood.push(socket);
    }
    scene.check(&format!("{most} half-open connections"));
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(&address);
                let (id, frame) = client.frame(0, &ApiVersionsRequest::default());
                for byte in frame {
                    client.send_bytes(&[byte]);
                    std::thread::sleep(Duration::from_millis(100));
                }
                assert_eq!(client.receive::<ApiVersionsRequest>(0).0, id);
            })
        })
        .collect();
    for sender in slow {
        sender.join().unwrap_or_else(|_| panic!("a slow sender was not answered"));
    }
    scene.check("slow senders");
    drop(flood);
    scene.check("the end of the flood");
    scene.end();
}

#[test]
fn clients_that_never_read_their_answers_are_not_served_for_ever() {
    let mut scene = Scene::new();
    let mut client = Client::connect(&scene.broker.bootstrap());
    let value = "x".repeat(900_000);
    for _ in 0..8 {
        assert_eq!(client.produce("hostile", 0, &batch(&[&value])).error_code, 0);
    }
    // 32 clients, each asking for 7 MB a thousand times and taking none of it.
    let mut deaf = Vec::new();
    for _ in 0..32 {
        let mut client = Client::connect(&scene.broker.bootstrap());
        client.socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut asked = fetch("hostile", 0, 0, 0);
        asked.topics[0].partitions[0].partition_max_bytes = 50 << 20;
        let (_, frame) = client.frame(12, &asked);
        // Once the broker reads no more, this fails: that is its right.
        let _ = client.socket.write_all(&frame.repeat(1000));
        deaf.push(client);
    }
    scene.check("clients that do not read");
    drop(deaf);
    scene.end();
}

/// As many open files as this process may have.
fn raise_open_files() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)).unwrap_or(usize::MAX)
}

#[test]
fn a_raw_batch_that_does_not_lie_is_taken() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create_topic("plain", 1, &[]), 0);
    let honest = raw_batch(0, 1, &[0x0e, 0, 0, 0, 1, 2, b'a', 0], None, None);
    assert_eq!(client.produce("plain", 0, &honest).error_code, 0);
    let built: Bytes = batch_of(&[(client::now_ms(), None, "a")]).build().unwrap();
    assert_eq!(client.produce("plain", 0, &built).base_offset, 1);
}

/// What the broker has held at most since it started.
fn peak(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    1024 * line.unwrap().trim().parse::<u64>().unwrap()
}

#[test]
fn requests_for_millions_of_partitions_are_refused_before_anything_is_made_for_each() {
    let mut scene = Scene::new();
    let address = scene.broker.bootstrap();
    const COUNT: i32 = 4_000_000;
    let many = |of: &[u8]| [&COUNT.to_be_bytes()[..], &of.repeat(COUNT as usize)].concat();
    let one_topic = [&1i32.to_be_bytes()[..], &[0, 7], b"hostile"].concat();
    let streams: [(&str, Vec<u8>); 4] = [
        // acks, timeout, a topic, partitions without records.
        (
            "Produce",
            framed(&request(
                0,
                3,
                1,
                &[&[0xff, 0xff, 0, 1, 0, 0, 1, 0], &one_topic[..], &many(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])]
                    .concat(),
            )),
        ),
        (
            "Fetch",
            framed(&request(
                1,
                4,
                1,
                &[&[0xff; 4][..], &[0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0], &one_topic, &many(&[0; 16])].concat(),
            )),
        ),
        ("DescribeProducers", {
            let mut body = vec![2, 8];
            body.extend_from_slice(b"hostile");
            common::uvarint(&mut body, COUNT as u32 + 1);
            body.extend_from_slice(&[0; 4].repeat(COUNT as usize));
            body.extend_from_slice(&[0, 0]);
            framed(&request(61, 0, 2, &body))
        }),
        ("DeleteTopics", framed(&request(20, 1, 1, &[&many(b"\0\x01a")[..], &[0, 0, 0, 9]].concat()))),
    ];
    for (name, stream) in &streams {
        for _ in 0..3 {
            send_and_wait(&address, stream);
        }
        scene.check(name);
    }
    // The frames themselves, and little more.
    assert!(peak(&scene.broker) < 300 * MIB, "{} MiB at the worst", peak(&scene.broker) / MIB);
    scene.end();
}

#[test]
fn fetches_that_wait_are_held_one_by_one_and_not_a_thousand_times() {
    let mut scene = Scene::new();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(&scene.broker.bootstrap());
        // Near what is served without being weighed.
        let mut waiting = fetch("neighbour", 0, 1_000_000_000, 60_000).with_min_bytes(i32::MAX);
        let partition = waiting.topics[0].partitions[0].clone().with_fetch_offset(0).with_partition(0);
        waiting.topics[0] = fetch("compacted", 0, 0, 0).topics.remove(0);
        waiting.topics[0].partitions = vec![partition; 60];
        let (_, frame) = client.frame(12, &waiting);
        client.send_bytes(&frame.repeat(300));
        clients.push(client);
    }
    std::thread::sleep(Duration::from_millis(500));
    scene.check("fifteen thousand fetches that wait");
    drop(clients);
    scene.end();
}
