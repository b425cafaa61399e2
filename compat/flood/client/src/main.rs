//! Load on a broker's doors, and a client that measures what others notice of it.
//!
//! * `flood`: many connections that never log in and send garbage, nothing, or one byte a second; kept up.
//! * `steady`: one client that is logged in and sends records at a fixed rate, one at a time.
//! * `logins`: connections that log in and leave, as fast as may be.
//!
//! Each prints one line of `name=value` figures for each of its phases. `flood` and `steady` go on until their standard input
//! ends; a line there ends a phase and begins the next.

mod flood;
mod login;
mod logins;
mod steady;
mod wire;

use std::collections::HashMap;
use std::process::ExitCode;

/// Options: `--name value`.
pub struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut all = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no option"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            all.insert(name.to_owned(), value);
        }
        Ok(Options(all))
    }

    pub fn text(&self, name: &str) -> Result<&str, String> {
        self.0.get(name).map(String::as_str).ok_or_else(|| format!("--{name} is missing"))
    }

    pub fn number(&self, name: &str, unless_set: usize) -> Result<usize, String> {
        match self.0.get(name) {
            None => Ok(unless_set),
            Some(text) => text.parse().map_err(|_| format!("--{name} {text} is no number")),
        }
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = Options::parse(words).and_then(|options| match command.as_str() {
        "flood" => flood::run(&options),
        "steady" => steady::run(&options),
        "logins" => logins::run(&options),
        other => Err(format!("flood, steady or logins, not {other:?}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The value below which the part `q` of sorted values lies.
pub fn percentile(sorted: &[u64], q: f64) -> u64 {
    let at = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}
