//! The small files of a log directory: `meta.properties`, `.kafka_cleanshutdown`, `partition.metadata`.

use crate::model::{NodeId, TopicId};
use crate::rt::fs::Fs;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io;
use std::path::Path;
use uuid::Uuid;

pub(super) const META_PROPERTIES: &str = "meta.properties";
pub(super) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(super) const PARTITION_METADATA: &str = "partition.metadata";

/// What `meta.properties` says; version 0 need not say anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) cluster_id: Option<String>,
    pub(super) node_id: Option<NodeId>,
    pub(super) directory_id: Option<Uuid>,
    /// It is version 1 and complete: nothing is to be added.
    pub(super) complete: bool,
}

pub(super) fn base64(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

fn from_base64(text: &str) -> Option<Uuid> {
    TopicId::parse(text).map(|id| id.0)
}

/// The keys and values of `meta.properties` in the order of their keys, in the way of Java's maps.
pub(super) fn shown(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let mut pairs: Vec<String> = lines
        .filter_map(|line| line.split_once(['=', ':']))
        .map(|(key, value)| format!("{}={}", key.trim(), value.trim()))
        .collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

/// A small file, or `None` if it is not there.
pub(super) fn read_optional(fs: &dyn Fs, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs.read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Meta {
    /// Reads Java's properties format as far as these files use it.
    pub(super) fn parse(content: &[u8]) -> Result<Meta, String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not text".to_owned())?;
        let mut meta = Meta::default();
        let mut version = 0;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!'])) {
            let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
            let (key, value) = (key.trim(), value.trim());
            let bad = || format!("'{value}' is no {key}");
            match key {
                "version" => version = value.parse().ok().filter(|v| (0..=1).contains(v)).ok_or_else(bad)?,
                "cluster.id" => meta.cluster_id = Some(value.to_owned()),
                "node.id" | "broker.id" => meta.node_id = Some(NodeId(value.parse().map_err(|_| bad())?)),
                "directory.id" => meta.directory_id = Some(from_base64(value).ok_or_else(bad)?),
                _ => {}
            }
        }
        let has_both = meta.cluster_id.is_some() && meta.node_id.is_some();
        if version == 1 && !has_both {
            return Err("it has no cluster.id or no node.id".into());
        }
        meta.complete = version == 1 && meta.directory_id.is_some();
        Ok(meta)
    }

    pub(super) fn encode(cluster_id: &str, node_id: NodeId, directory_id: Uuid) -> String {
        let directory_id = base64(directory_id);
        format!("#\ncluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={}\nversion=1\n", node_id.0)
    }
}

/// What `.kafka_cleanshutdown` holds for a broker that registered under `broker_epoch`.
pub(super) fn encode_clean_shutdown(broker_epoch: i64) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

/// The broker epoch in `.kafka_cleanshutdown`. Older Kafkas leave the file empty; whatever else is
/// in it, its being there is what counts.
pub(super) fn parse_clean_shutdown(content: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?;
    let (_, rest) = text.split_once("\"brokerEpoch\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

pub(super) fn encode_partition_metadata(id: TopicId) -> String {
    format!("version: 0\ntopic_id: {id}")
}

/// The topic id in `partition.metadata`.
pub(super) fn parse_partition_metadata(content: &[u8]) -> Option<TopicId> {
    let mut lines = std::str::from_utf8(content).ok()?.lines();
    let version = lines.next()?.strip_prefix("version:")?.trim();
    let id = lines.next()?.strip_prefix("topic_id:")?.trim();
    (version == "0").then(|| TopicId::parse(id)).flatten().filter(|id| !id.is_zero())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn meta_properties_are_read_as_kafka_writes_them() {
        let text = "#\n#Fri Jun 19 09:12:33 UTC 2026\ncluster.id=4L6g3nShT-eMCtK--X86sw\n\
                    directory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\nversion=1\n";
        let meta = Meta::parse(text.as_bytes()).unwrap();
        assert_eq!(meta.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
        assert_eq!((meta.node_id, meta.directory_id), (Some(NodeId(1)), Some(Uuid::from_u128(1))));
        assert!(meta.complete);
        assert_eq!(
            Meta::parse(Meta::encode("4L6g3nShT-eMCtK--X86sw", NodeId(1), Uuid::from_u128(1)).as_bytes()),
            Ok(meta)
        );
    }

    #[test]
    fn version_0_and_a_missing_directory_id_are_to_be_completed() {
        let old = Meta::parse(b"version = 0\nbroker.id: 3\n").unwrap();
        assert_eq!((old.node_id, old.complete), (Some(NodeId(3)), false));
        assert!(!Meta::parse(b"version=1\nnode.id=1\ncluster.id=x\n").unwrap().complete);
        assert_eq!(Meta::parse(b""), Ok(Meta::default()));
    }

    #[test]
    fn meta_properties_that_make_no_sense_are_refused() {
        let bads: [&[u8]; 5] =
            [b"version=2\n", b"version=1\nnode.id=1\n", b"node.id=x\n", b"directory.id=short\n", &[0xff]];
        for bad in bads {
            assert!(Meta::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_broker_epoch_of_a_clean_shutdown_survives() {
        assert_eq!(encode_clean_shutdown(27), r#"{"version":0,"brokerEpoch":27}"#);
        assert_eq!(parse_clean_shutdown(encode_clean_shutdown(27).as_bytes()), Some(27));
        assert_eq!(parse_clean_shutdown(br#"{ "brokerEpoch" : -1, "x": 2}"#), Some(-1));
        for none in ["", "{}", r#"{"brokerEpoch":}"#, r#"{"brokerEpoch":null}"#] {
            assert_eq!(parse_clean_shutdown(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn the_topic_id_of_a_partition_is_kept_as_kafka_keeps_it() {
        let id = TopicId(Uuid::from_u128(1));
        assert_eq!(encode_partition_metadata(id), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse_partition_metadata(encode_partition_metadata(id).as_bytes()), Some(id));
        for none in [
            "",
            "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
            "version: 0\n",
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(parse_partition_metadata(none.as_bytes()), None, "{none}");
        }
    }
}
