#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{BrokerConfig, Values};
use crate::metadata::Record;
use crate::model::ScramMechanism;
use crate::rt::fs::sim::SimFs;
use std::sync::Arc;

fn settings(pairs: &[(&str, &str)]) -> Arc<Settings> {
    let values: Values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Arc::clone(BrokerConfig::new(values).unwrap().settings())
}

const TWO: [(&str, &str); 2] = [("log.dirs", "/data/b,/data/a"), ("node.id", "7")];

fn command(cluster_id: &str, ignore_formatted: bool) -> StorageCommand {
    StorageCommand::Format(Box::new(FormatCommand {
        settings: settings(&TWO),
        cluster_id: cluster_id.into(),
        ignore_formatted,
        release: None,
        features: vec![],
        scram: vec!["SCRAM-SHA-256=[name=alice,password=secret]".into()],
    }))
}

fn run_on(fs: &Arc<dyn Fs>, command: &StorageCommand) -> Result<String, String> {
    run(command, fs.as_ref()).map(|outcome| outcome.text)
}

#[test]
fn every_directory_is_formatted_and_the_metadata_directory_begins_with_the_records() {
    let fs: Arc<dyn Fs> = SimFs::new().shared();
    let text = run_on(&fs, &command("cluster", false)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion("), "{text}");
    assert_eq!(
        lines[1..],
        [
            "Formatting data directory /data/a with metadata.version 4.3-IV0.",
            "Formatting metadata directory /data/b with metadata.version 4.3-IV0."
        ]
    );
    for dir in ["/data/a", "/data/b"] {
        let there = formatted(fs.as_ref(), Path::new(dir)).unwrap().unwrap();
        assert_eq!(there.cluster_id.as_deref(), Some("cluster"));
        assert_eq!(there.node_id.map(|id| id.0), Some(7));
        let records = quorum::bootstrap_records(fs.as_ref(), Path::new(dir)).unwrap().unwrap();
        assert_eq!(records.len(), 7);
        let Record::ScramCredential(one) = &records[6] else { panic!("{records:?}") };
        assert_eq!((one.user.as_str(), one.mechanism), ("alice", ScramMechanism::Sha256));
    }
}

#[test]
fn what_is_formatted_stays_unless_it_is_to_be_ignored() {
    let fs: Arc<dyn Fs> = SimFs::new().shared();
    run_on(&fs, &command("cluster", false)).unwrap();
    assert_eq!(
        run_on(&fs, &command("cluster", false)).unwrap_err(),
        "Log directory /data/a is already formatted. Use --ignore-formatted to ignore this directory and format the others."
    );
    assert_eq!(run_on(&fs, &command("cluster", true)).unwrap(), "All of the log directories are already formatted.\n");
    assert_eq!(
        run_on(&fs, &command("other", true)).unwrap_err(),
        "Invalid cluster.id in: /data/a/meta.properties. Expected other, but read cluster"
    );
}

#[test]
fn info_tells_what_is_there_and_what_is_wrong() {
    let fs: Arc<dyn Fs> = SimFs::new().shared();
    let info = StorageCommand::Info(settings(&TWO));
    let outcome = run(&info, fs.as_ref()).unwrap();
    assert_eq!(outcome.text, "Found problems:\n  /data/a does not exist\n  /data/b does not exist\n\n");
    assert!(!outcome.success);
    fs.create_dir_all(Path::new("/data/a")).unwrap();
    run_on(&fs, &command("cluster", false)).unwrap();
    let outcome = run(&info, fs.as_ref()).unwrap();
    assert!(outcome.success);
    let begin = "Found log directories:\n  /data/a\n  /data/b\n\nFound metadata: {cluster.id=cluster, directory.id=";
    assert!(
        outcome.text.starts_with(begin) && outcome.text.ends_with(", node.id=7, version=1}\n\n"),
        "{}",
        outcome.text
    );
}

#[test]
fn a_random_uuid_is_22_characters_that_do_not_begin_like_an_option() {
    let fs: Arc<dyn Fs> = SimFs::new().shared();
    let text = run_on(&fs, &StorageCommand::RandomUuid).unwrap();
    assert_eq!(text.trim_end().len(), 22);
    assert!(!text.starts_with('-'));
}
