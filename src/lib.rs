//! Klamm: a Kafka-wire-protocol-compatible broker.
//!
//! The modules below stand in layer order, lowest first. A module names only itself and those
//! above it in this list; `protocol-tests/tidy.rs` holds the line. `src/README.md` is the map.

pub mod model;
pub mod config;
pub mod rt;
pub mod tls;
pub mod metrics;
pub mod record;
pub mod wire;
pub mod storage;
pub mod peer;
pub mod metadata;
pub mod quorum;
pub mod controller;
pub mod partition;
pub mod replica;
pub mod coordinator;
pub mod share;
pub mod group;
pub mod txn;
pub mod access;
pub mod api;
pub mod server;
pub mod admin;
pub mod doctor;
pub mod node;
