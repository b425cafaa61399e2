//! `klamm storage`: prepares data directories before the first start, and shows what is in them (`kafka-storage`).
//!
//! What it prints is what Apache Kafka's tool prints, so that scripts that read it go on working.

use crate::config::{FormatCommand, Settings, StorageCommand};
use crate::controller::format;
use crate::quorum;
use crate::rt::fs::Fs;
use crate::rt::rand;
use crate::storage::dirs::{Formatted, format_dir, formatted};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a command printed, and whether all is well.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub text: String,
    pub success: bool,
}

/// Does what the command says.
///
/// # Errors
/// One sentence.
pub fn run(command: &StorageCommand, fs: &dyn Fs) -> Result<Outcome, String> {
    match command {
        StorageCommand::RandomUuid => Ok(Outcome { text: format!("{}\n", new_id()), success: true }),
        StorageCommand::Info(settings) => Ok(info(settings, fs)),
        StorageCommand::Format(command) => {
            let text = format_all(command, fs)?;
            Ok(Outcome { text, success: true })
        }
    }
}

fn new_id() -> crate::model::TopicId {
    crate::model::TopicId(rand::uuid())
}

/// Every directory, each once, in the order of their names.
fn directories(settings: &Settings) -> BTreeSet<PathBuf> {
    settings.log.dirs.iter().cloned().chain([metadata_dir(settings)]).collect()
}

fn metadata_dir(settings: &Settings) -> PathBuf {
    let first = || settings.log.dirs.first().cloned().unwrap_or_default();
    settings.quorum.metadata_dir.clone().unwrap_or_else(first)
}

fn format_all(command: &FormatCommand, fs: &dyn Fs) -> Result<String, String> {
    let FormatCommand { settings, cluster_id, ignore_formatted, release, features, scram } = command;
    let asked = format::Format {
        release: release.as_deref(),
        features: features.iter().map(String::as_str).collect(),
        scram: scram.iter().map(String::as_str).collect(),
    };
    let (level, records) = format::format(&asked, &mut || new_id().to_string().into_bytes())?;
    let mut empty = Vec::new();
    let mut done = None;
    for dir in directories(settings) {
        match formatted(fs, &dir).map_err(|why| format!("{}: {why}", dir.display()))? {
            None => empty.push(dir),
            Some(there) => {
                check_owner(&there, &dir, cluster_id, settings)?;
                done.get_or_insert(dir);
            }
        }
    }
    if let Some(dir) = done.filter(|_| !ignore_formatted) {
        return Err(format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            dir.display()
        ));
    }
    if empty.is_empty() {
        return Ok("All of the log directories are already formatted.\n".into());
    }
    let mut text = format!("Bootstrap metadata: {}\n", format::show(level, &records));
    let metadata_dir = metadata_dir(settings);
    for dir in empty {
        let kind = if dir == metadata_dir { "metadata directory" } else { "data directory" };
        let name = format::release_name(level);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Formatting {kind} {} with metadata.version {name}.", dir.display());
        let fault = |why: &dyn std::fmt::Display| format!("Error while formatting {}: {why}", dir.display());
        fs.create_dir_all(&dir).map_err(|error| fault(&error))?;
        // The sign that the directory is formatted comes last.
        quorum::write_bootstrap(fs, &dir, level, &records).map_err(|error| fault(&error))?;
        format_dir(fs, &dir, cluster_id, settings.node_id).map_err(|error| fault(&error))?;
    }
    Ok(text)
}

fn check_owner(there: &Formatted, dir: &Path, cluster_id: &str, settings: &Settings) -> Result<(), String> {
    let fault = |what: &str, expected: &str, read: &str| {
        let path = dir.join("meta.properties");
        Err(format!("Invalid {what} in: {}. Expected {expected}, but read {read}", path.display()))
    };
    if let Some(read) = there.cluster_id.as_deref().filter(|read| *read != cluster_id) {
        return fault("cluster.id", cluster_id, read);
    }
    if let Some(read) = there.node_id.filter(|read| *read != settings.node_id) {
        return fault("node.id", &settings.node_id.0.to_string(), &read.0.to_string());
    }
    Ok(())
}

fn info(settings: &Settings, fs: &dyn Fs) -> Outcome {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut first: Option<Formatted> = None;
    for dir in directories(settings) {
        let shown = dir.display();
        if !fs.exists(&dir) {
            problems.push(format!("{shown} does not exist"));
            continue;
        }
        if fs.read_dir(&dir).is_err() {
            problems.push(format!("{shown} is not a directory"));
            continue;
        }
        found.push(shown.to_string());
        match formatted(fs, &dir) {
            Ok(None) => problems.push(format!("{shown} is not formatted.")),
            Err(why) => problems.push(format!("Error loading {}: {why}", dir.join("meta.properties").display())),
            Ok(Some(there)) => match &first {
                None => first = Some(there),
                Some(known) if known.cluster_id != there.cluster_id => {
                    problems.push("Mismatched cluster IDs between storage directories.".into());
                }
                Some(known) if known.node_id != there.node_id => {
                    problems.push("Mismatched node IDs between storage directories.".into());
                }
                Some(_) => {}
            },
        }
    }
    let mut text = section("Found log directory:", "Found log directories:", &found);
    if let Some(there) = &first {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Found metadata: {}\n", there.shown);
    }
    text += &section("Found problem:", "Found problems:", &problems);
    Outcome { text, success: problems.is_empty() }
}

/// Lines under a heading, which is another for a single one; nothing for none.
fn section(one: &str, many: &str, items: &[String]) -> String {
    let heading = match items {
        [] => return String::new(),
        [_] => one,
        _ => many,
    };
    format!("{heading}\n{}\n", items.iter().map(|item| format!("  {item}\n")).collect::<String>())
}

#[cfg(test)]
mod tests;
