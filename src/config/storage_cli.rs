//! The command line of `klamm storage`, which is that of `kafka-storage`.

use super::ConfigError;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Prepares and shows data directories, as kafka-storage does.
#[derive(Debug, Parser)]
#[command(name = "klamm storage", disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a random UUID.
    RandomUuid,
    /// Get information about the log directories of this node.
    Info {
        /// The configuration file to use.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Format the log directories of this node.
    Format(Format),
}

#[derive(Debug, Args)]
pub(super) struct Format {
    /// The configuration file to use.
    #[arg(long, short)]
    pub(super) config: PathBuf,
    /// The cluster ID to use.
    #[arg(long, short = 't')]
    pub(super) cluster_id: String,
    /// A user to begin with: 'SCRAM-SHA-256=[name=alice,password=alice-secret]' or
    /// 'SCRAM-SHA-512=[name=alice,iterations=8192,salt="N3E=",saltedpassword="YCE="]'; may be given again
    #[arg(long, short = 'S')]
    pub(super) add_scram: Vec<String>,
    /// Skip directories that are formatted already instead of failing.
    #[arg(long, short = 'g')]
    pub(super) ignore_formatted: bool,
    /// The release whose features the cluster begins with.
    #[arg(long, short)]
    pub(super) release_version: Option<String>,
    /// The level of a feature, as feature=level; may be given again
    #[arg(long, short)]
    pub(super) feature: Vec<String>,
    /// Be a quorum of this node alone, which it is without this option too.
    #[arg(long, short)]
    pub(super) standalone: bool,
    /// Begin without a quorum: not supported yet.
    #[arg(long, short = 'N')]
    pub(super) no_initial_controllers: bool,
    /// Begin with a quorum of several nodes: not supported yet.
    #[arg(long, short = 'I')]
    pub(super) initial_controllers: Option<String>,
}

/// What the command line asks for; or the text to print.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Result<Command, String>, ConfigError> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(Ok(cli.command)),
        Err(error) if !error.use_stderr() => Ok(Err(error.to_string())),
        Err(error) => {
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(ConfigError::new(format!("The command line is wrong: {what}; see klamm storage --help.")))
        }
    }
}

/// Kafka's flags for clusters of several nodes, which are for later.
pub(super) fn refuse_clusters(format: &Format) -> Result<(), ConfigError> {
    let flag = match format {
        Format { no_initial_controllers: true, .. } => "--no-initial-controllers",
        Format { initial_controllers: Some(_), .. } => "--initial-controllers",
        _ => return Ok(()),
    };
    Err(ConfigError::new(format!(
        "{flag} is for controllers that find each other without controller.quorum.voters, which is not supported yet: name \
         them there, and leave it out."
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(line: &str) -> Command {
        let args = std::iter::once("klamm storage").chain(line.split_whitespace()).map(OsString::from);
        parse(args).unwrap().unwrap()
    }

    #[test]
    fn kafkas_flags_are_taken_in_both_lengths() {
        let long = "format --config f --cluster-id t --add-scram a --add-scram b --ignore-formatted --release-version r \
                    --feature x=1 --feature y=2 --standalone";
        let short = "format -c f -t t -S a -S b -g -r r -f x=1 -f y=2 -s";
        for line in [long, short] {
            let Command::Format(format) = parsed(line) else { panic!("{line} is not format") };
            assert_eq!((format.config, format.cluster_id.as_str()), (PathBuf::from("f"), "t"));
            assert_eq!(
                (format.add_scram, format.feature),
                (vec!["a".into(), "b".into()], vec!["x=1".into(), "y=2".into()])
            );
            assert!(format.ignore_formatted && format.standalone);
            assert_eq!(format.release_version.as_deref(), Some("r"));
        }
        assert!(matches!(parsed("random-uuid"), Command::RandomUuid));
        assert!(matches!(parsed("info -c f"), Command::Info { .. }));
    }

    #[test]
    fn what_is_for_clusters_is_refused_in_a_sentence() {
        for flag in ["-N", "-I 0@a:1:b"] {
            let Command::Format(format) = parsed(&format!("format -c f -t t {flag}")) else { panic!("not format") };
            assert!(refuse_clusters(&format).unwrap_err().to_string().contains("not supported yet"));
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        for line in ["format", "format -c f", "nix", ""] {
            let args = std::iter::once("klamm storage").chain(line.split_whitespace()).map(OsString::from);
            let fault = match parse(args) {
                Err(fault) => fault.to_string(),
                Ok(Err(text)) => text,
                Ok(Ok(command)) => panic!("{line} was accepted as {command:?}"),
            };
            assert!(fault.contains("klamm storage"), "{fault}");
        }
    }
}
