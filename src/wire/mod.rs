//! The Kafka wire: frames, headers, the guard, decoding and encoding.
