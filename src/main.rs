//! `klamm`: arguments, environment and file to a configuration, and that to a running broker.

use klamm::config::{self, Command, DoctorCommand, LogFormat, Startup, StorageCommand, Surroundings};
use klamm::rt::fs::disk::disk;
use klamm::rt::{clock, logging, process};
use klamm::{doctor, node};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = config::load(Surroundings {
        args: process::arguments(),
        env: process::environment(),
        hostname: process::hostname(),
        read_file: &process::read_file,
        fresh_temporary_dir: &process::fresh_temporary_dir,
    });
    let outcome = match command {
        Ok(Command::Print(text)) => {
            print!("{text}");
            Ok(())
        }
        Ok(Command::Run(startup)) => run(*startup),
        Ok(Command::Storage(command)) => return storage(&command),
        Ok(Command::Doctor(command)) => return doctor(&command),
        Ok(Command::Health(host, port)) => health(&host, port),
        Err(fault) => Err(fault.to_string()),
    };
    if let Err(sentence) = &outcome {
        eprintln!("klamm: {sentence}");
    }
    ExitCode::from(u8::from(outcome.is_err()))
}

fn health(host: &str, port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("The system gave no threads ({error}): raise its limits."))?;
    runtime.block_on(klamm::admin::probe(host, port))
}

/// `klamm storage`, whose messages are those of Kafka's tool.
fn storage(command: &StorageCommand) -> ExitCode {
    match node::format::run(command, &*disk()) {
        Ok(outcome) => {
            print!("{}", outcome.text);
            ExitCode::from(u8::from(!outcome.success))
        }
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// `klamm doctor`: 0 says that all is well.
fn doctor(command: &DoctorCommand) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("klamm: The system gave no threads ({error}): raise its limits.");
            return ExitCode::FAILURE;
        }
    };
    let facts = runtime.block_on(doctor::run(command, &*disk(), &clock::now_ms));
    let report = doctor::machine::diagnose(&facts);
    print!("{report}");
    ExitCode::from(u8::from(!report.is_well()))
}

fn run(startup: Startup) -> Result<(), String> {
    logging::init(startup.log_format == LogFormat::Json, std::env::var("RUST_LOG").ok());
    startup.notes.iter().for_each(|note| tracing::info!("{note}"));
    startup.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("klamm").enable_all().build();
    let runtime = runtime.map_err(|error| format!("The system gave no threads ({error}): raise its limits."))?;
    let temporary = startup.ephemeral.clone();
    let outcome = runtime.block_on(node::run(startup)).map_err(|error| error.to_string());
    let removed = temporary.map_or(Ok(()), |dir| process::remove_temporary_dir(&dir));
    outcome.and(removed.map_err(|error| format!("The temporary data could not be removed ({error}): remove it.")))
}
