//! Listening sockets and the tasks behind them.

use super::closed::Closed;
use super::connection::{Arrival, Connection};
use super::guarded::Guarded;
use super::limits::{Limits, Refused};
use super::login::Login;
use super::reach::Surroundings;
use super::socket::Counted;
use super::strangers::Stranger;
use crate::api::{self, Peer, Reached, Side};
use crate::config::Listener;
use crate::config::settings::{Network, SecurityProtocol};
use crate::metrics::Rejection;
use crate::model::Principal;
use crate::rt::{clock, process};
use crate::tls::name;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span};

/// After an accept that failed for want of file descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A socket that has its address and does not listen yet: whoever comes too early is refused and tries another broker, where
/// one that waits to be accepted would wait.
#[derive(Debug)]
pub struct Bound {
    pub listener: Listener,
    /// Whom it is for.
    pub side: Side,
    socket: Socket,
    pub address: SocketAddr,
    backlog: i32,
    send_buffer: Option<usize>,
    /// Nobody said what its clients are to be told.
    reach: Option<Reach>,
}

#[derive(Debug)]
struct Reach {
    around: Surroundings,
    published_port: Option<u16>,
}

impl Bound {
    /// Binds `listener` where it says, and nowhere else: a name that resolves to several addresses
    /// (as localhost does) is bound at the first that can be, IPv4 before IPv6.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn bind(listener: &Listener, side: Side, network: &Network) -> Result<Bound, String> {
        let host = if listener.host.is_empty() { "::" } else { listener.host.as_str() };
        let mut addresses: Vec<SocketAddr> = (host, listener.port)
            .to_socket_addrs()
            .map_err(|error| {
                format!("cannot resolve the listener address {listener}: {error}; use an address of this machine")
            })?
            .collect();
        if listener.host.is_empty() {
            addresses.push(SocketAddr::from(([0, 0, 0, 0], listener.port)));
        } else {
            addresses.sort_by_key(SocketAddr::is_ipv6);
        }
        let mut last = None;
        for address in addresses {
            match bind(address, network) {
                Ok((socket, address)) => {
                    return Ok(Bound {
                        listener: listener.clone(),
                        side,
                        socket,
                        address,
                        backlog: i32::try_from(network.listen_backlog).unwrap_or(i32::MAX),
                        send_buffer: network.send_buffer_bytes,
                        reach: reach(listener, network),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        let why = last.map_or_else(|| "no address".to_owned(), |error| error.to_string());
        Err(cannot_listen(listener, &why))
    }

    fn listen(&self) -> Result<TcpListener, String> {
        let listens = self.socket.listen(self.backlog).and_then(|()| self.socket.try_clone());
        let listens = listens.and_then(|socket| TcpListener::from_std(socket.into()));
        listens.map_err(|error| cannot_listen(&self.listener, &error.to_string()))
    }
}

fn reach(listener: &Listener, network: &Network) -> Option<Reach> {
    network.advertised_by_connection.contains(&listener.name).then(|| Reach {
        around: Surroundings::new(process::in_container(), &process::routes()),
        published_port: network.published_port,
    })
}

fn cannot_listen(listener: &Listener, why: &str) -> String {
    if why.contains("Address already in use") {
        let port = listener.port;
        return format!(
            "port {port} is taken by another process; stop it or choose another port with --listen HOST:PORT"
        );
    }
    format!("cannot listen on {listener}: {why}; choose another address with --listen HOST:PORT")
}

fn bind(address: SocketAddr, network: &Network) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    if let Some(size) = network.receive_buffer_bytes {
        // Accepted sockets inherit it; it has to be set before the window is negotiated.
        socket.set_recv_buffer_size(size)?;
    }
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

/// All listeners of the broker, accepting.
#[derive(Debug)]
pub struct Listeners {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Listeners {
    /// Begins to listen on `bound`.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn start(
        bound: Vec<(Bound, Arc<Guarded>)>,
        ctx: &Arc<api::Context>,
        limits: &Arc<Limits>,
    ) -> Result<Listeners, String> {
        let listeners = Listeners { stopping: CancellationToken::new(), tasks: TaskTracker::new() };
        for (bound, guarded) in bound {
            let socket = bound.listen()?;
            guarded.keep_fresh(&listeners.tasks, &listeners.stopping);
            let accept = Accept {
                socket,
                bound,
                guarded,
                ctx: Arc::clone(ctx),
                limits: Arc::clone(limits),
                stopping: listeners.stopping.clone(),
                tasks: listeners.tasks.clone(),
            };
            listeners.tasks.spawn(accept.run());
        }
        Ok(listeners)
    }

    /// Stops accepting and reading, sends the answers of what was placed, and closes.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Accept {
    socket: TcpListener,
    bound: Bound,
    guarded: Arc<Guarded>,
    ctx: Arc<api::Context>,
    limits: Arc<Limits>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Accept {
    async fn run(self) {
        let counts = self.ctx.metrics.listener(self.bound.listener.name.as_str());
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    counts.accepted.inc();
                    let admission = tokio::select! {
                        () = self.stopping.cancelled() => return,
                        admission = self.limits.admit(&self.bound.listener, address.ip()) => admission,
                    };
                    let admission = match admission {
                        Ok(admission) => admission,
                        Err(refused) => {
                            debug!(%address, ?refused, "too many connections from this address");
                            self.turn_away(stream, refused);
                            continue;
                        }
                    };
                    let newcomer = self.newcomer(stream, address);
                    let counts = Arc::clone(&counts);
                    counts.connections.inc();
                    let (limits, metrics) = (Arc::clone(&self.limits), Arc::clone(&self.ctx.metrics));
                    self.tasks.spawn(async move {
                        if let Some(newcomer) = newcomer {
                            let span = debug_span!("connection", %address);
                            let closed = newcomer.serve().instrument(span).await;
                            if let Some(why) = closed.rejection() {
                                metrics.rejected(why);
                            }
                            limits.journal.ended(address, &closed);
                        }
                        counts.connections.dec();
                        drop(admission);
                    });
                }
                Err(error) => {
                    self.ctx.metrics.rejected(Rejection::Accept);
                    self.limits.journal.accept_failed(&self.bound.listener, &error);
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    /// Closes a connection, at once or, so that a client that tries again at once gains nothing, later.
    fn turn_away(&self, stream: TcpStream, refused: Refused) {
        let Refused::TooFast(pause) = refused else { return };
        let Some(place) = self.limits.place_to_wait() else { return };
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            drop((stream, place));
        });
    }

    fn newcomer(&self, stream: TcpStream, address: SocketAddr) -> Option<Newcomer> {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, %address, "the connection is gone already");
            return None;
        }
        if let Some(size) = self.bound.send_buffer
            && let Err(error) = socket2::SockRef::from(&stream).set_send_buffer_size(size)
        {
            debug!(%error, %address, "cannot set the send buffer");
        }
        let reached = self.bound.reach.as_ref().and_then(|reach| {
            let local = stream.local_addr().ok()?;
            let (host, port) = reach.around.told(local, address.ip(), reach.published_port);
            Some(Reached { node: self.ctx.settings().node_id, host, port })
        });
        let peer = Peer {
            listener: self.bound.listener.name.as_str().to_owned(),
            side: self.bound.side,
            protocol: self.bound.listener.protocol,
            address,
            principal: Principal::anonymous(),
            by_token: false,
            forwarded: false,
            share_sessions: Arc::default(),
            muted: Arc::default(),
            reached,
        };
        let protocol = self.bound.listener.protocol;
        let over_tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
        let stranger =
            (protocol != SecurityProtocol::Plaintext).then(|| self.limits.strangers.enter(address.ip(), over_tls));
        Some(Newcomer {
            stream,
            stranger,
            came: clock::now(),
            peer,
            guarded: Arc::clone(&self.guarded),
            ctx: Arc::clone(&self.ctx),
            limits: Arc::clone(&self.limits),
            stopping: self.stopping.clone(),
        })
    }
}

/// A connection that was accepted, and nothing more.
struct Newcomer {
    stream: TcpStream,
    /// Unless everybody is welcome here.
    stranger: Option<Arc<Stranger>>,
    came: Instant,
    peer: Peer,
    guarded: Arc<Guarded>,
    ctx: Arc<api::Context>,
    limits: Arc<Limits>,
    stopping: CancellationToken,
}

impl Newcomer {
    async fn serve(self) -> Closed {
        let Newcomer { stream, stranger, came, mut peer, guarded, ctx, limits, stopping } = self;
        let state = guarded.now();
        let rules = state.access.rules.clone();
        let login = rules.map(|rules| Box::new(Login::new(guarded, rules)));
        let stream = Counted::new(stream, stranger.clone(), state.acceptor.is_some());
        let Some(acceptor) = &state.acceptor else {
            drop(state);
            let arrival = Arrival { peer: Arc::new(peer), came, login, stranger };
            return Connection::new(stream, ctx, arrival, limits, stopping).serve().await;
        };
        let max = ctx.settings().network.login_max;
        let out = poll_fn(|cx| stranger.as_ref().map_or(Poll::Pending, |stranger| stranger.poll_out(cx)));
        let handshake = tokio::select! {
            () = stopping.cancelled() => return Closed::Stopping,
            () = out => return Closed::TurnedOut,
            handshake = tokio::time::timeout(max, acceptor.accept(stream)) => handshake,
        };
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Closed::Handshake(error.to_string()),
            Err(_) => return Closed::NoLogin(max),
        };
        if login.is_none()
            && let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first)
        {
            // As Kafka: no rule for the name, no connection.
            let Some(user) = name::subject(certificate).and_then(|name| state.access.mapping.user(&name)) else {
                return Closed::Handshake("no rule of ssl.principal.mapping.rules fits the certificate's name".into());
            };
            peer.principal = Principal::user(&user);
        }
        drop(state);
        let stranger = match stranger {
            Some(known) if login.is_none() => {
                if !known.logged_in() {
                    return Closed::TurnedOut;
                }
                None
            }
            stranger => stranger.inspect(|stranger| stranger.settled()),
        };
        let arrival = Arrival { peer: Arc::new(peer), came, login, stranger };
        Connection::new(stream, ctx, arrival, limits, stopping).serve().await
    }
}
