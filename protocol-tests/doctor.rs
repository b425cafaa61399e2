//! `klamm doctor` from the outside: what it says of a broker that is well, and of set-ups that were broken on purpose.
#![allow(clippy::unwrap_used)]

#[path = "support/broker.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE};

const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What it said, and whether its exit code says that all is well.
struct Said {
    text: String,
    well: bool,
}

impl Said {
    /// The causes of faults, as the last line names them.
    fn causes(&self) -> Vec<&str> {
        let last = self.text.lines().last().unwrap_or_default();
        let named = last.split_once("fault").and_then(|(_, rest)| rest.split_once(": "));
        named.map_or_else(Vec::new, |(_, list)| list.trim_end_matches('.').split(", ").collect())
    }
}

fn doctor(arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_klamm")).arg("doctor").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let said = Said { text, well: output.status.success() };
    assert_eq!(said.well, said.causes().is_empty(), "{}", said.text);
    said
}

/// One fault is found, it is this one, and there is advice.
#[track_caller]
fn finds(arguments: &[&str], cause: &str) -> String {
    let said = doctor(arguments);
    assert_eq!(said.causes(), [cause], "{arguments:?} said:\n{}", said.text);
    assert!(said.text.contains("\n         -> "), "without advice:\n{}", said.text);
    said.text
}

/// Somebody who answers every connection with the same bytes, or never.
fn stranger(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            if !answer.is_empty() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            } else {
                kept.push(stream);
            }
        }
    });
    address
}

/// A client's settings in a file.
fn client(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_broker_that_is_well_is_left_as_it_was() {
    let broker = Broker::start();
    let said = doctor(&[&broker.bootstrap()]);
    assert!(said.well, "{}", said.text);
    for part in ["takes connections", "Kafka's protocol", "1 broker", "written with acks=all and read", "clock agrees"]
    {
        assert!(said.text.contains(part), "{part} is missing from:\n{}", said.text);
    }
    let left: Vec<PathBuf> = std::fs::read_dir(broker.data_dir().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.display().to_string().contains("klamm-doctor") && !path.display().to_string().contains("-delete")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_topic_that_is_named_is_kept_if_it_was_there_and_removed_if_it_was_not() {
    let broker = Broker::start();
    let at = broker.bootstrap();
    let first = doctor(&[&at, "--topic", "mine"]);
    assert!(first.well && first.text.contains("a topic was made"), "{}", first.text);
    let listed = |name: &str| {
        std::fs::read_dir(broker.data_dir().join("data"))
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy() == format!("{name}-0"))
    };
    assert!(!listed("mine"));
}

#[test]
fn what_is_no_broker_is_called_what_it_is() {
    finds(&[&format!("127.0.0.1:{}", free_port())], "port-closed");
    finds(&["nowhere.invalid:9092", "--timeout", "2000"], "name-unresolved");
    finds(&[&stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n")], "http");
    let text = finds(&[&stranger(b"220 mail.example ESMTP ready\r\n")], "not-kafka");
    assert!(text.contains("220 mail.example"), "{text}");
    finds(&[&stranger(b""), "--timeout", "300"], "silent");
    // Bytes that a decoder would have to believe: a large count in a frame with the right number.
    finds(&[&stranger(b"\0\0\0\x0e\0\0\0\x01\0\0\x7f\xff\xff\xff\0\0\0\0")], "not-kafka");
    // What a terminal would obey is not passed on.
    let text = finds(&[&stranger(b"hello \x1b[2J\x07there, this is text\r\n")], "not-kafka");
    assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
}

#[test]
fn an_advertised_address_that_leads_nowhere_is_named_with_its_node() {
    let with = |advertised: &str| {
        let port = free_port();
        let listeners = format!("listeners=PLAINTEXT://127.0.0.1:{port}");
        let advertised = format!("advertised.listeners=PLAINTEXT://{advertised}");
        Broker::on(port, &[&listeners, &advertised])
    };
    let broker = with("nowhere.invalid:9092");
    let said = doctor(&[&broker.bootstrap(), "--timeout", "2000"]);
    assert_eq!(said.causes(), ["advertised-unresolved", "leader-unreachable"], "{}", said.text);
    let advice =
        format!("set advertised.listeners of node 1 to a name and port that clients can use ({}", broker.bootstrap());
    assert!(said.text.contains(&advice), "{}", said.text);
    let broker = with(&format!("127.0.0.1:{}", free_port()));
    assert_eq!(doctor(&[&broker.bootstrap()]).causes(), ["advertised-unreachable", "leader-unreachable"]);
    let other = Broker::start();
    let broker = with(&other.bootstrap());
    let said = doctor(&[&broker.bootstrap()]);
    assert!(said.causes().contains(&"advertised-other-cluster"), "{}", said.text);
}

#[test]
fn who_may_not_is_told_what_is_not_allowed() {
    let authorizer = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let broker = Broker::with(&[authorizer, "super.users=User:somebody"]);
    let text = finds(&[&broker.bootstrap()], "not-authorized");
    assert!(text.contains("may not Create"), "{text}");
    let text = finds(&[&broker.bootstrap(), "--topic", "t"], "not-authorized");
    assert!(text.contains("may not Describe"), "{text}");
}

#[test]
fn a_clock_that_is_off_by_an_hour_is_told_from_both_sides() {
    use klamm::config::{Command, Surroundings, load};
    use klamm::model::TimestampMs;
    use klamm::rt::{clock, fs::disk::disk};
    let broker = Broker::start();
    let args = ["klamm", "doctor", &broker.bootstrap()].map(Into::into).to_vec();
    let (read_file, fresh) = (|_: &Path| Ok(Vec::new()), || PathBuf::new());
    let (hostname, env) = ("here".to_owned(), Vec::new());
    let around = Surroundings { args, env, hostname, read_file: &read_file, fresh_temporary_dir: &fresh };
    let Ok(Command::Doctor(command)) = load(around) else { panic!("not understood") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (off, says) in [(3_600_000, "behind"), (-3_600_000, "ahead of")] {
        let now = move || TimestampMs(clock::now_ms().0 + off);
        let facts = runtime.block_on(klamm::doctor::run(&command, &*disk(), &now));
        let report = klamm::doctor::machine::diagnose(&facts);
        assert_eq!(report.causes(), ["clock"], "{report}");
        let text = report.to_string();
        let minutes = ["59 min", "60 min"].map(|span| format!("the broker's clock is {span} {says} this machine's"));
        assert!(minutes.iter().any(|expected| text.contains(expected)), "{text}");
    }
}

/// Certificates, and a broker with every kind of listener.
struct Guarded {
    dir: tempfile::TempDir,
    broker: Broker,
    login: u16,
    tls: u16,
    mutual: u16,
    expired: u16,
    other: u16,
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A key and a certificate signed by `ca`, in `<name>.pem`.
fn certificate(dir: &Path, name: &str, subject: &str, days: i32) {
    std::fs::write(dir.join(format!("{name}.ext")), format!("subjectAltName={subject}\n")).unwrap();
    openssl(dir, &format!("req -new -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"));
    openssl(
        dir,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile {name}.ext -out {name}.crt"
        ),
    );
    let both = ["key", "crt"].map(|end| std::fs::read_to_string(dir.join(format!("{name}.{end}"))).unwrap()).concat();
    std::fs::write(dir.join(format!("{name}.pem")), both).unwrap();
}

impl Guarded {
    fn new() -> Guarded {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        for name in ["ca", "strange"] {
            openssl(
                at,
                &format!(
                    "req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -days 2 -keyout {name}.key -out {name}.pem"
                ),
            );
        }
        certificate(at, "good", "DNS:localhost,IP:127.0.0.1", 2);
        certificate(at, "expired", "DNS:localhost,IP:127.0.0.1", -1);
        certificate(at, "other", "DNS:elsewhere.example", 2);
        let ports: [u16; 6] = std::array::from_fn(|_| free_port());
        let [plain, login, tls, mutual, expired, other] = ports;
        let store = |listener: &str, name: &str| {
            format!("listener.name.{listener}.ssl.keystore.location={}", at.join(format!("{name}.pem")).display())
        };
        let settings = [
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{plain},LOGIN://127.0.0.1:{login},TLS://127.0.0.1:{tls},\
                 MUTUAL://127.0.0.1:{mutual},EXPIRED://127.0.0.1:{expired},OTHER://127.0.0.1:{other}"
            ),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL,MUTUAL:SSL,EXPIRED:SSL,\
             OTHER:SSL"
                .to_owned(),
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256".to_owned(),
            "listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_alice=\"secret\";"
                .to_owned(),
            "listener.name.login.scram-sha-256.sasl.jaas.config=x required;".to_owned(),
            format!("log.dirs={}", at.join("data").display()),
            "ssl.keystore.type=PEM".to_owned(),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", at.join("ca.pem").display()),
            "listener.name.mutual.ssl.client.auth=required".to_owned(),
            store("tls", "good"),
            store("mutual", "good"),
            store("expired", "expired"),
            store("other", "other"),
        ];
        let file = at.join("server.properties");
        std::fs::write(&file, settings.join("\n")).unwrap();
        let user = ["--add-scram", "SCRAM-SHA-256=[name=alice,password=salted]"];
        let format = ["storage", "format", "-t", CLUSTER_ID, "-c", &file.display().to_string()].map(str::to_owned);
        let formatted = Command::new(env!("CARGO_BIN_EXE_klamm")).args(format).args(user).output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let broker = Broker::together(CLUSTER_ID, vec![(plain, settings.to_vec())]).remove(0);
        Guarded { dir, broker, login, tls, mutual, expired, other }
    }

    /// A file of settings: a protocol, whom to trust, and more.
    fn client(&self, protocol: &str, trusted: &str, more: &str) -> String {
        let trusted = self.dir.path().join(trusted);
        let text = format!(
            "security.protocol={protocol}\nssl.truststore.type=PEM\nssl.truststore.location={}\n{more}\n",
            trusted.display()
        );
        client(self.dir.path(), "client.properties", &text)
    }

    fn login(&self, mechanism: &str, password: &str) -> String {
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let more = format!(
            "sasl.mechanism={mechanism}\nsasl.jaas.config={module} required username=\"alice\" password=\"{password}\";"
        );
        self.client("SASL_PLAINTEXT", "ca.pem", &more)
    }
}

#[test]
fn tls_that_does_not_come_about_is_explained() {
    let scene = Guarded::new();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let plain = at(scene.broker.port());
    let tls = scene.client("SSL", "ca.pem", "");
    let with = |port: u16, file: &str, cause: &str| finds(&[&at(port), "--command-config", file], cause);
    let well = doctor(&[&at(scene.tls), "--command-config", &tls]);
    assert!(well.well && well.text.contains("TLS 1.3"), "{}", well.text);
    with(scene.expired, &tls, "certificate-expired");
    let text = with(scene.other, &tls, "certificate-other-name");
    assert!(text.contains("elsewhere.example"), "{text}");
    with(scene.mutual, &tls, "client-certificate");
    let text = finds(&[&plain, "--command-config", &tls], "plaintext-listener");
    assert!(text.contains("set security.protocol=PLAINTEXT"), "{text}");
    finds(&[&at(scene.tls)], "tls-listener");
    with(scene.tls, &scene.client("SSL", "strange.pem", ""), "certificate-untrusted");
    let own = format!("ssl.keystore.type=PEM\nssl.keystore.location={}", scene.dir.path().join("good.pem").display());
    let mutual = doctor(&[&at(scene.mutual), "--command-config", &scene.client("SSL", "ca.pem", &own)]);
    assert!(mutual.well, "{}", mutual.text);
    with(scene.tls, &scene.client("SSL", "nothing-here.pem", ""), "client-settings");
    let unchecked = scene.client("SSL", "ca.pem", "ssl.endpoint.identification.algorithm=");
    assert!(doctor(&[&at(scene.other), "--command-config", &unchecked]).well);
}

#[test]
fn a_login_that_fails_is_explained() {
    let scene = Guarded::new();
    let login = format!("127.0.0.1:{}", scene.login);
    let with = |file: &str| doctor(&[&login, "--command-config", file]);
    let well = with(&scene.login("PLAIN", "secret"));
    assert!(well.well && well.text.contains("the login by PLAIN is accepted"), "{}", well.text);
    let wrong = with(&scene.login("PLAIN", "hunter2"));
    assert_eq!(wrong.causes(), ["login-refused"], "{}", wrong.text);
    assert!(!wrong.text.contains("hunter2"), "{}", wrong.text);
    assert!(with(&scene.login("SCRAM-SHA-256", "salted")).well);
    // That is the password of another mechanism.
    assert_eq!(with(&scene.login("SCRAM-SHA-256", "secret")).causes(), ["login-refused"]);
    assert_eq!(with(&scene.login("SCRAM-SHA-512", "secret")).causes(), ["mechanism"]);
    let text = finds(&[&login], "login-wanted");
    assert!(text.contains("sasl.mechanism (there is PLAIN, SCRAM-SHA-256)"), "{text}");
    let file = scene.login("PLAIN", "secret");
    finds(&[&scene.broker.bootstrap(), "--command-config", &file], "login-not-wanted");
}

#[test]
fn a_topic_whose_brokers_are_down_is_named_for_it() {
    let ports: [u16; 4] = std::array::from_fn(|_| free_port());
    let [one, two, controller, _] = ports;
    let settings = |id: i32, port: u16| {
        let own = if id == 1 { format!(",CONTROLLER://127.0.0.1:{controller}") } else { String::new() };
        vec![
            format!("node.id={id}"),
            format!("process.roles={}", if id == 1 { "broker,controller" } else { "broker" }),
            format!("listeners=PLAINTEXT://127.0.0.1:{port}{own}"),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            "broker.session.timeout.ms=2000".to_owned(),
            "broker.heartbeat.interval.ms=300".to_owned(),
            "default.replication.factor=2".to_owned(),
            "min.insync.replicas=2".to_owned(),
            "auto.create.topics.enable=true".to_owned(),
        ]
    };
    let nodes = vec![(one, settings(1, one)), (two, settings(2, two))];
    let mut brokers = Broker::together(CLUSTER_ID, nodes);
    let at = format!("127.0.0.1:{one}");
    let made = |topic: &str| {
        use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
        let client: AdminClient<_> = rdkafka::ClientConfig::new().set("bootstrap.servers", &at).create().unwrap();
        let replication = if topic == "pair" { 2 } else { 1 };
        let new = NewTopic::new(topic, 4, TopicReplication::Fixed(replication));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.create_topics(&[new], &AdminOptions::new())).unwrap().remove(0).unwrap();
    };
    let deadline = Instant::now() + PATIENCE;
    while !doctor(&[&at]).text.contains("2 brokers") {
        assert!(Instant::now() < deadline, "the second broker does not come");
        std::thread::sleep(Duration::from_millis(200));
    }
    made("pair");
    made("single");
    brokers[1].kill();
    let until = |topic: &str, cause: &str| loop {
        let said = doctor(&[&at, "--topic", topic, "--timeout", "1500"]);
        if said.causes() == [cause] {
            return;
        }
        assert!(Instant::now() < deadline, "{topic} has no {cause}:\n{}", said.text);
        std::thread::sleep(Duration::from_millis(300));
    };
    until("pair", "under-min-isr");
    until("single", "no-leader");
    // A topic of its own is to have as many replicas as the cluster gives, of which one is away.
    assert_eq!(doctor(&[&at]).causes(), ["under-min-isr"]);
}
