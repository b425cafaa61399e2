//! A scrape: every metric with its name, meaning and labels, as OpenMetrics text.
//!
//! Built on `prometheus_client`'s encoder; one collector walks the handles, so nothing is
//! registered, hashed or locked while the broker works.

use super::handles::{ApiMetrics, Rejection, Throttled, TopicMetrics};
use super::{Histogram, Metrics};
use crate::model::{Offset, TopicPartition};
use crate::rt::process;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::{self, Error};
use std::sync::Arc;

/// What `/metrics` says it is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One partition at the moment of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSample {
    pub partition: TopicPartition,
    pub size_bytes: u64,
    pub log_start: Offset,
    pub log_end: Offset,
    /// This broker leads it.
    pub leader: bool,
}

/// What the closures of [`Metrics::register`] fill in.
#[derive(Debug, Default)]
pub struct Sample {
    pub partitions: Vec<PartitionSample>,
    pub series: Vec<Series>,
}

/// A value with its labels.
type Line = (Vec<(&'static str, &'static str)>, i64);

/// A metric of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Without the `klamm_` prefix.
    pub name: &'static str,
    pub help: &'static str,
    /// It only ever rises.
    pub counts: bool,
    pub values: Vec<Line>,
}

impl Sample {
    /// What goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, values: impl IntoIterator<Item = Line>) {
        self.add(name, help, false, values);
    }

    /// Gauges without labels: name, help, value.
    pub fn gauges(&mut self, of: impl IntoIterator<Item = (&'static str, &'static str, i64)>) {
        for (name, help, value) in of {
            self.gauge(name, help, [(Vec::new(), value)]);
        }
    }

    /// Counters without labels: name, help, value.
    pub fn counters(&mut self, of: impl IntoIterator<Item = (&'static str, &'static str, u64)>) {
        for (name, help, value) in of {
            self.counter(name, help, [(Vec::new(), i64::try_from(value).unwrap_or(i64::MAX))]);
        }
    }

    /// What only rises.
    pub fn counter(&mut self, name: &'static str, help: &'static str, values: impl IntoIterator<Item = Line>) {
        self.add(name, help, true, values);
    }

    /// A name comes once in a scrape.
    fn add(&mut self, name: &'static str, help: &'static str, counts: bool, values: impl IntoIterator<Item = Line>) {
        match self.series.iter_mut().find(|series| series.name == name) {
            Some(known) => known.values.extend(values),
            None => self.series.push(Series { name, help, counts, values: values.into_iter().collect() }),
        }
    }

    /// In which phases the partitions of coordinators are.
    pub fn coordinator_partitions(&mut self, of: &'static str, phases: BTreeMap<&'static str, i64>) {
        let lines = phases.into_iter().map(|(phase, n)| (vec![("coordinator", of), ("state", phase)], n));
        self.gauge("coordinator_partitions", "Partitions of coordinators on this broker, by their state.", lines);
    }
}

impl Metrics {
    /// All metrics as text, as [`CONTENT_TYPE`] says.
    #[must_use]
    pub fn render(self: &Arc<Self>) -> String {
        let mut registry = Registry::with_prefix("klamm");
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut text = String::new();
        // A String takes every write, and our encoders return no error of their own.
        let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
        debug_assert!(encoded.is_ok());
        text
    }
}

struct Scrape(Arc<Metrics>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

type Labels<'a> = [(&'a str, &'a str)];

/// One name with its help and type; then a line (or a histogram's lines) for each set of labels.
struct Family<'a>(MetricEncoder<'a>);

fn family<'a>(
    to: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    of: MetricType,
) -> Result<Family<'a>, Error> {
    Ok(Family(to.encode_descriptor(name, help, None, of)?))
}

impl Family<'_> {
    fn counter(&mut self, labels: &Labels<'_>, value: u64) -> Result<(), Error> {
        self.line(labels, |line| line.encode_counter::<NoLabelSet, _, u64>(&value, None))
    }

    fn gauge(&mut self, labels: &Labels<'_>, value: i64) -> Result<(), Error> {
        self.line(labels, |line| line.encode_gauge(&value))
    }

    fn histogram(&mut self, labels: &Labels<'_>, value: &Histogram) -> Result<(), Error> {
        self.line(labels, |line| value.write(line))
    }

    fn line(
        &mut self,
        labels: &Labels<'_>,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // A family with an empty label set would be written with `{}`.
        if labels.is_empty() { write(&mut self.0) } else { write(&mut self.0.encode_family(&labels)?) }
    }
}

type OfApi = (&'static str, &'static str, fn(&ApiMetrics) -> u64);
const API_COUNTERS: [OfApi; 3] = [
    ("requests", "Requests received, by API.", |api| api.requests.get()),
    ("request_bytes", "Bytes of requests received, by API.", |api| api.request_bytes.get()),
    ("response_bytes", "Bytes of responses sent, by API.", |api| api.response_bytes.get()),
];

type OfTopic = (&'static str, &'static str, fn(&TopicMetrics) -> u64);
const TOPIC_COUNTERS: [OfTopic; 8] = [
    ("topic_bytes_in", "Bytes of record batches appended by producers, by topic.", |t| t.bytes_in.get()),
    ("topic_records_in", "Records appended by producers, by topic.", |t| t.records_in.get()),
    ("topic_bytes_out", "Bytes of record batches sent to consumers, by topic.", |t| t.bytes_out.get()),
    ("topic_records_out", "Records (by their offsets) sent to consumers, by topic.", |t| t.records_out.get()),
    ("topic_produce_requests", "Produce requests that named the topic.", |t| t.produce_requests.get()),
    ("topic_fetch_requests", "Fetch requests that named the topic.", |t| t.fetch_requests.get()),
    ("topic_produce_failures", "Produce requests for the topic that were refused.", |t| {
        t.failed_produce_requests.get()
    }),
    ("topic_fetch_failures", "Fetch requests for the topic that were refused.", |t| t.failed_fetch_requests.get()),
];

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let metrics = &*self.0;
        apis(metrics, &mut to)?;
        topics(metrics, &mut to)?;
        connections(metrics, &mut to)?;
        flushes(metrics, &mut to)?;
        cleaner(metrics, &mut to)?;
        coordinators(metrics, &mut to)?;
        process_facts(metrics, &mut to)?;
        sampled(metrics, &mut to)
    }
}

fn apis(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    // Only APIs that were called: a broker serves forty, a client calls five.
    let called: Vec<&ApiMetrics> = metrics
        .apis
        .iter()
        .flatten()
        .chain([&metrics.unknown_api])
        .filter(|api| api.requests.get() > 0 || api.errors().next().is_some())
        .collect();
    for (name, help, value) in API_COUNTERS {
        let mut family = family(to, name, help, MetricType::Counter)?;
        for api in &called {
            family.counter(&[("api", api.name)], value(api))?;
        }
    }
    let mut errors = family(to, "errors", "Errors in responses, by API and Kafka error name.", MetricType::Counter)?;
    for api in &called {
        for (code, count) in api.errors() {
            errors.counter(&[("api", api.name), ("code", code.name())], count)?;
        }
    }
    let help = "Time from the last byte of a request to its response handed to the socket, by API.";
    let mut latency = family(to, "request_duration_seconds", help, MetricType::Histogram)?;
    for api in &called {
        latency.histogram(&[("api", api.name)], &api.latency)?;
    }
    Ok(())
}

fn topics(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let mut topics: Vec<_> =
        metrics.topics.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect();
    topics.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, help, value) in TOPIC_COUNTERS {
        let mut family = family(to, name, help, MetricType::Counter)?;
        for (topic, counters) in &topics {
            family.counter(&[("topic", topic.as_str())], value(counters))?;
        }
    }
    Ok(())
}

fn connections(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let listeners = metrics.listeners.lock();
    let mut open = family(to, "connections", "Connections open now, by listener.", MetricType::Gauge)?;
    for (name, listener) in listeners.iter() {
        open.gauge(&[("listener", name)], listener.connections.get())?;
    }
    let mut accepted = family(to, "connections_accepted", "Connections accepted, by listener.", MetricType::Counter)?;
    for (name, listener) in listeners.iter() {
        accepted.counter(&[("listener", name)], listener.accepted.get())?;
    }
    let help = "Connections refused or closed by the broker, by reason.";
    let mut rejected = family(to, "connections_rejected", help, MetricType::Counter)?;
    for why in Rejection::ALL {
        rejected.counter(&[("reason", why.label())], metrics.rejected[why as usize].get())?;
    }
    let help = "How often clients were told to wait, by the quota that they exceeded.";
    let mut times = family(to, "throttled", help, MetricType::Counter)?;
    for of in Throttled::ALL {
        times.counter(&[("quota", of.label())], metrics.throttled[of as usize].times.get())?;
    }
    let help = "Milliseconds that clients were told to wait, by the quota that they exceeded.";
    let mut waits = family(to, "throttle_milliseconds", help, MetricType::Counter)?;
    for of in Throttled::ALL {
        waits.counter(&[("quota", of.label())], metrics.throttled[of as usize].milliseconds.get())?;
    }
    let help = "Bytes of requests being handled now (bounded by queued.max.request.bytes).";
    family(to, "request_bytes_in_flight", help, MetricType::Gauge)?.gauge(&[], metrics.request_bytes_in_flight.get())
}

fn flushes(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let flush = &metrics.flush;
    family(to, "log_flush_duration_seconds", "Time of one flush to disk.", MetricType::Histogram)?
        .histogram(&[], &flush.latency)?;
    family(to, "log_flush_partitions", "Partitions served by flushes to disk.", MetricType::Counter)?
        .counter(&[], flush.partitions.get())?;
    family(to, "log_flush_failures", "Flushes to disk that failed.", MetricType::Counter)?
        .counter(&[], flush.failed.get())
}

fn cleaner(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let cleaner = &metrics.cleaner;
    family(to, "cleaner_duration_seconds", "Time of one compaction of a log.", MetricType::Histogram)?
        .histogram(&[], &cleaner.duration)?;
    let counters = [
        ("cleaner_read_bytes", "Bytes read by compaction.", &cleaner.read_bytes),
        ("cleaner_written_bytes", "Bytes written by compaction.", &cleaner.written_bytes),
        ("cleaner_dropped_records", "Records that compaction removed.", &cleaner.dropped_records),
    ];
    for (name, help, count) in counters {
        family(to, name, help, MetricType::Counter)?.counter(&[], count.get())?;
    }
    let gauges = [
        ("cleaner_max_dirty_percent", "New bytes in the dirtiest compacted log.", &cleaner.max_dirty_percent),
        (
            "cleaner_max_compaction_delay_seconds",
            "By how much a log exceeds max.compaction.lag.ms, at most.",
            &cleaner.max_delay_seconds,
        ),
        ("cleaner_buffer_percent", "How full the last compaction's memory for keys was.", &cleaner.buffer_percent),
        (
            "cleaner_uncleanable_partitions",
            "Partitions that are not compacted any more because it failed.",
            &cleaner.uncleanable_partitions,
        ),
        (
            "cleaner_last_run_timestamp_seconds",
            "When logs were last looked at for compaction, in seconds since the Unix epoch.",
            &cleaner.last_run,
        ),
    ];
    for (name, help, level) in gauges {
        family(to, name, help, MetricType::Gauge)?.gauge(&[], level.get())?;
    }
    Ok(())
}

fn coordinators(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let coordinators = metrics.coordinators.lock();
    let help = "Time to load a partition of coordinators, by what they coordinate.";
    let mut loads = family(to, "coordinator_load_duration_seconds", help, MetricType::Histogram)?;
    for (of, coordinator) in coordinators.iter() {
        loads.histogram(&[("coordinator", of)], &coordinator.load)?;
    }
    let help = "Partitions of coordinators that could not be loaded; each is tried again.";
    let mut failed = family(to, "coordinator_load_failures", help, MetricType::Counter)?;
    for (of, coordinator) in coordinators.iter() {
        failed.counter(&[("coordinator", of)], coordinator.failed_loads.get())?;
    }
    Ok(())
}

fn process_facts(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let help = "Start of the process, in seconds since the Unix epoch.";
    family(to, "process_start_time_seconds", help, MetricType::Gauge)?.gauge(&[], metrics.started.0 / 1000)?;
    if let Some(bytes) = process::resident_bytes() {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        family(to, "process_resident_memory_bytes", "Resident memory of the process.", MetricType::Gauge)?
            .gauge(&[], bytes)?;
    }
    let mut build = family(to, "build", "The version that runs.", MetricType::Info)?;
    build.0.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

fn sampled(metrics: &Metrics, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let mut sample = Sample::default();
    for collect in metrics.collectors.lock().iter() {
        collect(&mut sample);
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    family(to, "partitions", "Partitions on this broker.", MetricType::Gauge)?
        .gauge(&[], count(sample.partitions.len()))?;
    family(to, "leaders", "Partitions that this broker leads.", MetricType::Gauge)?
        .gauge(&[], count(sample.partitions.iter().filter(|p| p.leader).count()))?;
    type OfPartition = (&'static str, &'static str, fn(&PartitionSample) -> i64);
    let gauges: [OfPartition; 3] = [
        ("log_size_bytes", "Bytes of a partition's log.", |p| i64::try_from(p.size_bytes).unwrap_or(i64::MAX)),
        ("log_start_offset", "First offset of a partition's log.", |p| p.log_start.0),
        ("log_end_offset", "Offset that the next record of a partition gets.", |p| p.log_end.0),
    ];
    for (name, help, value) in gauges {
        let mut family = family(to, name, help, MetricType::Gauge)?;
        for sample in &sample.partitions {
            let number = sample.partition.partition.0.to_string();
            family.gauge(&[("topic", sample.partition.topic.as_str()), ("partition", &number)], value(sample))?;
        }
    }
    for Series { name, help, counts, values } in sample.series {
        let mut family = family(to, name, help, if counts { MetricType::Counter } else { MetricType::Gauge })?;
        for (labels, value) in values {
            if counts {
                family.counter(&labels, u64::try_from(value).unwrap_or_default())?;
            } else {
                family.gauge(&labels, value)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::metrics::CoordinatorMetrics;
    use crate::model::{ErrorCode, PartitionId, TimestampMs, TopicName};
    use std::time::Duration;

    fn metrics() -> Arc<Metrics> {
        Metrics::new([(0, "Produce"), (1, "Fetch")], TimestampMs(1_700_000_000_123))
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "no line {line:?} in:\n{text}");
    }

    #[test]
    fn a_scrape_shows_requests_errors_and_latency_of_the_apis_that_were_called() {
        let metrics = metrics();
        metrics.api(0).request(120);
        metrics.api(0).answered(Duration::from_micros(15), 40);
        metrics.api(0).error(ErrorCode::CORRUPT_MESSAGE);
        let text = metrics.render();
        has(&text, r#"klamm_requests_total{api="Produce"} 1"#);
        has(&text, r#"klamm_request_bytes_total{api="Produce"} 120"#);
        has(&text, r#"klamm_response_bytes_total{api="Produce"} 40"#);
        has(&text, r#"klamm_errors_total{api="Produce",code="CORRUPT_MESSAGE"} 1"#);
        has(&text, r#"klamm_request_duration_seconds_bucket{le="0.00001",api="Produce"} 0"#);
        has(&text, r#"klamm_request_duration_seconds_bucket{le="0.00002",api="Produce"} 1"#);
        has(&text, r#"klamm_request_duration_seconds_bucket{le="+Inf",api="Produce"} 1"#);
        has(&text, r#"klamm_request_duration_seconds_count{api="Produce"} 1"#);
        assert!(!text.contains(r#"api="Fetch""#), "an API nobody called takes room");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_key_that_is_not_served_is_counted_as_unknown() {
        let metrics = metrics();
        metrics.api(999).request(1);
        metrics.api(-1).request(1);
        has(&metrics.render(), r#"klamm_requests_total{api="Unknown"} 2"#);
    }

    #[test]
    fn a_topic_is_shown_until_it_is_removed() {
        let metrics = metrics();
        let name = TopicName::new("orders");
        let handle = metrics.topic(&name);
        handle.bytes_in.add(7);
        handle.records_in.add(2);
        assert!(Arc::ptr_eq(&handle, &metrics.topic(&name)), "one topic has one set of counters");
        has(&metrics.render(), r#"klamm_topic_bytes_in_total{topic="orders"} 7"#);
        has(&metrics.render(), r#"klamm_topic_records_in_total{topic="orders"} 2"#);
        metrics.remove_topic(&name);
        assert!(!metrics.render().contains("orders"));
    }

    #[test]
    fn connections_are_shown_by_listener_and_rejections_by_reason() {
        let metrics = metrics();
        let listener = metrics.listener("PLAINTEXT");
        listener.connections.inc();
        listener.accepted.inc();
        metrics.rejected(Rejection::MaxConnectionsPerIp);
        metrics.throttled(Throttled::Produce, 250);
        let text = metrics.render();
        has(&text, r#"klamm_connections{listener="PLAINTEXT"} 1"#);
        has(&text, r#"klamm_connections_accepted_total{listener="PLAINTEXT"} 1"#);
        has(&text, r#"klamm_connections_rejected_total{reason="max_connections_per_ip"} 1"#);
        has(&text, r#"klamm_connections_rejected_total{reason="idle"} 0"#);
        has(&text, r#"klamm_throttled_total{quota="produce"} 1"#);
        has(&text, r#"klamm_throttle_milliseconds_total{quota="produce"} 250"#);
    }

    #[test]
    fn registered_closures_are_asked_at_each_scrape() {
        let metrics = metrics();
        metrics.register(Box::new(|sample| {
            let partition = TopicPartition::new(TopicName::new("orders"), PartitionId(3));
            let (log_start, log_end) = (Offset(5), Offset(17));
            sample.partitions.push(PartitionSample { partition, size_bytes: 99, log_start, log_end, leader: true });
            sample.gauges([("topics", "Topics.", 1)]);
            sample.counters([("elections", "Elections.", 7)]);
            sample.gauge("groups", "Groups.", [(vec![("state", "Empty")], 2), (vec![("state", "Dead")], 0)]);
            sample.counter("ends", "Ends.", [(vec![("how", "well")], 3)]);
            sample.coordinator_partitions("group", BTreeMap::from([("active", 5)]));
            sample.coordinator_partitions("transaction", BTreeMap::from([("active", 6)]));
        }));
        let text = metrics.render();
        has(&text, "klamm_partitions 1");
        has(&text, "klamm_leaders 1");
        has(&text, r#"klamm_log_size_bytes{topic="orders",partition="3"} 99"#);
        has(&text, r#"klamm_log_start_offset{topic="orders",partition="3"} 5"#);
        has(&text, r#"klamm_log_end_offset{topic="orders",partition="3"} 17"#);
        has(&text, "klamm_topics 1");
        has(&text, "klamm_elections_total 7");
        has(&text, r#"klamm_groups{state="Empty"} 2"#);
        has(&text, r#"klamm_groups{state="Dead"} 0"#);
        has(&text, r#"klamm_ends_total{how="well"} 3"#);
        has(&text, r#"klamm_coordinator_partitions{coordinator="group",state="active"} 5"#);
        has(&text, r#"klamm_coordinator_partitions{coordinator="transaction",state="active"} 6"#);
        assert_eq!(text.matches("# TYPE klamm_coordinator_partitions").count(), 1);
    }

    #[test]
    fn coordinators_show_how_long_they_took_to_load() {
        let metrics = metrics();
        let groups = Arc::new(CoordinatorMetrics::default());
        metrics.coordinator("group", &groups);
        groups.load.observe(Duration::from_millis(3));
        groups.failed_loads.inc();
        let text = metrics.render();
        has(&text, r#"klamm_coordinator_load_duration_seconds_count{coordinator="group"} 1"#);
        has(&text, r#"klamm_coordinator_load_failures_total{coordinator="group"} 1"#);
    }

    #[test]
    fn the_cleaner_shows_what_it_did_and_how_dirty_logs_are() {
        let metrics = metrics();
        metrics.cleaner.written_bytes.add(5);
        metrics.cleaner.max_dirty_percent.set(42);
        metrics.cleaner.uncleanable_partitions.set(1);
        let text = metrics.render();
        has(&text, "klamm_cleaner_written_bytes_total 5");
        has(&text, "klamm_cleaner_max_dirty_percent 42");
        has(&text, "klamm_cleaner_uncleanable_partitions 1");
    }

    #[test]
    fn the_process_shows_its_start_its_memory_and_its_version() {
        let text = metrics().render();
        has(&text, "klamm_process_start_time_seconds 1700000000");
        has(&text, &format!("klamm_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
        if cfg!(target_os = "linux") {
            assert!(text.contains("klamm_process_resident_memory_bytes "));
        }
    }

    #[test]
    fn a_label_with_quotes_and_line_ends_cannot_break_the_text() {
        let metrics = metrics();
        metrics.listener("A\"\n\\").accepted.inc();
        has(&metrics.render(), r#"klamm_connections_accepted_total{listener="A\"\n\\"} 1"#);
    }
}
