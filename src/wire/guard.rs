//! The guard: walks a request's body, or the answer of another broker, by the shape of its message before the
//! `kafka-protocol` crate sees it.
//!
//! A body that passes cannot make the crate's decoder allocate more than [`Cost`] says: every length and count was shown
//! to fit in the bytes that remain, every tagged field has the size it declares, every varint fits its type. It is also
//! read by the crate exactly as by the guard: what the crate would silently read differently (a tagged field that is
//! longer than its content, a varint of more than 32 bits) is refused.
//!
//! As Kafka does: unknown tagged fields and bytes after the message are allowed. Stricter than Kafka: a negative count
//! other than -1, an over-long varint, and more than 64 unknown tagged fields in one struct are refused.
//! Not looked at: whether strings are UTF-8 (the decoder checks it), and what the values mean.

use crate::wire::Refused;
use crate::wire::reader::{Reader, UNKNOWN_TAGS_MAX, Width};
use crate::wire::shape::{self, Api, Field, Kind, Scalar};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Bytes that the decoded form of a body will occupy at most, beyond the body itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cost(pub usize);

/// What a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    pub cost: Cost,
    /// The elements of all its lists.
    pub elements: usize,
}

/// Walks `body`, which may have bytes after the message.
pub fn check(key: i16, version: i16, body: &[u8]) -> Result<Cost, Refused> {
    weigh(key, version, body).map(|weight| weight.cost)
}

/// As [`check`], and counts.
pub fn weigh(key: i16, version: i16, body: &[u8]) -> Result<Weight, Refused> {
    walk(&COMPILED, key, version, body)
}

/// As [`check`], for the answer of another broker.
pub fn check_response(key: i16, version: i16, body: &[u8]) -> Result<Cost, Refused> {
    walk(&RESPONSES, key, version, body).map(|weight| weight.cost)
}

fn walk(shapes: &'static [Option<Compiled>], key: i16, version: i16, body: &[u8]) -> Result<Weight, Refused> {
    let compiled = compiled(shapes, key).ok_or(Refused::UnknownApi { key })?;
    let program = version
        .checked_sub(compiled.api.min)
        .and_then(|index| compiled.programs.get(usize::try_from(index).ok()?))
        .ok_or(Refused::UnsupportedVersion { key, version })?;
    let mut walk = Walk { reader: Reader::new(body), cost: compiled.decoded, elements: 0 };
    if compiled.api.is_flexible(version) {
        walk.run::<true>(program)?;
    } else {
        walk.run::<false>(program)?;
    }
    Ok(Weight { cost: Cost(walk.cost), elements: walk.elements })
}

/// Kafka's name of an API whose shape is known.
#[must_use]
pub fn name(key: i16) -> Option<&'static str> {
    compiled(&COMPILED, key).map(|compiled| compiled.api.name)
}

/// The first flexible version of an API whose shape is known; `i16::MAX` if it has none.
#[must_use]
pub fn first_flexible(key: i16) -> Option<i16> {
    compiled(&COMPILED, key).map(|compiled| compiled.api.flexible)
}

/// A shape at one version.
type Program = Box<[Op]>;

/// A tagged field that the message has; without content if it does not have it in this version.
#[derive(Debug)]
struct Known {
    tag: u32,
    content: Option<Program>,
}

/// What to do next with the bytes. Neighbouring fields of fixed size are one step.
#[derive(Debug)]
enum Op {
    /// Fields of fixed size.
    Skip(usize),
    Text {
        nullable: bool,
    },
    Bytes {
        nullable: bool,
    },
    /// A list whose elements take `wire` bytes each, and `decoded` in memory.
    Fixed {
        nullable: bool,
        wire: usize,
        decoded: usize,
    },
    /// A list of strings or bytes.
    Lengths {
        nullable: bool,
        width: Width,
    },
    /// A list of structs of at least `least` bytes.
    Structs {
        nullable: bool,
        least: usize,
        decoded: usize,
        element: Program,
    },
    /// A struct behind a marker: 1 present, negative null.
    Optional(Program),
    /// The tagged fields of a struct.
    Tags(Box<[Known]>),
}

struct Compiled {
    api: &'static Api,
    /// The size of the decoded message itself.
    decoded: usize,
    /// By version, from `api.min`.
    programs: Vec<Program>,
}

static COMPILED: LazyLock<Vec<Option<Compiled>>> = LazyLock::new(|| compile_all(shape::all()));
static RESPONSES: LazyLock<Vec<Option<Compiled>>> = LazyLock::new(|| compile_all(shape::responses()));

fn compile_all(apis: impl Iterator<Item = &'static Api>) -> Vec<Option<Compiled>> {
    let mut by_key = Vec::new();
    for api in apis {
        let key = usize::from(api.key.unsigned_abs());
        if by_key.len() <= key {
            by_key.resize_with(key + 1, || None);
        }
        let programs =
            (api.min..=api.max).map(|version| compile(api.fields, version, api.is_flexible(version))).collect();
        by_key[key] = Some(Compiled { api, decoded: decoded_size(api.fields), programs });
    }
    by_key
}

fn compiled(shapes: &'static [Option<Compiled>], key: i16) -> Option<&'static Compiled> {
    shapes.get(usize::try_from(key).ok()?)?.as_ref()
}

fn compile(fields: &'static [Field], version: i16, flexible: bool) -> Program {
    let mut ops = Vec::new();
    for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
        compile_field(&mut ops, field, version, flexible);
    }
    if flexible {
        let known = fields.iter().filter_map(|field| {
            let content = field.is_in(version).then(|| {
                let mut ops = Vec::new();
                compile_field(&mut ops, field, version, flexible);
                ops.into_boxed_slice()
            });
            Some(Known { tag: field.tag?, content })
        });
        ops.push(Op::Tags(known.collect()));
    }
    ops.into_boxed_slice()
}

fn compile_field(ops: &mut Vec<Op>, field: &Field, version: i16, flexible: bool) {
    let nullable = field.is_nullable(version);
    match field.kind {
        Kind::One(Scalar::Text) => ops.push(Op::Text { nullable }),
        Kind::One(Scalar::Bytes) => ops.push(Op::Bytes { nullable }),
        Kind::One(scalar) => {
            let size = scalar.fixed().unwrap_or_default();
            match ops.last_mut() {
                Some(Op::Skip(before)) => *before += size,
                _ => ops.push(Op::Skip(size)),
            }
        }
        Kind::List(Scalar::Text) => ops.push(Op::Lengths { nullable, width: Width::string(flexible) }),
        Kind::List(Scalar::Bytes) => ops.push(Op::Lengths { nullable, width: Width::bytes(flexible) }),
        Kind::List(scalar) => {
            ops.push(Op::Fixed { nullable, wire: scalar.decoded(), decoded: scalar.decoded() });
        }
        Kind::Struct(fields) if nullable => ops.push(Op::Optional(compile(fields, version, flexible))),
        Kind::Struct(fields) => ops.extend(compile(fields, version, flexible)),
        Kind::Structs(fields) => {
            let (element, decoded) = (compile(fields, version, flexible), decoded_size(fields));
            ops.push(match *element {
                [Op::Skip(wire)] => Op::Fixed { nullable, wire, decoded },
                _ => Op::Structs { nullable, least: least(&element, flexible), decoded, element },
            });
        }
    }
}

/// The fewest bytes that can satisfy `ops`.
fn least(ops: &[Op], flexible: bool) -> usize {
    let of = |op: &Op| match op {
        Op::Skip(n) => *n,
        Op::Text { .. } if !flexible => 2,
        Op::Bytes { .. } | Op::Fixed { .. } | Op::Lengths { .. } | Op::Structs { .. } if !flexible => 4,
        _ => 1,
    };
    ops.iter().map(of).sum()
}

/// The size of a struct of the crate: all fields that it has in any version, and the map of unknown tagged fields.
fn decoded_size(fields: &[Field]) -> usize {
    let of = |field: &Field| match field.kind {
        Kind::One(scalar) => scalar.decoded(),
        Kind::List(_) | Kind::Structs(_) => size_of::<Vec<u8>>(),
        // With room for the discriminant, should it be optional.
        Kind::Struct(fields) => decoded_size(fields) + 8,
    };
    (fields.iter().map(of).sum::<usize>() + size_of::<BTreeMap<i32, bytes::Bytes>>()).next_multiple_of(8)
}

/// A leaf of a B-tree from tags to their bytes: eleven entries, whether they are used or not.
const TAG_LEAF: usize = 11 * (size_of::<i32>() + size_of::<bytes::Bytes>()) + 24;

/// What the first split of that leaf costs at most: a second leaf and a root above them.
const TAG_SPLIT: usize = 1024;

/// What one more entry costs at most once the tree has several nodes, none less than five elevenths full.
const TAG_ENTRY: usize = 128;

struct Walk<'a> {
    reader: Reader<'a>,
    cost: usize,
    elements: usize,
}

impl Walk<'_> {
    fn run<const FLEXIBLE: bool>(&mut self, ops: &[Op]) -> Result<(), Refused> {
        for op in ops {
            match op {
                Op::Skip(n) => self.reader.skip(*n)?,
                Op::Text { nullable } => self.length(Width::string(FLEXIBLE), *nullable)?,
                Op::Bytes { nullable } => self.length(Width::bytes(FLEXIBLE), *nullable)?,
                Op::Fixed { nullable, wire, decoded } => {
                    let count = self.count::<FLEXIBLE>(*nullable, *wire, *decoded)?;
                    self.reader.skip(count * wire)?;
                }
                Op::Lengths { nullable, width } => {
                    let least = if !FLEXIBLE && *width == Width::Short { 2 } else { 1 };
                    for _ in 0..self.count::<FLEXIBLE>(*nullable, least, size_of::<bytes::Bytes>())? {
                        self.length(*width, false)?;
                    }
                }
                Op::Structs { nullable, least, decoded, element } => {
                    for _ in 0..self.count::<FLEXIBLE>(*nullable, *least, *decoded)? {
                        self.run::<FLEXIBLE>(element)?;
                    }
                }
                Op::Optional(content) => {
                    let at = self.reader.at();
                    match self.reader.i8()? {
                        1 => self.run::<FLEXIBLE>(content)?,
                        i8::MIN..=-1 => {}
                        marker => return Err(Refused::Presence { at, marker }),
                    }
                }
                Op::Tags(known) => self.tags::<FLEXIBLE>(known)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn length(&mut self, width: Width, nullable: bool) -> Result<(), Refused> {
        let at = self.reader.at();
        match self.reader.length(width)? {
            Some(n) => self.reader.skip(n),
            None if nullable => Ok(()),
            None => Err(Refused::Null { at }),
        }
    }

    #[inline]
    fn count<const FLEXIBLE: bool>(&mut self, nullable: bool, least: usize, decoded: usize) -> Result<usize, Refused> {
        let at = self.reader.at();
        match self.reader.count(FLEXIBLE, least)? {
            Some(count) => {
                self.cost = self.cost.saturating_add(count.saturating_mul(decoded));
                self.elements += count;
                Ok(count)
            }
            None if nullable => Ok(0),
            None => Err(Refused::Null { at }),
        }
    }

    #[inline]
    fn tags<const FLEXIBLE: bool>(&mut self, known: &[Known]) -> Result<(), Refused> {
        if self.reader.next_is_zero() {
            return Ok(());
        }
        self.some_tags::<FLEXIBLE>(known)
    }

    fn some_tags<const FLEXIBLE: bool>(&mut self, known: &[Known]) -> Result<(), Refused> {
        let at = self.reader.at();
        let count = self.reader.uvarint()?;
        let mut unknown = 0u32;
        for _ in 0..count {
            let at_tag = self.reader.at();
            let (tag, content) = self.reader.tag()?;
            match known.iter().find(|known| known.tag == tag) {
                Some(Known { content: Some(ops), .. }) => {
                    let mut inner = Walk { reader: content, cost: self.cost, elements: self.elements };
                    inner.run::<FLEXIBLE>(ops)?;
                    if inner.reader.remaining() > 0 {
                        return Err(Refused::TagSize { at: at_tag, tag });
                    }
                    (self.cost, self.elements) = (inner.cost, inner.elements);
                }
                Some(Known { content: None, .. }) => return Err(Refused::Tag { at: at_tag, tag }),
                None => {
                    unknown += 1;
                    self.cost = self.cost.saturating_add(match unknown {
                        1 => TAG_LEAF,
                        2..=11 => 0,
                        12 => TAG_SPLIT,
                        13..=UNKNOWN_TAGS_MAX => TAG_ENTRY,
                        _ => return Err(Refused::TooManyTags { at, count }),
                    });
                }
            }
        }
        Ok(())
    }
}
