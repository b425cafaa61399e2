#![allow(clippy::unwrap_used)]

mod compression;
mod format;
mod hostile;
mod produce;
