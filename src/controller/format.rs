//! What a new cluster begins with, as `kafka-storage format` is told (`Formatter`, `ScramParser`): a release, levels of
//! features, users. Pure; the messages are Kafka's.

use super::machine::features::{FEATURES, METADATA_VERSION};
use super::machine::scram::SCRAM_LEVEL;
use crate::metadata::Record;
use crate::metadata::record::UserScramCredential;
use crate::model::{ScramCredential, ScramMechanism};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// The levels of `metadata.version`, and each feature's first level above 0 that a release begins with.
const RELEASES: [(i16, &str); 24] = [
    (7, "3.3-IV3"),
    (8, "3.4-IV0"),
    (9, "3.5-IV0"),
    (10, "3.5-IV1"),
    (11, "3.5-IV2"),
    (12, "3.6-IV0"),
    (13, "3.6-IV1"),
    (14, "3.6-IV2"),
    (15, "3.7-IV0"),
    (16, "3.7-IV1"),
    (17, "3.7-IV2"),
    (18, "3.7-IV3"),
    (19, "3.7-IV4"),
    (20, "3.8-IV0"),
    (21, "3.9-IV0"),
    (22, "4.0-IV0"),
    (23, "4.0-IV1"),
    (24, "4.0-IV2"),
    (25, "4.0-IV3"),
    (26, "4.1-IV0"),
    (27, "4.1-IV1"),
    (28, "4.2-IV0"),
    (29, "4.2-IV1"),
    (30, "4.3-IV0"),
];
/// From which level of `metadata.version` on a new cluster has the feature at which level.
const DEFAULTS: [(&str, i16, i16); 5] = [
    ("eligible.leader.replicas.version", 26, 1),
    ("group.version", 22, 1),
    ("share.version", 28, 1),
    ("streams.version", 29, 1),
    ("transaction.version", 24, 2),
];
const KRAFT_VERSION: &str = "kraft.version";
const ITERATIONS: u32 = 4096;

/// The name of a level of `metadata.version`.
#[must_use]
pub fn release_name(level: i16) -> &'static str {
    RELEASES.iter().find(|(of, _)| *of == level).map_or("unknown", |(_, name)| name)
}

/// The level of a release: `4.3`, `4.3.1`, `4.3-IV0`.
///
/// # Errors
/// There is no such release, or it is too old.
pub fn release(text: &str) -> Result<i16, String> {
    let mut parts = text.split('.');
    let key = match (parts.next(), parts.next(), parts.next()) {
        (Some(major), Some(minor), Some(_)) => format!("{major}.{minor}"),
        _ => text.to_owned(),
    };
    let of_release = |name: &str| name == key || name.split_once('-').is_some_and(|(release, _)| release == key);
    // Of a release the last.
    let level = RELEASES.iter().rev().find(|(_, name)| of_release(name)).map(|(level, _)| *level);
    level.ok_or_else(|| {
        let all: Vec<&str> = RELEASES.iter().map(|(_, name)| *name).collect();
        format!("Unknown metadata.version '{text}'. Supported metadata.version are: {}", all.join(", "))
    })
}

/// What is to be formatted.
#[derive(Clone, Debug, Default)]
pub struct Format<'a> {
    /// `--release-version`
    pub release: Option<&'a str>,
    /// `--feature`, each `name=level`.
    pub features: Vec<&'a str>,
    /// `--add-scram`
    pub scram: Vec<&'a str>,
}

/// The records of the new cluster, and the level of `metadata.version` that they are written at. `salt` draws one.
///
/// # Errors
/// What is wrong, in Kafka's words.
pub fn format(format: &Format<'_>, salt: &mut dyn FnMut() -> Vec<u8>) -> Result<(i16, Vec<Record>), String> {
    let mut given = BTreeMap::new();
    for text in &format.features {
        let fault = |why: &str| format!("Can't parse feature=level string {text}: {why}");
        let (name, level) = text.split_once('=').ok_or_else(|| fault("equals sign not found."))?;
        let level = level.trim();
        let level: i16 = level.parse().map_err(|_| fault(&format!("unable to parse {level} as a short.")))?;
        given.insert(name.trim(), level);
    }
    let level = match (given.remove(METADATA_VERSION), format.release) {
        (Some(_), Some(_)) => {
            return Err("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.".into());
        }
        (Some(level), None) if RELEASES.iter().any(|(known, _)| *known == level) => level,
        (Some(level), None) => return Err(format!("No MetadataVersion with feature level {level}")),
        (None, Some(text)) => release(text)?,
        (None, None) => RELEASES.last().map_or(0, |(level, _)| *level),
    };
    let mut levels: BTreeMap<&str, i16> =
        DEFAULTS.iter().filter(|(_, since, _)| level >= *since).map(|(name, _, of)| (*name, *of)).collect();
    for (name, of) in given {
        let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
            let all: Vec<&str> = FEATURES.iter().map(|f| f.name).filter(|name| *name != METADATA_VERSION).collect();
            return Err(format!("Unsupported feature: {name}. Supported features are: {}", all.join(", ")));
        };
        if !(feature.min..=feature.max).contains(&of) {
            return Err(format!("No feature:{name} with feature level {of}"));
        }
        if name == KRAFT_VERSION && of != 0 {
            return Err(format!(
                "Cannot set kraft.version to {of}: the quorum of this node has no voters that could be changed. Remove the \
                 --feature flag for kraft.version."
            ));
        }
        if name == "eligible.leader.replicas.version" && of > 0 && level < 23 {
            return Err(format!("{name} could not be set to {of} because it depends on metadata.version level 23"));
        }
        levels.insert(name, of);
    }
    let feature = |(name, level): (&str, i16)| Record::Feature { name: name.into(), level };
    let mut records = vec![feature((METADATA_VERSION, level))];
    records.extend(levels.into_iter().filter(|(name, level)| *level > 0 && *name != KRAFT_VERSION).map(feature));
    if !format.scram.is_empty() && level < SCRAM_LEVEL {
        return Err("SCRAM is only supported in metadata.version 3.5-IV2 or later.".into());
    }
    for text in &format.scram {
        records.push(Record::ScramCredential(credential(text, salt)?));
    }
    Ok((level, records))
}

/// `SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]`, or with `salt` and `saltedpassword` in base64.
fn credential(text: &str, draw: &mut dyn FnMut() -> Vec<u8>) -> Result<UserScramCredential, String> {
    let (name, config) =
        text.split_once('=').ok_or_else(|| format!("Failed to find equals sign in SCRAM argument '{text}'"))?;
    let mechanism = ScramMechanism::parse(name).ok_or(format!("The add-scram mechanism {name} is not supported."))?;
    let config = config.strip_prefix('[').ok_or("Expected configuration string to start with [")?;
    let config = config.strip_suffix(']').ok_or("Expected configuration string to end with ]")?;
    let mut parts = BTreeMap::new();
    for part in config.split(',') {
        let (key, value) =
            part.split_once('=').ok_or_else(|| format!("No equals sign found in SCRAM component: {part}"))?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        parts.insert(key, value);
    }
    let user = parts.remove("name").ok_or("You must supply 'name' to add-scram")?.to_owned();
    let salt = match parts.remove("salt") {
        Some(text) => Some(STANDARD.decode(text).map_err(|_| format!("Failed to decode given salt: {text}"))?),
        None => None,
    };
    let iterations = match parts.remove("iterations") {
        Some(text) => text.parse().map_err(|_| format!("Failed to parse iterations count: {text}"))?,
        None => ITERATIONS,
    };
    let (password, salted) = (parts.remove("password"), parts.remove("saltedpassword"));
    let salted = match (password, salted) {
        (None, None) => return Err("You must supply one of 'password' or 'saltedpassword' to add-scram".into()),
        (None, Some(_)) if salt.is_none() => {
            return Err("You must supply 'salt' with 'saltedpassword' to add-scram".into());
        }
        (None, Some(text)) => {
            Some(STANDARD.decode(text).map_err(|_| "Failed to decode given saltedPassword".to_owned())?)
        }
        // As in Kafka, the password wins; its salted form is then one too many.
        (Some(_), Some(_)) => return Err("Unknown SCRAM configurations: saltedpassword".into()),
        (Some(_), None) => None,
    };
    if !parts.is_empty() {
        let keys: Vec<&str> = parts.into_keys().collect();
        return Err(format!("Unknown SCRAM configurations: {}", keys.join(", ")));
    }
    let bound = |what: &str, than: u32| {
        Err(format!("The 'iterations' value must be {what} {than} for add-scram using {}", shown(mechanism)))
    };
    if iterations < mechanism.iterations_min() {
        return bound(">=", mechanism.iterations_min());
    }
    if iterations > mechanism.iterations_max() {
        return bound("<=", mechanism.iterations_max());
    }
    let salt = salt.unwrap_or_else(draw);
    let salted = salted.unwrap_or_else(|| {
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        mechanism.salted_password(password.unwrap_or_default(), &salt, rounds)
    });
    let credential = ScramCredential::of_salted(mechanism, &salted, &salt, iterations);
    Ok(UserScramCredential { user, mechanism, credential })
}

/// As Java shows its constant.
fn shown(mechanism: ScramMechanism) -> String {
    mechanism.name().replace('-', "_")
}

/// The records as Kafka's tool prints them, without what passwords could be guessed from.
#[must_use]
pub fn show(level: i16, records: &[Record]) -> String {
    let shown = records.iter().map(|record| {
        let text = match record {
            Record::Feature { name, level } => format!("FeatureLevelRecord(name='{name}', featureLevel={level})"),
            Record::ScramCredential(one) => format!(
                "UserScramCredentialRecord(name='{}', mechanism={}, salt=[hidden], storedKey=[hidden], \
                 serverKey=[hidden], iterations={})",
                one.user,
                one.mechanism.id(),
                one.credential.iterations
            ),
            other => format!("{other:?}"),
        };
        format!("ApiMessageAndVersion({text} at version 0)")
    });
    let shown: Vec<String> = shown.collect();
    format!("BootstrapMetadata(records=[{}], metadataVersionLevel={level}, source=format command)", shown.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made(given: &Format<'_>) -> Result<(i16, Vec<Record>), String> {
        format(given, &mut || b"salt".to_vec())
    }

    fn features(given: &Format<'_>) -> Vec<(String, i16)> {
        let all = made(given).unwrap().1;
        all.into_iter()
            .filter_map(|r| if let Record::Feature { name, level } = r { Some((name, level)) } else { None })
            .collect()
    }

    fn scram(text: &str) -> Result<UserScramCredential, String> {
        let (_, records) = made(&Format { scram: vec![text], ..Format::default() })?;
        match records.last() {
            Some(Record::ScramCredential(one)) => Ok(one.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_cluster_is_of_the_newest_release_with_its_features() {
        let (level, records) = made(&Format::default()).unwrap();
        assert_eq!(level, 30);
        assert_eq!(records, super::super::machine::features::bootstrap(None, 1)[..6]);
    }

    #[test]
    fn an_older_release_has_the_features_it_came_with() {
        let of = |release| features(&Format { release: Some(release), ..Format::default() });
        assert_eq!(of("3.9"), [("metadata.version".to_owned(), 21)]);
        assert_eq!(of("4.0.1").len(), 3);
        assert_eq!(of("4.0-IV1"), [("metadata.version".to_owned(), 23), ("group.version".to_owned(), 1)]);
        assert_eq!((release("3.5"), release("3.5-IV1"), release("4.3.1")), (Ok(11), Ok(10), Ok(30)));
        assert!(
            release("2.0")
                .unwrap_err()
                .starts_with("Unknown metadata.version '2.0'. Supported metadata.version are: 3.3-IV3, 3.4-IV0")
        );
    }

    #[test]
    fn features_are_set_one_by_one_and_at_level_0_left_out() {
        let given = Format { features: vec!["group.version=0", "transaction.version = 1"], ..Format::default() };
        let levels = features(&given);
        assert!(levels.contains(&("transaction.version".into(), 1)));
        assert!(!levels.iter().any(|(name, _)| name == "group.version"));
        let fault = |text| made(&Format { features: vec![text], ..Format::default() }).unwrap_err();
        assert_eq!(
            fault("nix=1"),
            "Unsupported feature: nix. Supported features are: eligible.leader.replicas.version, group.version, \
             kraft.version, share.version, streams.version, transaction.version"
        );
        assert_eq!(fault("nix"), "Can't parse feature=level string nix: equals sign not found.");
        assert_eq!(
            fault("group.version=x"),
            "Can't parse feature=level string group.version=x: unable to parse x as a short."
        );
        assert_eq!(fault("group.version=7"), "No feature:group.version with feature level 7");
        assert!(fault("kraft.version=1").contains("kraft.version"));
    }

    #[test]
    fn a_user_is_added_with_a_password_or_with_its_salted_form() {
        let salted = ScramMechanism::Sha256.salted_password("secret", b"salt", NonZeroU32::new(8192).unwrap());
        let expected = ScramCredential::of_salted(ScramMechanism::Sha256, &salted, b"salt", 8192);
        let one = scram("SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]").unwrap();
        assert_eq!((one.user.as_str(), one.mechanism, one.credential), ("alice", ScramMechanism::Sha256, expected));
        let one = scram(r#"SCRAM-SHA-512=[name=bob,salt="N3E=",saltedpassword="YCE="]"#).unwrap();
        let expected = ScramCredential::of_salted(ScramMechanism::Sha512, b"`!", b"7q", 4096);
        assert_eq!(one.credential, expected);
    }

    #[test]
    fn what_is_wrong_about_a_user_is_said_as_kafka_says_it() {
        for (text, expected) in [
            ("nix", "Failed to find equals sign in SCRAM argument 'nix'"),
            ("SCRAM-SHA-1=[name=a,password=b]", "The add-scram mechanism SCRAM-SHA-1 is not supported."),
            ("SCRAM-SHA-256=name=a]", "Expected configuration string to start with ["),
            ("SCRAM-SHA-256=[name=a", "Expected configuration string to end with ]"),
            ("SCRAM-SHA-256=[name]", "No equals sign found in SCRAM component: name"),
            ("SCRAM-SHA-256=[password=b]", "You must supply 'name' to add-scram"),
            ("SCRAM-SHA-256=[name=a]", "You must supply one of 'password' or 'saltedpassword' to add-scram"),
            ("SCRAM-SHA-256=[name=a,saltedpassword=YCE=]", "You must supply 'salt' with 'saltedpassword' to add-scram"),
            ("SCRAM-SHA-256=[name=a,password=b,salt=!]", "Failed to decode given salt: !"),
            ("SCRAM-SHA-256=[name=a,password=b,iterations=x]", "Failed to parse iterations count: x"),
            (
                "SCRAM-SHA-256=[name=a,password=b,iterations=4095]",
                "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256",
            ),
            (
                "SCRAM-SHA-512=[name=a,password=b,iterations=16385]",
                "The 'iterations' value must be <= 16384 for add-scram using SCRAM_SHA_512",
            ),
            ("SCRAM-SHA-256=[name=a,password=b,x=1,y=2]", "Unknown SCRAM configurations: x, y"),
        ] {
            assert_eq!(scram(text).unwrap_err(), expected, "{text}");
        }
        let old =
            Format { release: Some("3.5-IV1"), scram: vec!["SCRAM-SHA-256=[name=a,password=b]"], ..Format::default() };
        assert_eq!(made(&old).unwrap_err(), "SCRAM is only supported in metadata.version 3.5-IV2 or later.");
    }

    #[test]
    fn what_is_shown_has_no_key_and_no_salt() {
        let given =
            Format { release: Some("3.9"), scram: vec!["SCRAM-SHA-256=[name=alice,password=b]"], features: vec![] };
        let (level, records) = made(&given).unwrap();
        assert_eq!(
            show(level, &records),
            "BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', featureLevel=21) \
             at version 0), ApiMessageAndVersion(UserScramCredentialRecord(name='alice', mechanism=1, salt=[hidden], \
             storedKey=[hidden], serverKey=[hidden], iterations=4096) at version 0)], metadataVersionLevel=21, \
             source=format command)"
        );
    }
}
