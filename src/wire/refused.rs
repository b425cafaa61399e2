//! Why bytes from a peer were refused. Every parser of `wire` that looks inside a body answers with this.

/// What was wrong, and at which byte of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("API {key} is not one whose shape is known")]
    UnknownApi { key: i16 },
    #[error("version {version} of API {key} is not served")]
    UnsupportedVersion { key: i16, version: i16 },
    #[error("the message ends in the middle of a field at byte {at}")]
    Truncated { at: usize },
    #[error("the length {length} at byte {at} is negative or longer than what follows")]
    Length { at: usize, length: i64 },
    #[error("the count {count} at byte {at} cannot fit in the bytes that follow")]
    Count { at: usize, count: i64 },
    #[error("null at byte {at} for a field that is not nullable")]
    Null { at: usize },
    #[error("the varint at byte {at} does not fit in 32 bits")]
    Varint { at: usize },
    #[error("too many tagged fields ({count}) at byte {at}")]
    TooManyTags { at: usize, count: u32 },
    #[error("the tagged field {tag} at byte {at} does not have the size it declares")]
    TagSize { at: usize, tag: u32 },
    #[error("the tag {tag} at byte {at} is not a valid tag")]
    Tag { at: usize, tag: u32 },
    #[error("the marker {marker} at byte {at} is neither present nor null")]
    Presence { at: usize, marker: i8 },
    #[error("the string at byte {at} is not UTF-8")]
    Utf8 { at: usize },
}
