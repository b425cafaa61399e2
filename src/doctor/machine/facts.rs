//! What was found out, step by step: no opinion yet.

use crate::model::{ErrorCode, NodeId};
use crate::peer::Endpoint;
use crate::peer::foreign::{Created, Odd, PartitionSeen};
use std::net::{IpAddr, SocketAddr};

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub wish: Wish,
    /// The addresses to begin with.
    pub bootstrap: Vec<Contact>,
    /// What the first of them that could be asked says; `None`: none could.
    pub cluster: Option<Cluster>,
    /// `None`: it did not come to that.
    pub trial: Option<Trial>,
}

/// What the client's settings ask for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `security.protocol`
    pub protocol: &'static str,
    pub tls: bool,
    /// The mechanism of a login.
    pub mechanism: Option<String>,
    /// For each step.
    pub timeout_ms: u64,
    /// Settings with which nothing is done here.
    pub unused: Vec<String>,
}

/// How far an address could be talked to.
#[derive(Clone, Debug)]
pub struct Contact {
    pub at: Endpoint,
    pub resolved: Vec<IpAddr>,
    /// Addresses that took no connection, before one that did.
    pub refused: Vec<(SocketAddr, NoConnection)>,
    /// The one that did, after so many microseconds.
    pub connected: Option<(SocketAddr, u64)>,
    /// The version of TLS.
    pub tls: Option<String>,
    /// How many APIs are offered.
    pub apis: Option<usize>,
    pub logged_in: bool,
    /// What the broker there says of its cluster.
    pub cluster_id: Option<String>,
    /// Where it ended; `None`: all was well.
    pub stop: Option<Stop>,
}

impl Contact {
    #[must_use]
    pub fn new(at: Endpoint) -> Contact {
        Contact {
            at,
            resolved: Vec::new(),
            refused: Vec::new(),
            connected: None,
            tls: None,
            apis: None,
            logged_in: false,
            cluster_id: None,
            stop: None,
        }
    }
}

/// Why TCP gave no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConnection {
    Refused,
    TimedOut,
    Other(String),
}

/// Where talking to an address ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The name has no address, and what the system says.
    Unresolved(String),
    /// No address took a connection: [`Contact::refused`].
    Unconnected,
    /// The client's own settings cannot be used.
    Settings(String),
    /// TLS; and what is spoken there instead.
    Tls(NoTls, Speaks),
    /// The first request; and what is spoken there.
    Greeting(Odd, Speaks),
    Login(NoLogin),
    /// The first request that needs a login, without one; and the mechanisms, if the listener names some.
    Metadata(Odd, Option<Vec<String>>),
}

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTls {
    Closed,
    TimedOut,
    /// What came is not TLS.
    Other(String),
    /// The certificate is not valid any more, since so many seconds if that is known.
    Expired(Option<u64>),
    NotValidYet,
    UnknownIssuer,
    /// The names that the certificate has.
    WrongName(Vec<String>),
    /// The other side refused, with this alert.
    Alert(String),
}

/// What an address turned out to speak, when it was asked in other ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Kafka's protocol without TLS.
    Kafka,
    Tls,
    Http,
    /// It began with this text.
    Text(String),
    /// Nothing that is known here.
    Unknown,
}

/// Why a login failed.
#[derive(Clone, Debug, PartialEq)]
pub enum NoLogin {
    /// The client's own settings cannot be used.
    Settings(String),
    /// The listener has no logins.
    NotWanted,
    /// Not this mechanism, but these.
    Mechanism(Vec<String>),
    /// The broker refused, with its words.
    Refused(Created),
    /// The broker closed the connection instead of an answer.
    Closed,
    /// The broker did not show that it knows the password.
    Untrusted(String),
    Odd(Odd),
}

/// What the metadata says.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub id: Option<String>,
    /// The node, what it advertises, and how far one gets there. `None`: it is no address.
    pub brokers: Vec<(NodeId, String, Option<Contact>)>,
}

/// A record that was written and read.
#[derive(Clone, Debug)]
pub struct Trial {
    pub topic: String,
    /// It was made for this.
    pub own: bool,
    /// The broker that leads it.
    pub leader: Option<NodeId>,
    pub end: End,
    /// From sending the record to having read it, in microseconds.
    pub took_us: u64,
    /// How far the broker's clock is before ours, in milliseconds, and how far that may be wrong.
    pub clock: Option<(i64, i64)>,
    /// Why the topic that was made is still there.
    pub left_behind: Option<String>,
}

/// Where the trial ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Done,
    /// The topic could not be made.
    Create(Created),
    /// The metadata refuses the topic.
    Describe(ErrorCode),
    /// Nobody leads this partition.
    NoLeader(Option<PartitionSeen>),
    /// Nobody can be reached who leads.
    LeaderAway(NodeId),
    Produce(Created, Option<PartitionSeen>),
    Fetch(ErrorCode),
    /// What was read is not what was written.
    Differs,
    /// A request got no usable answer: its name, and why.
    Odd(&'static str, Odd),
}
