//! Who may do what: how a client shows who it is, and what is decided about it.
//!
//! A connection that did not log in is [`Principal::anonymous`]. What a login is checked against comes in through
//! [`Credentials`], so that the mechanisms do not know where credentials are kept. What it may do then, [`Authorizer`] decides.

mod authorizer;
mod client;
mod credentials;
pub mod jaas;
mod known;
mod listener;
pub mod machine;
mod mapping;
mod mechanism;
pub mod oauth;
mod outbound;
pub mod plain;
pub mod quotas;
mod scram;

pub use crate::model::{Principal, ScramCredential, ScramMechanism};
#[cfg(test)]
pub(crate) use authorizer::testing;
pub use authorizer::{Action, Authorizer, Index, Permissions, Rule, Subject};
pub use client::login as client_login;
pub use credentials::{Credentials, Token};
pub use known::Known;
pub use listener::{Access, KeySource, check_change};
pub use mapping::Mapping;
pub use mechanism::{Checks, Exchange, Identity, Mechanism, Refused, Step, Surroundings};
pub use outbound::Outbound;
