//! What a compaction costs, against reading and writing the log once.
//!
//! `KEYS=1000000 RECORDS=2000000 cargo test --release --test storage_costs compaction -- --ignored --nocapture`

use super::{NOW, open, resident_kb};
use klamm::config::topic::TopicConfig;
use klamm::model::{LeaderEpoch, Offset, ProducerId};
use klamm::record::build::BatchBuilder;
use klamm::record::{Batch, Compression};
use klamm::storage::cleaner::{Host, Means, Stop, clean};
use klamm::storage::{Log, StorageError};
use parking_lot::Mutex;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Shared {
    log: Mutex<Log>,
    /// The longest that the lock was held.
    longest: Mutex<Duration>,
}

impl Host for Shared {
    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, Stop> {
        let mut log = self.log.lock();
        let start = Instant::now();
        let looked = look(&mut log);
        let mut longest = self.longest.lock();
        *longest = longest.max(start.elapsed());
        Ok(looked?)
    }

    fn spent(&self, _bytes: usize) -> Result<(), Stop> {
        Ok(())
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Reads every segment and writes it to another file, durably.
fn copy(dir: &Path) -> (u64, Duration) {
    let start = Instant::now();
    let mut bytes = 0;
    let mut piece = vec![0; 256 * 1024];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "log") {
            continue;
        }
        let (mut from, copy) = (std::fs::File::open(&path).unwrap(), path.with_extension("copy"));
        let mut to = std::fs::File::create(&copy).unwrap();
        loop {
            let got = from.read(&mut piece).unwrap();
            if got == 0 {
                break;
            }
            to.write_all(&piece[..got]).unwrap();
            bytes += got as u64;
        }
        to.sync_data().unwrap();
        std::fs::remove_file(copy).unwrap();
    }
    (bytes, start.elapsed())
}

#[test]
#[ignore = "measures; run it alone"]
fn compaction_against_reading_and_writing_the_log_once() {
    let (keys, records) = (number("KEYS", 1_000_000), number("RECORDS", 2_000_000));
    let value = usize::try_from(number("VALUE", 120)).unwrap();
    let codec = std::env::var("CODEC").ok().map(|name| match name.as_str() {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => panic!("{other}"),
    });
    let dir = tempfile::tempdir().unwrap();
    let config = Arc::new(TopicConfig {
        segment_bytes: i32::try_from(number("SEGMENT", 256 << 20)).unwrap(),
        cleanup_compact: true,
        cleanup_delete: false,
        ..TopicConfig::default()
    });
    let path = dir.path().join("t-0");
    let mut log = open(&path, true, &config);
    let mut dice = 1_u64;
    let value = vec![b'v'; value];
    for _ in 0..records / 100 {
        let mut builder = BatchBuilder::new(Offset(0));
        if let Some(codec) = codec {
            builder = builder.compressed(codec);
        }
        for _ in 0..100 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = format!("key-{:016}", (dice >> 20) % keys);
            builder.push(NOW, Some(key.as_bytes()), Some(&value), &[]);
        }
        let batch = Batch::verify(builder.build().unwrap()).unwrap();
        assert_eq!(batch.header().producer_id, ProducerId::NONE);
        log.append(&mut [batch], LeaderEpoch(0), NOW).remove(0).unwrap();
    }
    let end = log.log_end();
    log.high_watermark_advanced(end);
    for file in log.flush_job().unwrap().files {
        file.sync_data().unwrap();
    }
    let (bytes, once) = copy(&path);
    let before = resident_kb();
    let host = Shared { log: Mutex::new(log), longest: Mutex::new(Duration::ZERO) };
    let mb = 1024.0 * 1024.0;
    println!("{keys} keys, {records} records, {:.0} MB; read and written once: {once:.2?}", bytes as f64 / mb);
    let means =
        Means { map_bytes: usize::try_from(number("MAP", 128 << 20)).unwrap(), map_load: 0.9, io_bytes: 256 * 1024 };
    loop {
        let start = Instant::now();
        let Some(cleaned) = clean(&host, &means, NOW).unwrap() else { break };
        println!(
            "cleaned to {} in {:.2?}: {:.0} MB mapped, {:.0} MB read, {:.0} MB written, {} of {} records kept, keys {:.0} % full",
            cleaned.to,
            start.elapsed(),
            cleaned.mapped_bytes as f64 / mb,
            cleaned.read_bytes as f64 / mb,
            cleaned.written_bytes as f64 / mb,
            cleaned.kept_records,
            cleaned.read_records,
            cleaned.map_utilization * 100.0
        );
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!("resident before {} MB, now {} MB; {peak}", before / 1024, resident_kb() / 1024);
    println!("lock held for at most {:.2?}", *host.longest.lock());
}
