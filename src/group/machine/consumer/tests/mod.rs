//! Consumer groups, by what they answer and write.

#![allow(clippy::unwrap_used)]

mod bed;
mod epochs;
mod joining;
