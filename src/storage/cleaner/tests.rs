#![allow(clippy::unwrap_used)]

mod choosing;
mod model;
mod records;
mod segments;
mod transactions;

use super::*;
use crate::config::topic::TopicConfig;
use crate::model::{LeaderEpoch, PartitionId, ProducerEpoch, Sequence, TopicPartition};
use crate::record::build::end_txn_marker;
use crate::record::{Batch, BatchBuilder, Batches as Slices, Compression};
use crate::rt::fs::sim::SimFs;
use crate::storage::{OpenLog, Origin};
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::Arc;

const NOW: TimestampMs = TimestampMs(1_000_000);
const MEANS: Means = Means { map_bytes: 1 << 16, map_load: 0.9, io_bytes: 4096 };

/// A log over a disk in memory, with small segments, that is compacted.
struct Rig {
    fs: SimFs,
    config: TopicConfig,
    log: Mutex<Log>,
    now: TimestampMs,
    means: Means,
    /// Gives up after so many calls.
    patience: Cell<u32>,
}

impl Host for Rig {
    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, Stop> {
        self.wait()?;
        Ok(look(&mut self.log.lock())?)
    }

    fn spent(&self, _bytes: usize) -> Result<(), Stop> {
        self.wait()
    }
}

fn compacted() -> TopicConfig {
    TopicConfig {
        segment_bytes: 400,
        index_interval_bytes: 100,
        cleanup_compact: true,
        cleanup_delete: false,
        retention_ms: -1,
        delete_retention_ms: 1000,
        ..TopicConfig::default()
    }
}

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(compacted())
    }

    fn with(config: TopicConfig) -> Rig {
        let fs = SimFs::new();
        fs.shared().create_dir_all(std::path::Path::new("/data")).unwrap();
        fs.shared().sync_dir(std::path::Path::new("/")).unwrap();
        let log = Mutex::new(Log::open(open(&fs, &config)).unwrap());
        Rig { fs, config, log, now: NOW, means: MEANS, patience: Cell::new(u32::MAX) }
    }

    fn wait(&self) -> Result<(), Stop> {
        let left = self.patience.get();
        self.patience.set(left.saturating_sub(1));
        if left == 0 { Err(Stop::Aborted) } else { Ok(()) }
    }

    fn append(&self, batch: Batch) -> i64 {
        self.append_from(Origin::Client, batch)
    }

    fn append_from(&self, origin: Origin, batch: Batch) -> i64 {
        let mut log = self.log.lock();
        let first = log.append_from(origin, &mut [batch], LeaderEpoch(0), self.now).remove(0).unwrap().first.0;
        let end = log.log_end();
        log.high_watermark_advanced(end);
        first
    }

    /// One record in a batch of its own.
    fn put(&self, key: &str, value: Option<&str>) -> i64 {
        self.append(batch(&[(key, value)], self.now))
    }

    /// Ends the segment, and begins one with a record of its own.
    fn roll(&self) {
        let filler = batch(&[("filler", Some("x"))], self.now);
        let size = i32::try_from(filler.size()).unwrap();
        self.log.lock().set_config(Arc::new(TopicConfig { segment_bytes: size, ..self.config.clone() }));
        self.append(filler);
        self.log.lock().set_config(Arc::new(self.config.clone()));
    }

    fn marker(&self, kind: Marker, id: i64) -> i64 {
        let bytes = end_txn_marker(kind, ProducerId(id), ProducerEpoch(0), 0, self.now).unwrap();
        self.append_from(Origin::Marker { transaction_version: 0 }, Batch::verify(bytes).unwrap())
    }

    fn clean(&self) -> Option<Cleaned> {
        clean(self, &self.means, self.now).unwrap()
    }

    fn flush(&self) {
        let mut log = self.log.lock();
        if let Some(job) = log.flush_job() {
            job.files.iter().for_each(|file| file.sync_data().unwrap());
            log.flushed(job.mark, self.now);
        }
    }

    /// As after `kill -9`, with the checkpoints of before.
    fn reopen(&self, clean: bool, recovery_point: Offset) {
        let mut log = self.log.lock();
        let mut again = open(&self.fs, &self.config);
        if clean {
            log.close().unwrap();
        }
        (again.clean, again.recovery_point) = (clean, recovery_point);
        (again.log_start, again.cleaned_to) = (log.log_start(), log.cleaned_to());
        *log = Log::open(again).unwrap();
        let end = log.log_end();
        log.high_watermark_advanced(end);
    }

    fn names(&self) -> Vec<String> {
        self.fs.shared().read_dir(&dir()).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    /// Every batch, read as a consumer reads.
    fn batches(&self) -> Vec<(BatchHeader, Vec<u8>)> {
        let log = self.log.lock();
        let mut all = Vec::new();
        let mut at = log.log_start();
        while let Some(slice) = log.read(at, 700, log.log_end(), true).unwrap() {
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
            for batch in Slices::new(&bytes) {
                let (header, batch) = batch.unwrap();
                crate::record::verify(batch).unwrap();
                assert!(header.last_offset() >= at && header.base_offset <= header.last_offset());
                at = header.next_offset();
                all.push((header, batch.to_vec()));
            }
        }
        all
    }

    /// Every record of data.
    fn rows(&self) -> Vec<Row> {
        self.batches().iter().filter(|(header, _)| !header.attributes.is_control()).flat_map(rows_of).collect()
    }

    /// The records as `key=value` with their offsets.
    fn shown(&self) -> Vec<String> {
        let text =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or("-".into(), |b| String::from_utf8_lossy(b).into_owned());
        let rows = self.rows().into_iter().filter(|row| row.key.as_deref() != Some(b"filler"));
        rows.map(|row| format!("{}:{}={}", row.offset, text(&row.key), text(&row.value))).collect()
    }
}

fn rows_of((header, batch): &(BatchHeader, Vec<u8>)) -> Vec<Row> {
    let payload = records_of(header, batch);
    let all = crate::record::records::Records::new(header, &payload).unwrap();
    all.map(|record| {
        let record = record.unwrap();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let (key, value) = (owned(record.key), owned(record.value));
        Row { offset: record.offset.0, timestamp: record.timestamp.0, key, value }
    })
    .collect()
}

fn records_of(header: &BatchHeader, batch: &[u8]) -> Vec<u8> {
    crate::record::records::open(header, batch, 1 << 20).unwrap().into_owned()
}

fn dir() -> PathBuf {
    PathBuf::from("/data/t-0")
}

fn open(fs: &SimFs, config: &TopicConfig) -> OpenLog {
    OpenLog {
        fs: fs.shared(),
        dir: dir(),
        partition: TopicPartition::new("t".into(), PartitionId(0)),
        config: Arc::new(config.clone()),
        clean: true,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        cleaned_to: None,
        producer_expiry_ms: 86_400_000,
        now: NOW,
    }
}

fn batch(records: &[(&str, Option<&str>)], timestamp: TimestampMs) -> Batch {
    build(BatchBuilder::new(Offset(0)), records, timestamp)
}

fn build(mut builder: BatchBuilder, records: &[(&str, Option<&str>)], timestamp: TimestampMs) -> Batch {
    for (key, value) in records {
        builder.push(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    Batch::verify(builder.build().unwrap()).unwrap()
}

fn transactional(id: i64, sequence: i32, records: &[(&str, Option<&str>)]) -> Batch {
    let builder = BatchBuilder::new(Offset(0)).producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence));
    build(builder.transactional(), records, NOW)
}

fn idempotent(id: i64, sequence: i32, records: &[(&str, Option<&str>)]) -> Batch {
    build(BatchBuilder::new(Offset(0)).producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence)), records, NOW)
}
