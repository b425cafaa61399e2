//! Who may do what: how a client shows who it is, and what is decided about it.
//!
//! A connection that did not log in is [`Principal::anonymous`]. What a login is checked against comes in through
//! [`Credentials`], so that the mechanisms do not know where credentials are kept.

mod credentials;

pub use crate::model::{Principal, ScramCredential, ScramMechanism};
pub use credentials::{Credentials, Token};
