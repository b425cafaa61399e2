//! Consensus on metadata records: today a quorum of one.
