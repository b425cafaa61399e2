#![allow(clippy::unwrap_used)]
use super::security::Towards;
use super::settings::{Listener, Settings};
use super::*;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Case<'a> {
    args: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
}

const EMPTY: Case<'static> = Case { args: &[], env: &[], file: None };

fn run(case: &Case<'_>) -> Result<Startup, String> {
    let mut args: Vec<OsString> = vec!["klamm".into()];
    if case.file.is_some() {
        args.extend(["--config".into(), "server.properties".into()]);
    }
    args.extend(case.args.iter().map(OsString::from));
    let read_file = |path: &Path| -> io::Result<Vec<u8>> {
        assert_eq!(path, Path::new("server.properties"));
        case.file.map(|text| text.as_bytes().to_vec()).ok_or(io::ErrorKind::NotFound.into())
    };
    let command = load(Surroundings {
        args,
        env: case.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        hostname: "box.example".into(),
        read_file: &read_file,
        fresh_temporary_dir: &|| PathBuf::from("/tmp/klamm-1234"),
    });
    match command {
        Ok(Command::Run(startup)) => Ok(*startup),
        Ok(Command::Print(text)) => panic!("printed {text}"),
        Ok(Command::Health(host, port)) => panic!("health of {host}:{port}"),
        Ok(Command::Storage(command)) => panic!("{command:?}"),
        Ok(Command::Doctor(_)) => panic!("a doctor"),
        Err(fault) => Err(fault.to_string()),
    }
}

fn settings(case: &Case<'_>) -> Settings {
    (**run(case).unwrap().config.settings()).clone()
}

fn shown(listeners: &[Listener]) -> Vec<String> {
    listeners.iter().map(ToString::to_string).collect()
}

fn fault(case: &Case<'_>) -> String {
    match run(case) {
        Err(fault) => fault,
        Ok(startup) => panic!("accepted: {:?}", startup.config.effective()),
    }
}

#[test]
fn without_any_configuration_it_is_a_broker_on_localhost_with_data_beside_it() {
    let startup = run(&EMPTY).unwrap();
    let settings = startup.config.settings();
    assert_eq!(shown(&settings.network.listeners), ["PLAINTEXT://localhost:9092"]);
    assert_eq!(shown(&settings.network.advertised), ["PLAINTEXT://localhost:9092"]);
    assert_eq!(settings.log.dirs, [PathBuf::from("./klamm-data")]);
    assert_eq!((settings.node_id.0, settings.roles), (1, Roles { broker: true, controller: true }));
    assert_eq!(settings.network.admin, Some(("127.0.0.1".into(), 9644)));
    assert_eq!(settings.network.request_bytes_in_flight_max, 256 * 1024 * 1024);
    assert_eq!(settings.log.flush_check_interval, None);
    assert_eq!(startup.ephemeral, None);
    assert_eq!((startup.warnings, startup.notes), (vec![], vec![]));
}

#[test]
fn the_stronger_source_wins() {
    let file = "num.partitions=2\nlog.retention.ms=2\ndefault.replication.factor=2\n";
    let env = [("KAFKA_LOG_RETENTION_MS", "3"), ("KAFKA_NUM_PARTITIONS", "3")];
    let case = Case { args: &["--set", "num.partitions=4"], env: &env, file: Some(file) };
    let startup = run(&case).unwrap();
    assert_eq!(startup.config.settings().topics.num_partitions, 4, "the command line over the environment");
    assert_eq!(startup.config.topic_defaults().retention_ms, 3, "the environment over the file");
    assert_eq!(startup.config.settings().topics.default_replication_factor, 2, "the file over the default");
    assert!(startup.config.settings().topics.auto_create, "the default where nothing is said");
}

#[test]
fn in_a_file_the_later_line_wins() {
    assert_eq!(settings(&Case { file: Some("num.partitions=2\nnum.partitions=5"), ..EMPTY }).topics.num_partitions, 5);
}

#[test]
fn options_are_short_for_settings() {
    let case = Case { args: &["--data-dir", "/data", "--listen", ":9093", "--advertise", "b.example:19092"], ..EMPTY };
    let settings = settings(&case);
    assert_eq!(settings.log.dirs, [PathBuf::from("/data")]);
    assert_eq!(shown(&settings.network.listeners), ["PLAINTEXT://:9093"]);
    assert_eq!(shown(&settings.network.advertised), ["PLAINTEXT://b.example:19092"]);
}

#[test]
fn a_listener_on_all_interfaces_is_advertised_as_this_host() {
    let case = Case { args: &["--listen", ":9092"], ..EMPTY };
    assert_eq!(shown(&settings(&case).network.advertised), ["PLAINTEXT://box.example:9092"]);
}

#[test]
fn advertise_changes_the_first_listener_for_clients_and_leaves_the_others() {
    let file = "listeners=CONTROLLER://:9093,OUT://:9092,IN://:9094\n\
                listener.security.protocol.map=OUT:PLAINTEXT,IN:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
                controller.listener.names=CONTROLLER\n";
    let case = Case { args: &["--advertise", "pub.example:1"], file: Some(file), ..EMPTY };
    assert_eq!(shown(&settings(&case).network.advertised), ["OUT://pub.example:1", "IN://box.example:9094"]);
}

#[test]
fn ephemeral_data_is_in_a_temporary_directory() {
    let startup = run(&Case { args: &["--ephemeral"], file: Some("log.dirs=/data"), ..EMPTY }).unwrap();
    assert_eq!(startup.ephemeral, Some(PathBuf::from("/tmp/klamm-1234")));
    assert_eq!(startup.config.settings().log.dirs, [PathBuf::from("/tmp/klamm-1234")]);
}

#[test]
fn topics_to_create_are_read() {
    let startup = run(&Case { args: &["--create-topic", "a:3", "--create-topic", "b"], ..EMPTY }).unwrap();
    let names: Vec<&str> = startup.create_topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

/// The environment that Testcontainers' Java module gives a container.
const TESTCONTAINERS: [(&str, &str); 15] = [
    ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
    ("KAFKA_LISTENERS", "CONTROLLER://0.0.0.0:9094,PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093"),
    ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:32768,BROKER://f00:9093,"),
    ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
    ("KAFKA_PROCESS_ROLES", "broker,controller"),
    ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
    ("KAFKA_NODE_ID", "1"),
    ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9094"),
    ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
    ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
    ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
    ("KAFKA_LOG_FLUSH_INTERVAL_MESSAGES", "9223372036854775807"),
    ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
];

#[test]
fn internal_topics_of_a_node_alone_have_one_replica_unless_it_is_said() {
    let settings = |args: &[&str]| Arc::clone(run(&Case { args, ..EMPTY }).unwrap().config.settings());
    let unset = settings(&[]);
    assert_eq!((unset.groups.offsets_replication_factor, unset.transactions.log_replication_factor), (1, 1));
    assert_eq!(unset.transactions.log_min_isr, 1);
    let said = settings(&["--set", "offsets.topic.replication.factor=3", "--set", "transaction.state.log.min.isr=2"]);
    assert_eq!((said.groups.offsets_replication_factor, said.transactions.log_min_isr), (3, 2));
}

#[test]
fn what_testcontainers_sets_is_accepted_without_a_warning() {
    let startup = run(&Case { env: &TESTCONTAINERS, ..EMPTY }).unwrap();
    assert_eq!(startup.warnings, Vec::<String>::new());
    let settings = startup.config.settings();
    assert_eq!(settings.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
    assert_eq!(shown(&settings.network.listeners), ["PLAINTEXT://0.0.0.0:9092", "BROKER://0.0.0.0:9093"]);
    assert_eq!(shown(&settings.network.advertised), ["PLAINTEXT://localhost:32768", "BROKER://f00:9093"]);
    assert_eq!(shown(&settings.network.controller_listeners), ["CONTROLLER://0.0.0.0:9094"]);
    assert_eq!(settings.groups.offsets_replication_factor, 1);
}

#[test]
fn the_default_configuration_of_kafkas_image_is_accepted() {
    let file = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
                listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
                advertised.listeners=PLAINTEXT://localhost:9092\ncontroller.listener.names=CONTROLLER\n\
                listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
                SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
                num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
                socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n\
                log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\nnum.recovery.threads.per.data.dir=2\n\
                offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
                transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
                share.coordinator.state.topic.min.isr=1\nlog.retention.hours=168\nlog.segment.bytes=1073741824\n\
                log.retention.check.interval.ms=300000\n";
    let startup = run(&Case { file: Some(file), ..EMPTY }).unwrap();
    assert_eq!(startup.warnings, Vec::<String>::new());
    let bootstrap = file.replace("controller.quorum.voters=1@", "controller.quorum.bootstrap.servers=");
    assert!(run(&Case { file: Some(&bootstrap), ..EMPTY }).is_ok());
}

#[test]
fn the_receive_buffer_is_left_to_the_system_unless_its_size_is_not_the_default() {
    let size = |size| {
        let env = [("KAFKA_SOCKET_RECEIVE_BUFFER_BYTES", size)];
        settings(&Case { env: &env, ..EMPTY }).network.receive_buffer_bytes
    };
    assert_eq!(settings(&EMPTY).network.receive_buffer_bytes, None);
    assert_eq!((size("102400"), size("-1")), (None, None));
    assert_eq!((size("65536"), size("1048576")), (Some(65536), Some(1 << 20)));
}

#[test]
fn broker_id_alone_is_enough() {
    let env = [("KAFKA_BROKER_ID", "7")];
    assert_eq!(settings(&Case { env: &env, ..EMPTY }).node_id.0, 7);
}

#[test]
fn unknown_settings_are_warned_about_once_and_kept() {
    let env =
        [("KAFKA_ZOOKEEPER_CONNECT", "zk:2181"), ("KAFKA_REST_BOOTSTRAP_SERVERS", "x"), ("KAFKA_HEAP_OPTS", "-Xmx1g")];
    let startup = run(&Case { env: &env, ..EMPTY }).unwrap();
    assert_eq!(startup.warnings, ["unknown settings are ignored: rest.bootstrap.servers, zookeeper.connect"]);
    let entries = describe::broker(&startup.config);
    assert!(entries.iter().any(|entry| entry.name == "zookeeper.connect"));
}

#[test]
fn settings_without_effect_are_noted_with_the_reason() {
    let startup =
        run(&Case { args: &["--set", "num.io.threads=4", "--set", "num.network.threads=3"], ..EMPTY }).unwrap();
    assert_eq!(
        startup.notes,
        ["without effect: num.io.threads (Work runs on one pool of threads, one for each core)"],
        "num.network.threads is set to its default, which is not worth a word"
    );
}

#[test]
fn the_same_fault_names_where_it_is() {
    let file = Case { file: Some("# comment\nnum.partitions=0"), ..EMPTY };
    assert_eq!(
        fault(&file),
        "Invalid value 0 for configuration num.partitions: Value must be at least 1 (line 2 of server.properties): \
         correct it (allowed: at least 1)."
    );
    let env = [("KAFKA_NUM_PARTITIONS", "many")];
    assert_eq!(
        fault(&Case { env: &env, ..EMPTY }),
        "Invalid value many for configuration num.partitions: Not a number of type INT (the environment variable \
         KAFKA_NUM_PARTITIONS): correct it (allowed: at least 1)."
    );
    assert!(fault(&Case { args: &["--set", "num.partitions=-1"], ..EMPTY }).contains("(--set)"));
}

#[test]
fn every_setting_that_is_not_supported_is_refused_with_what_to_do() {
    let mut refused = 0;
    for key in broker_keys::all() {
        let key::Support::Refused(instead) = key.support else { continue };
        refused += 1;
        // Some value that passes the type's check and is not the default.
        let tries = ["true", "1234567", "0.11", "requested", "required", "ES256", "SSL", "17", "something"];
        let other = tries.iter().find(|text| key.parse(text).is_ok_and(|value| Some(value) != key.default_value()));
        let setting = format!("{}={}", key.name, other.unwrap_or_else(|| panic!("no other value for {}", key.name)));
        let fault = fault(&Case { args: &["--set", &setting], ..EMPTY });
        assert_eq!(fault, format!("{} is not supported: {instead} (--set).", key.name));
        if let Some(default) = key.default {
            let setting = format!("{}={default}", key.name);
            assert!(run(&Case { args: &["--set", &setting], ..EMPTY }).is_ok(), "{setting}");
        }
    }
    assert!(refused > 40, "only {refused} settings are refused");
}

#[test]
fn every_other_fault_is_one_sentence_that_says_what_to_do() {
    let cases: &[(&[&str], &str)] = &[
        (&["--set", "process.roles=broker"], "set process.roles=broker,controller"),
        (&["--set", "process.roles=controller"], "a controller has no clients"),
        (&["--set", "process.roles=zookeeper"], "String must be one of: broker, controller"),
        (&["--set", "node.id=-1"], "Value must be at least 0"),
        (&["--set", "node.id=1", "--set", "broker.id=2"], "remove broker.id"),
        (&["--set", "controller.quorum.voters=1@a:1,2@b:1"], "controller.listener.names is empty"),
        (&["--set", "controller.quorum.voters=1@a:1,1@b:1"], "names node 1 twice"),
        (&["--set", "process.roles=broker", "--set", "controller.quorum.voters=1@a:1"], "names this node (1)"),
        (
            &["--set", "process.roles=broker", "--set", "controller.quorum.voters=2@a:1"],
            "controller.listener.names is empty",
        ),
        (&["--set", "controller.quorum.voters=2@a:1"], "make node.id and the voter's number the same"),
        (&["--set", "controller.quorum.voters=a:1"], "write ID@HOST:PORT"),
        (&["--set", "controller.quorum.bootstrap.servers=a:1,b:1"], "name them in controller.quorum.voters"),
        (&["--set", "controller.quorum.bootstrap.servers=a"], "write HOST:PORT"),
        (&["--set", "listeners=PLAINTEXT//localhost:9093"], "write NAME://HOST:PORT"),
        (&["--listen", "localhost"], "write HOST:PORT"),
        (&["--listen", ":9092", "--advertise", "0.0.0.0:9092"], "--advertise HOST:PORT"),
        (&["--advertise", ":9092"], "needs a host that clients can reach"),
        (&["--set", "max.connections.per.ip=0"], "max.connections.per.ip.overrides"),
        (&["--set", "max.connections.per.ip.overrides=a:b"], "write ADDRESS:COUNT"),
        (&["--set", "queued.max.request.bytes=5"], "socket.request.max.bytes"),
        (&["--set", "admin.listener=9644"], "write HOST:PORT"),
        (&["--set", "log.roll.ms=0"], "log.roll.ms must be 1 or more"),
        (&["--set", "log.roll.jitter.ms=-1"], "log.roll.jitter.ms must be 0 or more"),
        (&["--set", "log.retention.ms=0"], "log.retention.ms must be 1 or more"),
        (&["--set", "log.dirs="], "must not be empty"),
        (&["--set", "log.cleaner.threads=200"], "log.cleaner.dedupe.buffer.size"),
        (&["--set", "replica.fetch.wait.max.ms=40000"], "replica.socket.timeout.ms"),
        (&["--set", "group.coordinator.rebalance.protocols=consumer"], "leaves out classic"),
        (&["--ephemeral", "--data-dir", "/x"], "contradict each other"),
        (&["--data-dir", "a,b"], "without commas"),
        (&["--set", "nonsense"], "write --set NAME=VALUE"),
        (&["--create-topic", "a:0"], "no number of partitions"),
        (&["--config", "server.properties"], "give --config a file that exists"),
    ];
    for (args, expected) in cases {
        let fault = fault(&Case { args, ..EMPTY });
        assert!(fault.contains(expected), "{args:?} gave {fault:?}, not {expected:?}");
        assert!(fault.ends_with('.') && !fault.contains('\n'), "{args:?} gave {fault:?}, which is not a sentence");
    }
}

#[test]
fn a_secret_is_not_repeated_in_a_fault() {
    let fault = fault(&Case { args: &["--set", "sasl.oauthbearer.assertion.private.key.passphrase=hunter2"], ..EMPTY });
    assert!(!fault.contains("hunter2"), "{fault}");
}

#[test]
fn limits_per_address_and_per_listener_are_read() {
    let args = [
        "--set",
        "max.connections.per.ip.overrides=10.0.0.7:5, [::1]:6,localhost:7",
        "--set",
        "listener.name.plaintext.max.connections=9",
        "--set",
        "connections.max.idle.ms=-1",
    ];
    let network = settings(&Case { args: &args, ..EMPTY }).network;
    let overrides: Vec<String> =
        network.connections_per_ip_overrides.iter().map(|(ip, count)| format!("{ip}={count}")).collect();
    assert_eq!(overrides, ["10.0.0.7=5", "::1=6", "127.0.0.1=7"]);
    assert_eq!(network.connections_per_listener, [(ListenerName::new("PLAINTEXT"), 9)]);
    assert_eq!(network.idle_max, None);
}

#[test]
fn the_admin_endpoint_can_be_turned_off() {
    assert_eq!(settings(&Case { args: &["--set", "admin.listener="], ..EMPTY }).network.admin, None);
}

#[test]
fn dynamic_values_change_the_settings_of_a_running_broker() {
    let live = Live::new(run(&EMPTY).unwrap().config);
    let values = |name: &str, value: &str| Values::from([(name.to_owned(), value.to_owned())]);
    let left_out = live.set_dynamic(values("message.max.bytes", "500"), values("max.connections", "7"));
    assert_eq!(left_out, Vec::<String>::new());
    assert_eq!(live.load().topic_defaults().max_message_bytes, 500);
    assert_eq!(live.load().settings().network.connections_max, 7);
    let left_out = live.set_dynamic(values("num.partitions", "5"), values("max.connections", "x"));
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert_eq!(live.load().settings().network.connections_max, i32::MAX as usize);
    assert_eq!(live.load().settings().topics.num_partitions, 1);
}

#[test]
fn topics_to_create_come_from_the_environment_too() {
    let env = &[("KLAMM_CREATE_TOPICS", "orders:3 audit:1:1:cleanup.policy=compact,delete;\nlast")];
    let startup = run(&Case { args: &["--create-topic", "own"], env, ..EMPTY }).unwrap();
    let names: Vec<&str> = startup.create_topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["orders", "audit", "last", "own"]);
    assert_eq!(startup.create_topics[1].configs["cleanup.policy"], "compact,delete");
    let fault = run(&Case { env: &[("KLAMM_CREATE_TOPICS", "orders:x")], ..EMPTY }).unwrap_err();
    assert!(fault.contains("KLAMM_CREATE_TOPICS") && fault.contains("number of partitions"), "{fault}");
}

#[test]
fn health_asks_the_admin_listener_of_the_configuration_whatever_else_is_wrong_with_it() {
    let asked = |args: &[&str], env: &[(&str, &str)]| {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let args = std::iter::once("klamm").chain(args.iter().copied()).map(OsString::from).collect();
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let around = Surroundings {
            args,
            env,
            hostname: "box.example".into(),
            read_file: &none,
            fresh_temporary_dir: &|| PathBuf::from("/tmp/klamm-1234"),
        };
        match load(around) {
            Ok(Command::Health(host, port)) => format!("{host}:{port}"),
            Ok(_) => "something else".into(),
            Err(fault) => fault.to_string(),
        }
    };
    assert_eq!(asked(&["health"], &[]), "127.0.0.1:9644");
    assert_eq!(asked(&["health"], &[("KAFKA_ADMIN_LISTENER", "[::1]:7"), ("KAFKA_LISTENERS", "nonsense")]), "::1:7");
    assert_eq!(asked(&["--set", "admin.listener=h:8", "health"], &[]), "h:8");
    assert!(asked(&["--set", "admin.listener=", "health"], &[]).starts_with("admin.listener is empty"));
}

/// A node of two, with a listener for clients, one for brokers and one for controllers.
fn of_two(protocols: &str, more: &str) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@a:9093,2@b:9093\n\
         controller.listener.names=CONTROLLER\nlisteners=OUT://:9092,IN://:9094,CONTROLLER://:9093\n\
         inter.broker.listener.name=IN\nlistener.security.protocol.map={protocols}\n{more}"
    )
}

#[test]
fn a_node_that_is_only_a_controller_is_no_cluster_of_its_own_even_as_the_only_voter() {
    let file = |roles: &str, listeners: &str| {
        format!(
            "process.roles={roles}\nnode.id=1\ncontroller.quorum.voters=1@a:9093\ncontroller.listener.names=CONTROLLER\n\
             listeners={listeners}\n"
        )
    };
    let is_solo = |file: &str| settings(&Case { file: Some(file), ..EMPTY }).is_solo();
    assert!(is_solo(&file("broker,controller", "PLAINTEXT://:9092,CONTROLLER://:9093")));
    assert!(!is_solo(&file("controller", "CONTROLLER://:9093")), "nobody may put a replica on it");
}

#[test]
fn nodes_connect_to_each_other_as_their_listeners_say() {
    let file = of_two(
        "OUT:PLAINTEXT,IN:SASL_SSL,CONTROLLER:SSL",
        "ssl.keystore.location=/all\nlistener.name.controller.ssl.keystore.location=/own\n\
         listener.name.controller.ssl.endpoint.identification.algorithm=\n\
         sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512\nlistener.name.in.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.in.scram-sha-512.sasl.jaas.config=x\n",
    );
    let settings = settings(&Case { file: Some(&file), ..EMPTY });
    assert!(!settings.is_solo());
    // Each has what its clients are accepted by, controllers' listeners too.
    let guarded: Vec<&str> = settings.network.security.iter().map(|one| one.listener.as_str()).collect();
    assert_eq!(guarded, ["OUT", "IN", "CONTROLLER"]);
    let brokers = settings.network.towards_brokers.as_ref().unwrap();
    let controllers = settings.network.towards_controllers.as_ref().unwrap();
    let key_store = |towards: &Towards| towards.tls.as_ref().unwrap().key_store.location.clone().unwrap();
    assert_eq!((key_store(brokers), key_store(controllers)), ("/all".into(), "/own".into()));
    let checks_host = |towards: &Towards| towards.tls.as_ref().unwrap().checks_host;
    assert!(checks_host(brokers) && !checks_host(controllers));
    let login = brokers.login.as_ref().unwrap();
    assert_eq!((login.mechanism.as_str(), login.jaas.as_ref().unwrap().reveal()), ("SCRAM-SHA-512", "x"));
    assert!(controllers.login.is_none());
}

#[test]
fn what_nodes_cannot_use_among_themselves_is_refused() {
    for (protocols, more, expected) in [
        // Nobody said what to log in by, and GSSAPI is what Kafka begins with.
        ("OUT:SSL,IN:SASL_SSL,CONTROLLER:SSL", "sasl.enabled.mechanisms=PLAIN\n", "is GSSAPI, which is not in"),
        (
            "OUT:SSL,IN:SASL_SSL,CONTROLLER:SSL",
            "sasl.enabled.mechanisms=PLAIN\nsasl.mechanism.inter.broker.protocol=SCRAM-SHA-256\n",
            "is SCRAM-SHA-256, which is not in",
        ),
        (
            "OUT:SSL,IN:SSL,CONTROLLER:SASL_SSL",
            "sasl.enabled.mechanisms=SCRAM-SHA-256\nsasl.mechanism.controller.protocol=SCRAM-SHA-256\n",
            "use PLAIN on CONTROLLER",
        ),
        (
            "OUT:SSL,IN:SSL,CONTROLLER:SSL",
            "security.inter.broker.protocol=SSL\n",
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set",
        ),
    ] {
        let refused = fault(&Case { file: Some(&of_two(protocols, more)), ..EMPTY });
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn brokers_makes_nodes_that_name_each_other() {
    let startup = run(&Case { args: &["--brokers", "3", "--listen", ":9092"], ..EMPTY }).unwrap();
    let ids: Vec<i32> = startup.others.iter().map(|node| node.settings().node_id.0).collect();
    assert_eq!((startup.config.settings().node_id.0, &ids[..]), (1, &[2, 3][..]));
    assert_eq!(startup.others[1].settings().quorum.voters.len(), 3);
    assert!(run(&EMPTY).unwrap().others.is_empty());
}
