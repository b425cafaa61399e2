#![allow(clippy::unwrap_used)]
use super::*;
use std::fmt::Write as _;

const BEGIN: &str = "<!-- apis:begin -->\n";
const END: &str = "<!-- apis:end -->\n";

fn table() -> String {
    let mut table = String::from("| Key | API | Versions |\n|---:|---|---|\n");
    let mut apis: Vec<&Served> = served().iter().collect();
    apis.sort_by_key(|api| api.key);
    for Served { key, name, versions: Versions { min, max }, .. } in apis {
        let versions = if min == max { min.to_string() } else { format!("{min}-{max}") };
        writeln!(table, "| {key} | {name} | {versions} |").unwrap();
    }
    table
}

/// `UPDATE_README=1` has it written instead of compared.
#[test]
fn the_readme_has_the_apis_that_are_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, [before, BEGIN, &table(), END, after].concat()).unwrap();
    } else {
        assert_eq!(shown, table(), "scripts/fix renews the table");
    }
}

#[test]
fn what_brokers_say_to_the_controller_is_served_to_controllers_listeners_only() {
    let clients: Vec<&str> = served_on(Side::Broker).map(|api| api.name).collect();
    for name in ["AlterPartition", "Envelope", "BrokerRegistration", "BrokerHeartbeat", "AllocateProducerIds"] {
        assert!(!clients.contains(&name) && served_on(Side::Controller).any(|api| api.name == name), "{name}");
    }
    assert!(served_on(Side::Controller).all(|api| ![produce::KEY, fetch::KEY].contains(&api.key)));
}

#[test]
fn each_api_is_listed_once() {
    let mut keys: Vec<i16> = served().iter().map(|api| api.key).collect();
    keys.sort_unstable();
    assert!(keys.is_sorted_by(|a, b| a < b));
}
