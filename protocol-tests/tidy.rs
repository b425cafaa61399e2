//! The rules about source that a compiler does not check: layers, doors, purity, size.
//!
//! Each rule is a function from a file to its faults. The first test applies them all to the
//! project; the others show that each rule sees what it is there to see.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. A module names only itself and those before it.
const LAYERS: [&str; 24] = [
    "model",
    "config",
    "rt",
    "tls",
    "metrics",
    "record",
    "wire",
    "storage",
    "peer",
    "metadata",
    "quorum",
    "controller",
    "partition",
    "replica",
    "coordinator",
    "share",
    "group",
    "txn",
    "access",
    "api",
    "server",
    "admin",
    "doctor",
    "node",
];

/// Who may name the crate that decodes Kafka's messages: it is not safe on hostile bytes.
const MESSAGES: [&str; 3] = ["wire", "peer", "api"];

/// What reaches outside the program, and who may name it besides `rt`.
const DOORS: [(&str, &[&str]); 11] = [
    ("std::fs", &[]),
    ("tokio::fs", &[]),
    ("std::env", &[]),
    ("SystemTime", &[]),
    ("Instant::now", &[]),
    ("getrandom", &[]),
    ("rustix", &[]),
    ("TcpListener", &["server", "peer", "admin"]),
    ("TcpStream", &["server", "peer", "admin"]),
    ("tokio::net", &["server", "peer", "admin"]),
    ("socket2", &["server", "peer"]),
];

/// What a decision must not depend on.
const IMPURE: [&str; 9] =
    ["tokio", "std::time", "Instant", "SystemTime", "std::fs", "HashMap", "HashSet", "rand::", "async "];

const LINES_MAX: usize = 800;

/// A Rust source file of the library.
struct Source {
    /// Relative to the project, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    /// The top module that the file belongs to: `src/api/fetch.rs` and `src/api.rs` are `api`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// Is the whole file test code?
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    /// Does the file hold decisions that are tested as plain calls?
    fn is_machine(&self) -> bool {
        self.path.split('/').any(|part| part == "machine" || part == "machine.rs" || part.ends_with("_machine.rs"))
    }
}

#[test]
fn the_source_keeps_the_projects_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut seen = 0;
    for path in files(root, &["src", "protocol-tests", "compat", "scripts", "fuzz", "benches"]) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        faults.extend(machine_paths(&shown, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = Source { path: shown, text };
            seen += 1;
            faults.extend(check(&source));
        }
    }
    for name in ["README.md", "CHANGELOG.md", "Cargo.toml", "Dockerfile", "src/README.md", ".ci/run"] {
        if let Ok(text) = fs::read_to_string(root.join(name)) {
            faults.extend(machine_paths(name, &text));
        }
    }
    let lib = fs::read_to_string(root.join("src/lib.rs")).unwrap_or_default();
    faults.extend(order_of_modules(&lib));
    assert!(seen > 20, "only {seen} source files were found under {}", root.display());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn check(source: &Source) -> Vec<String> {
    let mut faults = size(source);
    let code = code_of(&source.text);
    faults.extend(unfinished(source, &code));
    let shipped = if source.is_test() { String::new() } else { without_tests(&code) };
    faults.extend(layers(source, &code));
    faults.extend(doors(source, &shipped));
    faults.extend(messages(source, &shipped));
    faults.extend(purity(source, &shipped));
    faults
}

/// A module names only itself and lower ones.
fn layers(source: &Source, code: &str) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let Some(own) = LAYERS.iter().position(|layer| *layer == module) else {
        return vec![format!("{}: the module {module} is in no layer: add it to LAYERS", source.path)];
    };
    let mut faults = Vec::new();
    for named in crate_modules(code) {
        match LAYERS.iter().position(|layer| *layer == named) {
            Some(other) if other > own => {
                faults.push(format!("{}: {module} names {named}, which is above it", source.path));
            }
            Some(_) => {}
            // A macro of the crate, or an item of lib.rs.
            None => {}
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// The names after `crate::` and in `crate::{...}`.
fn crate_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        // `$crate::` and `crate::` are the same here; `some_crate::` is not.
        if code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '}' if depth == 0 => break,
                    ',' if depth == 0 => names.push(identifier(&std::mem::take(&mut item))),
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            names.push(identifier(&item));
        } else {
            names.push(identifier(rest));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// `lib.rs` declares the modules in layer order.
fn order_of_modules(lib: &str) -> Vec<String> {
    let declared: Vec<&str> =
        lib.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut faults = Vec::new();
    if declared.is_empty() {
        faults.push("src/lib.rs: no module is declared".to_owned());
    }
    let positions: Vec<Option<usize>> =
        declared.iter().map(|name| LAYERS.iter().position(|layer| layer == name)).collect();
    for (name, position) in declared.iter().zip(&positions) {
        if position.is_none() {
            faults.push(format!("src/lib.rs: the module {name} is in no layer: add it to LAYERS"));
        }
    }
    if !positions.iter().flatten().is_sorted() {
        faults.push(format!("src/lib.rs: the modules are not in layer order: {}", declared.join(", ")));
    }
    faults
}

/// Only `rt` reaches outside, and the sockets of those who have them.
fn doors(source: &Source, code: &str) -> Vec<String> {
    let Some(module) = source.module().filter(|module| *module != "rt") else { return Vec::new() };
    DOORS
        .iter()
        .filter(|(door, may)| !may.contains(&module) && names(code, door))
        .map(|(door, _)| format!("{}: {module} names {door}, which is for rt", source.path))
        .collect()
}

/// Only the edges name the message crate.
fn messages(source: &Source, code: &str) -> Vec<String> {
    let Some(module) = source.module().filter(|module| !MESSAGES.contains(module)) else { return Vec::new() };
    let found = names(code, "kafka_protocol");
    found.then(|| format!("{}: {module} names kafka_protocol", source.path)).into_iter().collect()
}

/// Decisions depend on nothing but their arguments.
fn purity(source: &Source, code: &str) -> Vec<String> {
    if !source.is_machine() {
        return Vec::new();
    }
    let found = IMPURE.iter().filter(|name| names(code, name));
    found.map(|name| format!("{}: a machine names {}", source.path, name.trim())).collect()
}

/// Nothing that a client can reach is unfinished.
fn unfinished(source: &Source, code: &str) -> Vec<String> {
    let found = ["todo!", "unimplemented!", "dbg!"].into_iter().filter(|name| names(code, name));
    found.map(|name| format!("{}: {name}", source.path)).collect()
}

fn size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let large = lines > LINES_MAX;
    large.then(|| format!("{}: {lines} lines, more than {LINES_MAX}: split it", source.path)).into_iter().collect()
}

/// Nothing names a directory of the machine it was written on.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    // Put together here so that this file does not contain them.
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if places.iter().any(|place| line.contains(place)) {
            faults.push(format!("{path}:{}: names a directory of one machine: {}", number + 1, line.trim()));
        }
    }
    faults
}

/// Does `code` name `what`, as whole words?
fn names(code: &str, what: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(what).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + what.len()..].chars().next();
        let starts = !what.starts_with(word) || !before.is_some_and(word);
        let ends = !what.ends_with(word) || !after.is_some_and(word);
        starts && ends
    })
}

/// The text without comments and without what is inside string and character literals.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        match chars[i] {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 1;
                i += 2;
                while i < chars.len() && depth > 0 {
                    match (chars[i], at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 1),
                        ('*', '/') => (depth, i) = (depth - 1, i + 1),
                        _ => {}
                    }
                    i += 1;
                }
            }
            'r' if matches!(at(i + 1), '"' | '#') && !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b') => {
                let hashes = (i + 1..).take_while(|j| at(*j) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    // A raw identifier.
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + hashes;
                while i < chars.len() && !(chars[i] == '"' && (1..=hashes).all(|j| at(i + j) == '#')) {
                    i += 1;
                }
                i += 1 + hashes;
                code.push_str("\"\"");
            }
            '"' => {
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
                code.push_str("\"\"");
            }
            // A character; a lifetime has no closing quote two places on.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
                code.push_str("' '");
            }
            c => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
}

/// The code without items behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at + "#[cfg(test)]".len()..];
        let mut depth = 0;
        let mut end = item.len();
        for (i, c) in item.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == '}' || c == ';') && depth == 0 {
                end = i + 1;
                break;
            }
        }
        rest = &item[end..];
    }
    kept.push_str(rest);
    kept
}

fn files(root: &Path, dirs: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = dirs.iter().map(|dir| root.join(dir)).collect();
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                // What git ignores is not of the tree: build results, data, and what the runs in compat/ and the bench fetch.
                let ignored = ["target", "work", "klamm-data"].iter().any(|ignored| name == *ignored);
                if !ignored && !name.to_string_lossy().starts_with('.') {
                    open.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

// Each rule, seen failing.

fn faults(path: &str, text: &str) -> Vec<String> {
    check(&Source { path: path.into(), text: text.into() })
}

#[test]
fn a_name_from_a_higher_layer_is_a_fault() {
    let expected = ["src/storage/log.rs: storage names api, which is above it"];
    assert_eq!(faults("src/storage/log.rs", "use crate::api::Context;"), expected);
    assert_eq!(faults("src/storage/log.rs", "use crate::{model::Offset, api};"), expected);
    assert_eq!(faults("src/storage/log.rs", "use crate::{rt::{fs, clock}, api::{a, b}};"), expected);
    assert_eq!(faults("src/storage/log.rs", "fn f() { crate::api::g() }"), expected);
    assert_eq!(faults("src/storage/log.rs", "#[cfg(test)] mod tests { use crate::api::g; }"), expected);
    assert_eq!(faults("src/storage/log.rs", "use crate::{model, storage::x}; use other_crate::api;"), [""; 0]);
    assert_eq!(faults("src/storage/log.rs", "// crate::api\nconst A: &str = \"crate::api\";"), [""; 0]);
}

#[test]
fn a_module_without_a_layer_is_a_fault() {
    assert_eq!(faults("src/misc.rs", ""), ["src/misc.rs: the module misc is in no layer: add it to LAYERS"]);
    assert_eq!(order_of_modules("pub mod model;\npub mod misc;").len(), 1);
    assert_eq!(order_of_modules("pub mod rt;\npub mod model;").len(), 1);
    assert_eq!(order_of_modules("").len(), 1);
    assert_eq!(order_of_modules("pub mod model;\npub mod rt;"), [""; 0]);
}

#[test]
fn a_door_beside_rt_is_a_fault() {
    for door in
        ["std::fs::read(p)", "SystemTime::now()", "Instant::now()", "getrandom::fill(b)", "tokio::net::lookup()"]
    {
        assert_eq!(faults("src/partition/x.rs", &format!("fn f() {{ {door}; }}")).len(), 1, "{door}");
        assert_eq!(faults("src/rt/x.rs", &format!("fn f() {{ {door}; }}")), [""; 0], "{door}");
    }
    assert_eq!(faults("src/server/x.rs", "use tokio::net::TcpStream;"), [""; 0]);
    assert_eq!(faults("src/server/x.rs", "use std::fs;").len(), 1);
    assert_eq!(faults("src/partition/x.rs", "#[cfg(test)]\nmod tests {\n fn f() { std::fs::read(p); }\n}"), [""; 0]);
    assert_eq!(faults("src/partition/x.rs", "#[cfg(test)]\nmod tests { }\nfn f() { std::fs::read(p); }").len(), 1);
    assert_eq!(faults("src/partition/x_tests.rs", "fn f() { std::fs::read(p); }"), [""; 0]);
}

#[test]
fn the_message_crate_beside_the_edges_is_a_fault() {
    let expected = ["src/partition/x.rs: partition names kafka_protocol"];
    assert_eq!(faults("src/partition/x.rs", "use kafka_protocol::messages;"), expected);
    assert_eq!(faults("src/api/x.rs", "use kafka_protocol::messages;"), [""; 0]);
}

#[test]
fn an_impure_machine_is_a_fault() {
    for path in ["src/partition/machine.rs", "src/partition/machine/isr.rs", "src/group/classic_machine.rs"] {
        for impure in ["use std::collections::HashMap;", "use tokio::sync::mpsc;", "async fn f() {}"] {
            assert_eq!(faults(path, impure).len(), 1, "{path}: {impure}");
        }
        assert_eq!(faults(path, "use std::collections::BTreeMap;"), [""; 0]);
    }
    assert_eq!(faults("src/partition/x.rs", "use std::collections::HashMap;"), [""; 0]);
}

#[test]
fn unfinished_code_is_a_fault() {
    assert_eq!(faults("src/api/x.rs", concat!("fn f() { to", "do!() }")), [concat!("src/api/x.rs: to", "do!")]);
    assert_eq!(faults("src/api/x.rs", "// a word about todo! in a comment"), [""; 0]);
}

#[test]
fn a_large_file_is_a_fault() {
    assert_eq!(faults("src/api/x.rs", &"\n".repeat(LINES_MAX + 1)).len(), 1);
    assert_eq!(faults("src/api/x.rs", &"\n".repeat(LINES_MAX)), [""; 0]);
}

#[test]
fn a_path_of_one_machine_is_a_fault() {
    let text = format!("a\ncd {}x", concat!("/ro", "ot/"));
    assert_eq!(machine_paths("README.md", &text).len(), 1);
    assert_eq!(machine_paths("README.md", "cd /var/lib/klamm"), [""; 0]);
}

#[test]
fn strings_characters_and_comments_are_no_code() {
    let text = r####"let a = "x\"y // z"; let b = r#"std::fs"#; let c = '"'; let d: &'static str = b"q"; /* a /* b */ c */ e"####;
    assert_eq!(code_of(text), r#"let a = ""; let b = ""; let c = ' '; let d: &'static str = b"";  e"#);
    assert_eq!(code_of("fn f<'a>(x: &'a str) { '\\''; g() }"), "fn f<'a>(x: &'a str) { ' '; g() }");
}
