//! The command line of `klamm doctor`, whose options are those of Kafka's tools.

use super::ConfigError;
use super::client::{ClientSettings, addresses};
use crate::model::TopicName;
use clap::Parser;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Says whether a client could work with a Kafka cluster from here, and what to change where not.
///
/// Works against every broker that speaks Kafka's protocol. Exit code 0: all is well.
#[derive(Debug, Parser)]
#[command(name = "klamm doctor", disable_help_subcommand = true)]
struct Cli {
    /// Brokers to begin with, as HOST:PORT,...; otherwise bootstrap.servers of the file, or localhost:9092
    #[arg(value_name = "BOOTSTRAP")]
    bootstrap: Option<String>,
    /// The same, as Kafka's tools have it
    #[arg(long, value_name = "HOST:PORT,...", conflicts_with = "bootstrap")]
    bootstrap_server: Option<String>,
    /// A client's settings: security.protocol, ssl.*, sasl.*
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// The topic to write one record to and read it from. It is removed afterwards if it did not exist; without this
    /// option it is one with a name that nobody else has
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// How long each step may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    timeout: u32,
}

/// What `klamm doctor` is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct DoctorCommand {
    /// At least one.
    pub bootstrap: Vec<(String, u16)>,
    pub client: ClientSettings,
    /// `None`: one of its own.
    pub topic: Option<TopicName>,
    /// For each step.
    pub timeout: Duration,
}

/// What the command line asks for; or the text to print.
pub(super) fn parse(
    args: impl IntoIterator<Item = OsString>,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Result<DoctorCommand, String>, ConfigError> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => return Ok(Err(error.to_string())),
        Err(error) => {
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(ConfigError::new(format!("The command line is wrong: {what}; see klamm doctor --help.")));
        }
    };
    let text = match &cli.command_config {
        None => String::new(),
        Some(path) => {
            let shown = path.display();
            let bytes = read_file(path).map_err(|error| {
                ConfigError::new(format!(
                    "Cannot read {shown} ({error}): give --command-config a file that exists and can be read."
                ))
            })?;
            String::from_utf8(bytes).map_err(|_| {
                ConfigError::new(format!("{shown} is not UTF-8 text: give --command-config a properties file."))
            })?
        }
    };
    let client = ClientSettings::parse(&text)?;
    let bootstrap = match cli.bootstrap.or(cli.bootstrap_server) {
        Some(text) => addresses(&text)?,
        None if client.bootstrap.is_empty() => addresses("localhost:9092")?,
        None => client.bootstrap.clone(),
    };
    if let Some(what) = cli.topic.as_deref().and_then(TopicName::fault) {
        return Err(ConfigError::new(format!("--topic cannot be used: {what}; choose another name.")));
    }
    let timeout = Duration::from_millis(u64::from(cli.timeout));
    Ok(Ok(DoctorCommand { bootstrap, client, topic: cli.topic.as_deref().map(TopicName::new), timeout }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(line: &str) -> Result<Result<DoctorCommand, String>, ConfigError> {
        let args = std::iter::once("klamm doctor").chain(line.split_whitespace()).map(OsString::from);
        parse(args, &|_| Ok(b"bootstrap.servers=file:1".to_vec()))
    }

    #[test]
    fn the_command_line_is_stronger_than_the_file_and_the_file_than_the_default() {
        for (line, host) in [
            ("", "localhost"),
            ("--command-config f", "file"),
            ("here:2 --command-config f", "here"),
            ("--bootstrap-server here:2 --command-config f", "here"),
        ] {
            assert_eq!(parsed(line).unwrap().unwrap().bootstrap[0].0, host, "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        for line in ["--nix", "a:1 --bootstrap-server b:1", "--timeout 0", "--topic a/b", "a:b"] {
            let fault = parsed(line).unwrap_err().to_string();
            assert!(fault.ends_with('.') && !fault.contains('\n'), "{fault:?}");
        }
        assert!(parsed("--help").unwrap().unwrap_err().contains("--command-config"));
    }
}
