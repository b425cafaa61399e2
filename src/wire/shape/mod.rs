//! The shapes of the requests: one compact table from which the guard, the hostile frames and the random messages of the tests
//! all come.
//!
//! It has every request of the `kafka-protocol` crate, at the versions that both the crate and Apache Kafka 4.3 know, and
//! those of [`super::offsets`] and of the modules of `wire/` whose names begin with `share_`.
//! Not in the crate, and so not here: StreamsGroupHeartbeat (88), StreamsGroupDescribe (89), and the versions ListOffsets 11,
//! WriteTxnMarkers 2, DescribeLogDirs 5, AddRaftVoter 1, and some between brokers.
//!
//! Of the responses there are those that this broker reads from other brokers ([`responses()`]).
//!
//! To add an API: one entry in the file of its kind. `protocol-tests/wire_golden.rs` compares it with the crate.

mod admin;
mod data;
mod groups;
mod internal;
mod responses;

/// A request's shape over all its versions.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    pub key: i16,
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
    /// The first flexible version, which may lie outside `min..=max`; `i16::MAX` if there is none.
    pub flexible: i16,
    pub fields: &'static [Field],
}

/// A field, in the order of the wire. Tagged fields come last there, wherever they stand here.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub since: i16,
    pub until: i16,
    /// The first version in which it may be null.
    pub nullable_since: i16,
    pub tag: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    One(Scalar),
    List(Scalar),
    Struct(&'static [Field]),
    Structs(&'static [Field]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    Text,
    Bytes,
}

impl Scalar {
    /// Its size on the wire, if that is always the same.
    #[must_use]
    pub const fn fixed(self) -> Option<usize> {
        match self {
            Scalar::Bool | Scalar::Int8 => Some(1),
            Scalar::Int16 | Scalar::Uint16 => Some(2),
            Scalar::Int32 => Some(4),
            Scalar::Int64 | Scalar::Float64 => Some(8),
            Scalar::Uuid => Some(16),
            Scalar::Text | Scalar::Bytes => None,
        }
    }

    /// Its size in the decoded form: strings and bytes are slices of the frame.
    #[must_use]
    pub const fn decoded(self) -> usize {
        match self.fixed() {
            Some(size) => size,
            None => size_of::<bytes::Bytes>(),
        }
    }
}

impl Field {
    #[must_use]
    pub const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    #[must_use]
    pub const fn is_nullable(&self, version: i16) -> bool {
        self.nullable_since <= version
    }

    const fn new(name: &'static str, kind: Kind) -> Field {
        Field { name, kind, since: 0, until: i16::MAX, nullable_since: i16::MAX, tag: None }
    }

    const fn since(self, version: i16) -> Field {
        Field { since: version, ..self }
    }

    const fn until(self, version: i16) -> Field {
        Field { until: version, ..self }
    }

    const fn between(self, since: i16, until: i16) -> Field {
        Field { since, until, ..self }
    }

    const fn nullable(self) -> Field {
        self.nullable_since(0)
    }

    const fn nullable_since(self, version: i16) -> Field {
        Field { nullable_since: version, ..self }
    }

    const fn tag(self, tag: u32) -> Field {
        Field { tag: Some(tag), ..self }
    }
}

impl Api {
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible
    }

    #[must_use]
    pub fn has_version(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

/// Every shape, by key.
pub fn all() -> impl Iterator<Item = &'static Api> {
    [data::TABLE, groups::TABLE, admin::TABLE, internal::TABLE].into_iter().flatten()
}

/// The shapes of the responses that this broker reads from others, by key.
pub fn responses() -> impl Iterator<Item = &'static Api> {
    responses::TABLE.iter()
}

/// The words in which the tables are written.
mod dsl {
    use super::{Api, Field, Kind, Scalar};

    pub(super) const NEVER: i16 = i16::MAX;

    pub(super) const fn api(
        key: i16,
        name: &'static str,
        min: i16,
        max: i16,
        flexible: i16,
        fields: &'static [Field],
    ) -> Api {
        Api { key, name, min, max, flexible, fields }
    }

    macro_rules! scalars {
        ($($word:ident = $scalar:ident),*) => {$(
            pub(super) const fn $word(name: &'static str) -> Field {
                Field::new(name, Kind::One(Scalar::$scalar))
            }
        )*};
    }
    scalars!(
        flag = Bool,
        int8 = Int8,
        int16 = Int16,
        uint16 = Uint16,
        int32 = Int32,
        int64 = Int64,
        float64 = Float64,
        uuid = Uuid,
        text = Text,
        bytes = Bytes
    );

    /// A list of scalars.
    pub(super) const fn list(name: &'static str, of: Scalar) -> Field {
        Field::new(name, Kind::List(of))
    }

    /// A struct.
    pub(super) const fn one(name: &'static str, fields: &'static [Field]) -> Field {
        Field::new(name, Kind::Struct(fields))
    }

    /// A list of structs.
    pub(super) const fn many(name: &'static str, fields: &'static [Field]) -> Field {
        Field::new(name, Kind::Structs(fields))
    }
}
