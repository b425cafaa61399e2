//! From the command line, the environment and a file to a [`Startup`].
//!
//! Weakest first: defaults, `server.properties`, `KAFKA_*` variables, the command line. Each value is
//! checked where it is known from where it came, so that a fault names the line or the variable.

use super::broker::{BrokerConfig, Values, key_of, refusal};
use super::broker_keys::ADMIN_DEFAULT;
use super::build::admin_listener;
use super::cli::{self, Cli, Instead, LogFormat, Parsed, TopicToCreate};
use super::doctor_cli::{self, DoctorCommand};
use super::key::Support;
use super::listeners::host_and_port;
use super::settings::Settings;
use super::several;
use super::storage_cli;
use super::{ConfigError, broker_keys, environment, properties, value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the process finds around it. Given as values, so that tests can say what it is.
pub struct Surroundings<'a> {
    pub args: Vec<OsString>,
    pub env: Vec<(String, String)>,
    pub hostname: String,
    pub read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// A path for a temporary directory that does not exist yet.
    pub fresh_temporary_dir: &'a dyn Fn() -> PathBuf,
}

/// What was asked for.
#[derive(Debug)]
pub enum Command {
    Run(Box<Startup>),
    /// Print this and end: `--help`, `--version`.
    Print(String),
    /// `klamm health`: ask the broker whose `admin.listener` has this host and port.
    Health(String, u16),
    Storage(StorageCommand),
    Doctor(Box<DoctorCommand>),
}

/// What `klamm storage` is to do.
#[derive(Debug)]
pub enum StorageCommand {
    RandomUuid,
    Info(Arc<Settings>),
    Format(Box<FormatCommand>),
}

/// `klamm storage format`
#[derive(Debug)]
pub struct FormatCommand {
    pub settings: Arc<Settings>,
    pub cluster_id: String,
    pub ignore_formatted: bool,
    pub release: Option<String>,
    /// Each `name=level`.
    pub features: Vec<String>,
    /// Each as `--add-scram` has it.
    pub scram: Vec<String>,
}

/// Everything a broker starts with.
#[derive(Debug)]
pub struct Startup {
    pub config: BrokerConfig,
    /// `--brokers`: the other nodes of this process.
    pub others: Vec<BrokerConfig>,
    pub create_topics: Vec<TopicToCreate>,
    /// `--ephemeral`: the directory that holds all data, to be removed at exit.
    pub ephemeral: Option<PathBuf>,
    pub log_format: LogFormat,
    /// `--kafka-ready-lines`
    pub kafka_ready_lines: bool,
    /// For the log, at WARN: one sentence each.
    pub warnings: Vec<String>,
    /// For the log, at INFO: one sentence each.
    pub notes: Vec<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    File { path: PathBuf, line: usize },
    Variable(String),
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "line {line} of {}", path.display()),
            Origin::Variable(name) => write!(f, "the environment variable {name}"),
            Origin::Option(name) => f.write_str(name),
        }
    }
}

type Collected = BTreeMap<String, (String, Origin)>;

/// Reads the command line, the environment and the file it names.
pub fn load(around: Surroundings<'_>) -> Result<Command, ConfigError> {
    if around.args.get(1).is_some_and(|word| word == "storage") {
        return storage(around);
    }
    if around.args.get(1).is_some_and(|word| word == "doctor") {
        let args = std::iter::once(OsString::from("klamm doctor")).chain(around.args.into_iter().skip(2));
        let command = doctor_cli::parse(args, around.read_file)?;
        return Ok(command.map_or_else(Command::Print, |command| Command::Doctor(Box::new(command))));
    }
    let cli = match cli::parse(around.args)? {
        Parsed::Print(text) => return Ok(Command::Print(text)),
        Parsed::Run(cli) => cli,
    };
    if let Some(Instead::Storage | Instead::Doctor) = cli.instead {
        return Err(ConfigError::new(
            "storage and doctor have options of their own: write the word directly after klamm.",
        ));
    }
    let mut collected = Collected::new();
    if let Some(path) = &cli.config {
        from_file(path, around.read_file, &mut collected)?;
    }
    for (variable, text) in &around.env {
        if let Some(key) = environment::key(variable) {
            collected.insert(key, (text.clone(), Origin::Variable(variable.clone())));
        }
    }
    let ephemeral = from_command_line(&cli, around.fresh_temporary_dir, &mut collected)?;
    if let Some(Instead::Health) = cli.instead {
        // Nothing else of the configuration need be known, or be right, from here.
        let given = collected.get("admin.listener").map(|(text, _)| text.clone());
        let address = admin_listener(given.as_deref().unwrap_or(ADMIN_DEFAULT))?;
        let (host, port) = address.ok_or_else(|| {
            ConfigError::new("admin.listener is empty, so nobody can be asked: give it an address, as 127.0.0.1:9644.")
        })?;
        return Ok(Command::Health(host, port));
    }
    check(&collected)?;
    let (warnings, notes) = remarks(&collected);
    let variable =
        |named: &str| around.env.iter().find(|(name, _)| name == named).map_or("", |(_, text)| text.as_str());
    let from_variable = variable("KLAMM_CREATE_TOPICS").split([';', ' ', '\n', '\t']).filter(|text| !text.is_empty());
    let create_topics = from_variable
        .map(|text| ("KLAMM_CREATE_TOPICS", text))
        .chain(cli.create_topic.iter().map(|text| ("--create-topic", text.as_str())))
        .map(|(origin, text)| cli::topic(origin, text))
        .collect::<Result<_, _>>()?;
    let cluster_id = Some(variable("CLUSTER_ID").to_owned()).filter(|id| !id.is_empty());
    let given: Values = collected.into_iter().map(|(key, (text, _))| (key, text)).collect();
    let mut nodes = match cli.brokers {
        None => vec![given],
        Some(count) => several::nodes(&given, count)?,
    }
    .into_iter()
    .map(|given| BrokerConfig::for_host(given, &around.hostname, cluster_id.clone()));
    let config = nodes.next().unwrap_or_else(|| Err(ConfigError::new("There is no node to start.")))?;
    let others = nodes.collect::<Result<_, _>>()?;
    let (log_format, kafka_ready_lines) = (cli.log_format, cli.kafka_ready_lines);
    Ok(Command::Run(Box::new(Startup {
        config,
        others,
        create_topics,
        ephemeral,
        log_format,
        kafka_ready_lines,
        warnings,
        notes,
    })))
}

/// `klamm storage`: as Kafka's tool does, it goes by the file alone.
fn storage(around: Surroundings<'_>) -> Result<Command, ConfigError> {
    let args = std::iter::once(OsString::from("klamm storage")).chain(around.args.into_iter().skip(2));
    let command = match storage_cli::parse(args)? {
        Ok(command) => command,
        Err(text) => return Ok(Command::Print(text)),
    };
    let settings = |path: &Path| {
        let mut collected = Collected::new();
        from_file(path, around.read_file, &mut collected)?;
        check(&collected)?;
        let given: Values = collected.into_iter().map(|(key, (text, _))| (key, text)).collect();
        BrokerConfig::for_host(given, &around.hostname, None).map(|config| Arc::clone(config.settings()))
    };
    Ok(Command::Storage(match command {
        storage_cli::Command::RandomUuid => StorageCommand::RandomUuid,
        storage_cli::Command::Info { config } => StorageCommand::Info(settings(&config)?),
        storage_cli::Command::Format(format) => {
            storage_cli::refuse_clusters(&format)?;
            StorageCommand::Format(Box::new(FormatCommand {
                settings: settings(&format.config)?,
                cluster_id: format.cluster_id,
                ignore_formatted: format.ignore_formatted,
                release: format.release_version,
                features: format.feature,
                scram: format.add_scram,
            }))
        }
    }))
}

fn from_file(
    path: &Path,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    to: &mut Collected,
) -> Result<(), ConfigError> {
    let shown = path.display();
    let bytes = read_file(path).map_err(|error| {
        ConfigError::new(format!("Cannot read {shown} ({error}): give --config a file that exists and can be read."))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ConfigError::new(format!("{shown} is not UTF-8 text: give --config a properties file.")))?;
    let parsed = properties::parse(&text).map_err(|fault| ConfigError::new(format!("In {shown}: {fault}")))?;
    for property in parsed {
        let origin = Origin::File { path: path.to_owned(), line: property.line };
        to.insert(property.key, (property.value, origin));
    }
    Ok(())
}

/// Returns the temporary directory, if one is to be used.
fn from_command_line(
    cli: &Cli,
    fresh_temporary_dir: &dyn Fn() -> PathBuf,
    to: &mut Collected,
) -> Result<Option<PathBuf>, ConfigError> {
    for text in &cli.set {
        let (name, value) = cli::setting(text)?;
        to.insert(name.to_owned(), (value.to_owned(), Origin::Option("--set")));
    }
    let mut ephemeral = None;
    if cli.ephemeral {
        if cli.data_dir.is_some() {
            return Err(ConfigError::new(
                "--ephemeral and --data-dir contradict each other: leave out --data-dir for a temporary directory.",
            ));
        }
        let dir = fresh_temporary_dir();
        data_dir(&dir, "--ephemeral", to)?;
        ephemeral = Some(dir);
    } else if let Some(dir) = &cli.data_dir {
        data_dir(dir, "--data-dir", to)?;
    }
    if let Some(address) = &cli.listen {
        checked_address(address, "--listen")?;
        // Of listeners from elsewhere only the controller's stay: those for clients are replaced.
        let controllers = list(to, "controller.listener.names");
        let mut listeners = vec![format!("PLAINTEXT://{address}")];
        listeners.extend(
            list(to, "listeners")
                .into_iter()
                .filter(|item| item.split_once("://").is_some_and(|(name, _)| controllers.iter().any(|c| c == name))),
        );
        to.insert("listeners".into(), (listeners.join(","), Origin::Option("--listen")));
    }
    if let Some(address) = &cli.advertise {
        let (host, _) = checked_address(address, "--advertise")?;
        if host.is_empty() {
            return Err(ConfigError::new(
                "--advertise needs a host that clients can reach: write --advertise HOST:PORT.",
            ));
        }
        // It is about the first listener for clients; the others keep what they advertise.
        let controllers = list(to, "controller.listener.names");
        let listeners = list(to, "listeners");
        let names = listeners.iter().filter_map(|item| item.split_once("://")).map(|(name, _)| name);
        let name = names.into_iter().find(|name| !controllers.iter().any(|c| c == name)).unwrap_or("PLAINTEXT");
        let mut advertised = list(to, "advertised.listeners");
        if advertised.is_empty() {
            advertised = listeners.clone();
        }
        advertised.retain(|item| {
            item.split_once("://")
                .is_some_and(|(other, _)| !other.eq_ignore_ascii_case(name) && !controllers.iter().any(|c| c == other))
        });
        advertised.insert(0, format!("{name}://{address}"));
        to.insert("advertised.listeners".into(), (advertised.join(","), Origin::Option("--advertise")));
    }
    Ok(ephemeral)
}

fn list(from: &Collected, key: &str) -> Vec<String> {
    let text = from.get(key).map(|(text, _)| text.as_str()).unwrap_or_default();
    value::split_list(text).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn data_dir(dir: &Path, option: &'static str, to: &mut Collected) -> Result<(), ConfigError> {
    let Some(text) = dir.to_str().filter(|text| !text.is_empty() && !text.contains(',')) else {
        return Err(ConfigError::new(format!(
            "{option} {:?} cannot be used as a directory name: choose one that is text without commas.",
            dir.display()
        )));
    };
    to.insert("log.dirs".into(), (text.to_owned(), Origin::Option(option)));
    Ok(())
}

fn checked_address<'a>(address: &'a str, option: &str) -> Result<(&'a str, u16), ConfigError> {
    host_and_port(address).ok_or_else(|| {
        ConfigError::new(format!(
            "{option} {address:?} is not an address: write HOST:PORT, for example localhost:9092."
        ))
    })
}

/// Every value by itself: its type, its bounds, and whether we can do it.
fn check(collected: &Collected) -> Result<(), ConfigError> {
    for (name, (text, origin)) in collected {
        if broker_keys::is_dynamic_only(name) {
            continue;
        }
        let Some(key) = key_of(name) else {
            continue;
        };
        // Behind a listener's prefix a value is checked as its base key is.
        let lenient = ["listeners", "advertised.listeners", "controller.listener.names"].contains(&key.name);
        let text = if lenient { text.trim().trim_end_matches([',', ' ']) } else { text };
        let parsed = key.parse(text).map_err(|bad| {
            let shown = if key.is_sensitive() { "its value is wrong".into() } else { bad.to_string() };
            ConfigError::new(format!("{shown} ({origin}): correct it{}.", bounds(&key.allowed())))
        })?;
        if let Some(sentence) = refusal(key, &parsed) {
            return Err(ConfigError::new(format!("{sentence} ({origin}).")));
        }
    }
    Ok(())
}

fn bounds(allowed: &str) -> String {
    if allowed.is_empty() { String::new() } else { format!(" (allowed: {allowed})") }
}

/// What is worth saying about values that are accepted: warnings, then notes.
fn remarks(collected: &Collected) -> (Vec<String>, Vec<String>) {
    let mut unknown = Vec::new();
    let mut without_effect: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for (name, (text, _)) in collected {
        match key_of(name) {
            None => unknown.push(name.as_str()),
            Some(key) => {
                let as_default = key.parse(text).ok() == key.default_value();
                if let (Support::NoEffect(reason), false) = (key.support, as_default) {
                    without_effect.entry(reason).or_default().push(name);
                }
            }
        }
    }
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        warnings.push(format!("unknown settings are ignored: {}", unknown.join(", ")));
    }
    let notes = without_effect
        .into_iter()
        .map(|(reason, names)| format!("without effect: {} ({})", names.join(", "), reason.trim_end_matches('.')))
        .collect();
    (warnings, notes)
}
