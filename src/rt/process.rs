//! This process and what it finds around it: arguments, environment, host, memory.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

#[must_use]
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The environment. What is not text is not for us.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The name of this host; `localhost` where the system does not say.
#[must_use]
pub fn hostname() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok()).map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}

/// Whether this process runs in a container, by the marks that Docker and Podman leave.
#[must_use]
pub fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}

/// The kernel's table of IPv4 routes; empty where the system does not say.
#[must_use]
pub fn routes() -> String {
    std::fs::read_to_string("/proc/net/route").unwrap_or_default()
}

/// A file that the operator named, whole.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// A path for a temporary directory that nobody else has.
#[must_use]
pub fn fresh_temporary_dir() -> PathBuf {
    std::env::temp_dir().join(format!("klamm-{}", super::rand::uuid().simple()))
}

/// Removes what [`fresh_temporary_dir`] named. That it is gone already is fine.
pub fn remove_temporary_dir(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Resident memory in bytes; `None` where the system does not say.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Lets this process open as many files as it may (the hard limit), as the JVM does for Kafka: a broker holds one for
/// each connection and several for each log in use. Answers whether it worked.
pub fn raise_open_files() -> bool {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return true;
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn resident_memory_is_known_on_linux() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn the_host_has_a_name_without_blanks() {
        let name = hostname();
        assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name:?}");
    }

    #[test]
    fn temporary_directories_differ_and_can_be_removed_twice() {
        let dir = fresh_temporary_dir();
        assert_ne!(dir, fresh_temporary_dir());
        std::fs::create_dir_all(dir.join("inside")).unwrap();
        remove_temporary_dir(&dir).unwrap();
        assert!(!dir.exists());
        remove_temporary_dir(&dir).unwrap();
    }
}
