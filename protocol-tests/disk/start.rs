//! Faults at the start: one sentence, exit code 1.

use super::support::broker::free_port;
use super::support::{Broker, PATIENCE};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts the binary, which must refuse to run; returns what it said.
fn refused(dir: &Path, port: u16, more: &[&str], cluster: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
    command.arg("--data-dir").arg(dir).args(["--listen", &format!("127.0.0.1:{port}"), "--set", "admin.listener="]);
    command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(cluster) = cluster {
        command.env("CLUSTER_ID", cluster);
    }
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it runs, but should not");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    // What is logged before is no part of it.
    let sentences: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(sentences.len(), 1, "{said}");
    sentences[0].to_owned()
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn a_data_directory_that_another_process_uses_is_refused() {
    let broker = Broker::start();
    let data = broker.data_dir().join("data");
    let said = refused(&data, free_port(), &[], None);
    assert_says(&said, &[&data.display().to_string(), "in use by another process"]);
}

#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let mut broker = Broker::start();
    let data = broker.data_dir().join("data");
    broker.stop();
    let said = refused(&data, free_port(), &["--set", "node.id=7"], None);
    assert_says(&said, &[&data.display().to_string(), "node 1", "node.id is 7"]);
    let said = refused(&data, free_port(), &[], Some("AAAAAAAAAAAAAAAAAAAAAA"));
    assert_says(&said, &[&data.display().to_string(), "cluster", "AAAAAAAAAAAAAAAAAAAAAA"]);
    // Neither has done any harm.
    broker.start_again();
}

#[test]
fn a_taken_port_is_refused_before_the_data_directory_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_says(&refused(&data, port, &[], None), &[&port.to_string(), "taken by another process", "--listen"]);
    assert!(!data.exists());
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, "x").unwrap();
    assert_says(&refused(&file, free_port(), &[], None), &[&file.display().to_string()]);
}
