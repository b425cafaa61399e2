//! What a connection may send until it has logged in, and what follows from it. Input in, effects out.

mod login;

pub use login::{Answer, Closing, Framing, Login, Outcome, Request, Rules, Session};
