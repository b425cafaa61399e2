//! Consumer groups, by what they answer and write.

#![allow(clippy::unwrap_used)]

mod bed;
mod by_regex;
mod classic_bed;
mod classic_members;
mod cost;
mod epochs;
mod joining;
mod matrix;
mod migrating;
mod offsets;
mod random;
mod random_mixed;
mod reconciling;
mod replaying;
mod static_members;
