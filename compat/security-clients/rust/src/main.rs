//! The crate `rdkafka`: what the standard input asks for, a JSON object a line, answered by one a line. See ../README.md.

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, stdin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(50);

/// What a client learns on the way.
#[derive(Clone, Default)]
struct Seen {
    token: String,
    delivered: Arc<AtomicUsize>,
    error: Arc<Mutex<Option<String>>>,
}

impl Seen {
    fn failed(&self, text: String) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }

    fn fault(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Seen {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        // A connection that ended is tried again for ever: the run wants to know at once.
        use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, SSL};
        if matches!(error.rdkafka_error_code(), Some(Authentication | BrokerTransportFailure | SSL)) {
            self.failed(reason.to_owned());
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        // Whether a token is still good is for the broker to say.
        let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + Duration::from_secs(3600);
        Ok(OAuthToken {
            token: self.token.clone(),
            principal_name: "alice".to_owned(),
            lifetime_ms: i64::try_from(end.as_millis())?,
        })
    }
}

impl ConsumerContext for Seen {}

impl ProducerContext for Seen {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => _ = self.delivered.fetch_add(1, Ordering::Relaxed),
            Err((error, _)) => self.failed(error.to_string()),
        }
    }
}

fn text<'a>(ask: &'a Value, name: &str) -> Option<&'a str> {
    ask.get(name).and_then(Value::as_str)
}

fn client<T: FromClientConfigAndContext<Seen>>(
    ask: &Value,
    more: &[(&str, &str)],
) -> Result<(Seen, T), Box<dyn Error>> {
    let mut config = ClientConfig::new();
    for (name, setting) in [
        ("address", "bootstrap.servers"),
        ("protocol", "security.protocol"),
        ("mechanism", "sasl.mechanism"),
        ("username", "sasl.username"),
        ("password", "sasl.password"),
        ("ca", "ssl.ca.location"),
        ("certificate", "ssl.certificate.location"),
        ("key", "ssl.key.location"),
    ] {
        if let Some(value) = text(ask, name) {
            config.set(setting, value);
        }
    }
    for (setting, value) in more {
        config.set(*setting, *value);
    }
    let seen = Seen { token: text(ask, "token").unwrap_or_default().to_owned(), ..Seen::default() };
    let made = T::from_config_and_context(&config, seen.clone())?;
    Ok((seen, made))
}

fn carry(ask: &Value) -> Result<Vec<String>, Box<dyn Error>> {
    let topic = text(ask, "topic").ok_or("no topic")?;
    let count = usize::try_from(ask.get("records").and_then(Value::as_u64).ok_or("no number of records")?)?;
    let deadline = Instant::now() + PATIENCE;
    let (seen, producer) = client::<BaseProducer<Seen>>(ask, &[("message.timeout.ms", "15000"), ("linger.ms", "0")])?;
    for number in 0..count {
        let value = format!("{topic}-{number}");
        producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(&value)).map_err(|(error, _)| error)?;
    }
    while seen.delivered.load(Ordering::Relaxed) < count && Instant::now() < deadline {
        producer.poll(MOMENT);
        if let Some(fault) = seen.fault() {
            producer.purge(PurgeConfig::default().queue().inflight());
            return Err(fault.into());
        }
    }
    if seen.delivered.load(Ordering::Relaxed) < count {
        return Err("the records were not delivered in time".into());
    }

    let (seen, consumer) = client::<BaseConsumer<Seen>>(ask, &[("group.id", topic), ("enable.auto.commit", "false")])?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&from)?;
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < deadline {
        if let Some(message) = consumer.poll(MOMENT) {
            records.push(String::from_utf8_lossy(message?.payload().unwrap_or_default()).into_owned());
        }
        if let Some(fault) = seen.fault() {
            return Err(fault.into());
        }
    }
    Ok(records)
}

fn main() -> Result<(), Box<dyn Error>> {
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?).map_err(Into::into).and_then(|ask| carry(&ask)) {
            Ok(records) => json!({ "records": records }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
    }
    Ok(())
}
