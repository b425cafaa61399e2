//! Klamm: a Kafka-wire-protocol-compatible broker.
//!
//! The modules below stand in layer order, lowest first. A module names only itself and those
//! above it in this list; `protocol-tests/tidy.rs` holds the line. `src/README.md` is the map.

pub mod admin;
pub mod api;
pub mod config;
pub mod controller;
pub mod metadata;
pub mod metrics;
pub mod model;
pub mod node;
pub mod partition;
pub mod quorum;
pub mod record;
pub mod rt;
pub mod server;
pub mod storage;
pub mod wire;
