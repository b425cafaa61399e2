//! What is decided about connections, without one: who of those that have not logged in must go, and which lines the log gets.

mod lobby;
mod seldom;

pub(super) use lobby::{Guest, Lobby};
pub(super) use seldom::Seldom;
