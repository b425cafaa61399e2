//! Listeners and connections: where bytes become requests and answers become bytes.
//!
//! A connection is one task. It reads ahead into one buffer, places every complete request of a
//! wake-up, and sends all answers that are ready with one vectored write. It is generic over the
//! stream, so that TLS can stand where the socket stands.

mod closed;
mod connection;
mod guarded;
mod incoming;
mod journal;
mod jwks;
mod limits;
mod listener;
mod login;
mod machine;
mod outgoing;
mod pace;
mod queue;
mod reach;
mod socket;
mod strangers;

pub use guarded::Guarded;
pub use limits::Limits;
pub use listener::{Bound, Listeners};
