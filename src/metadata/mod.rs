//! The cluster metadata: records, the immutable image, deltas.
