//! One connection: a loop of place, collect, send, read.
//!
//! Order is fixed when a request is placed; answers leave in that order. A request that waits (a
//! fetch for bytes, a produce for the high watermark) does not keep later ones from being placed,
//! unless it is exclusive. A request that cannot be understood ends the connection, as in Kafka:
//! what was placed before it is still answered.

use super::closed::Closed;
use super::incoming::Incoming;
use super::limits::{DECODED_FREE, FREE, Grant, Limits};
use super::login::{self, Login, Next, Turn};
use super::outgoing::Outgoing;
use super::queue::{Grants, Queue, Slot, State};
use super::strangers::Stranger;
use crate::access::machine;
use crate::api::{self, Answer, Chunk, Peer, Placement};
use crate::rt::clock;
use crate::wire::{Cost, FrameCodec, header};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, PollSemaphore};

/// Requests of one connection that were placed and not answered; Kafka has one. Past this the
/// connection is not read, which TCP tells the client.
const IN_FLIGHT_MAX: usize = 1000;
/// Answer bytes in memory past which nothing more is placed until the client reads: a client that never does
/// holds this and one answer more.
const BACKLOG_MAX: usize = 64 * 1024;
/// A connection that was quiet for so long gives up what it holds for the next request, and a frame that takes longer
/// than this to arrive is kept in memory of its size.
const QUIET: Duration = Duration::from_secs(1);
/// The shortest time between two looks.
const TICK_MIN: Duration = Duration::from_millis(100);
/// When there is nothing to look at.
const FAR: Duration = Duration::from_secs(3600);
/// How long a stopping broker waits for a client to take its last answers.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A request that was received and may not be decoded yet.
struct Parked {
    header: header::RequestHeader,
    body: bytes::Bytes,
    cost: Cost,
    /// For its frame, and, in the end, for its decoded form.
    grants: Grants,
}

/// Who a connection is with, as far as is known.
pub(super) struct Arrival {
    pub(super) peer: Arc<Peer>,
    /// When it was accepted.
    pub(super) came: Instant,
    /// Where clients must log in.
    pub(super) login: Option<Box<Login>>,
    /// The same, until it has.
    pub(super) stranger: Option<Arc<Stranger>>,
}

pub(super) struct Connection<S> {
    stream: S,
    ctx: Arc<api::Context>,
    peer: Arc<Peer>,
    /// Where clients must log in.
    login: Option<Box<Login>>,
    /// Until it has logged in.
    stranger: Option<Arc<Stranger>>,
    /// When it was accepted.
    began: Instant,
    /// What was given to the stream may still be in it.
    unflushed: bool,
    codec: FrameCodec,
    incoming: Incoming,
    placer: api::produce::Placer,
    /// Held for the requests that the placer holds.
    placing: Vec<Grant>,
    queue: Queue,
    outgoing: Outgoing,
    /// When the bytes now being placed were read, the last that came.
    read_at: Instant,
    /// Nothing came for [`QUIET`], and what could be given up was.
    resting: bool,
    frame_memory: PollSemaphore,
    decoded_memory: PollSemaphore,
    limits: Arc<Limits>,
    /// For the large frame that is being received.
    grant: Option<Grant>,
    /// Next to be placed, once there is memory for what its body becomes.
    parked: Option<Parked>,
    /// Something was not placed, or not read, since the client must wait (KIP-219).
    held_back: bool,
    /// A request was refused: answer what was placed, then close.
    refused: Option<Closed>,
    stopping: CancellationToken,
    idle_max: Option<Duration>,
    /// When it was last seen that bytes had been sent, and how many.
    used_at: Instant,
    sent: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(
        stream: S,
        ctx: Arc<api::Context>,
        arrival: Arrival,
        limits: Arc<Limits>,
        stopping: CancellationToken,
    ) -> Connection<S> {
        let Arrival { peer, came, login, stranger } = arrival;
        let settings = ctx.settings();
        let network = &settings.network;
        let frame_max = if login.is_some() { login::receive_max(&settings, &peer) } else { network.request_bytes_max };
        Connection {
            stream,
            incoming: Incoming::new(login.is_some()),
            login,
            stranger,
            began: came,
            unflushed: false,
            codec: FrameCodec::new(frame_max),
            idle_max: network.idle_max,
            frame_memory: PollSemaphore::new(limits.frames.semaphore()),
            decoded_memory: PollSemaphore::new(limits.decoded.semaphore()),
            ctx,
            peer,
            placer: api::produce::Placer::default(),
            placing: Vec::new(),
            queue: Queue::default(),
            outgoing: Outgoing::default(),
            read_at: clock::now(),
            resting: false,
            limits,
            grant: None,
            parked: None,
            held_back: false,
            refused: None,
            stopping,
            used_at: clock::now(),
            sent: 0,
        }
    }

    /// Serves until either side ends it.
    pub(super) async fn serve(mut self) -> Closed {
        let mut timer = Box::pin(tokio::time::sleep(QUIET));
        let stopping = self.stopping.clone();
        let mut stopped = Box::pin(stopping.cancelled());
        let mut draining = false;
        let mut unmute: Option<Pin<Box<Sleep>>> = None;
        let closed = loop {
            if !draining && let Err(why) = self.place() {
                // What was placed before is still answered, if the client takes it in time.
                let held = match &why {
                    Closed::Login { delayed: true, .. } => self.ctx.settings().network.failed_login_delay,
                    _ => Duration::ZERO,
                };
                self.refused = Some(why);
                draining = true;
                timer.as_mut().reset(after(DRAIN_MAX + held));
            }
            let step = poll_fn(|cx| {
                if !draining && stopped.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Step::Stop);
                }
                if let Some(stranger) = &self.stranger
                    && stranger.poll_out(cx).is_ready()
                {
                    return Poll::Ready(Step::Closed(Closed::TurnedOut));
                }
                if let Poll::Ready(step) = self.poll_step(cx, draining) {
                    return Poll::Ready(step);
                }
                if self.held_back && !draining {
                    let Some(until) = self.peer.muted.until().map(tokio::time::Instant::from_std) else {
                        self.held_back = false;
                        return Poll::Ready(Step::Progress);
                    };
                    let sleep = unmute.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
                    if sleep.deadline() != until {
                        sleep.as_mut().reset(until);
                    }
                    if sleep.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Step::Progress);
                    }
                }
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Step::Tick);
                }
                Poll::Pending
            })
            .await;
            match step {
                Step::Progress if self.resting => {
                    self.resting = false;
                    timer.as_mut().reset(after(QUIET));
                }
                Step::Progress => {}
                Step::Stop => {
                    draining = true;
                    timer.as_mut().reset(after(DRAIN_MAX));
                }
                Step::Drained => break self.refused.take().unwrap_or(Closed::Stopping),
                Step::Tick if draining => break self.refused.take().unwrap_or(Closed::Stopping),
                Step::Tick => match self.tick() {
                    Ok(next) => timer.as_mut().reset(after(next)),
                    Err(why) => break why,
                },
                Step::Closed(why) => break self.refused.take().unwrap_or(why),
            }
        };
        self.incoming.give_back(&self.limits.buffers);
        // TLS says good-bye, if there is room for that.
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_shutdown(cx).is_ready())).await;
        closed
    }

    /// Closes the connection if it was idle for too long, and frees memory that it does not need now. Answers when to
    /// look again.
    fn tick(&mut self) -> Result<Duration, Closed> {
        if self.login.as_ref().is_some_and(|login| !login.is_in()) {
            return self.wait_for_login();
        }
        self.incoming.shrink(&self.limits.buffers);
        let quiet = self.quiet_for();
        if quiet < QUIET {
            return Ok(QUIET - quiet);
        }
        let answered = self.queue.is_empty() && self.outgoing.is_empty();
        if answered {
            self.resting = true;
            self.placer = api::produce::Placer::default();
            self.queue = Queue::default();
            self.outgoing = Outgoing::default();
            self.sent = 0;
        } else {
            self.outgoing.give_buffers_back();
        }
        if let Some(max) = self.idle_max.filter(|max| quiet >= *max)
            // A client that waits for us is not idle; one that takes no answer is.
            && (self.queue.is_empty() || !self.outgoing.is_empty())
        {
            return Err(Closed::Idle(max));
        }
        Ok(match self.idle_max {
            _ if !answered => QUIET,
            None => FAR,
            Some(max) => max.saturating_sub(quiet).max(TICK_MIN),
        })
    }

    /// A connection that has not logged in is closed in time, whatever it does.
    fn wait_for_login(&mut self) -> Result<Duration, Closed> {
        let max = self.ctx.settings().network.login_max;
        match max.checked_sub(clock::now().saturating_duration_since(self.began)) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Closed::NoLogin(max)),
        }
    }

    /// For how long no byte was read or sent.
    fn quiet_for(&mut self) -> Duration {
        let now = clock::now();
        if self.sent != self.outgoing.sent {
            self.sent = self.outgoing.sent;
            self.used_at = now;
        }
        now.saturating_duration_since(self.used_at.max(self.read_at))
    }

    fn may_place(&mut self) -> bool {
        let is_muted = self.peer.muted.until().is_some();
        self.held_back |= is_muted;
        !is_muted
            && self.parked.is_none()
            && !self.queue.is_exclusive()
            && self.queue.len() < IN_FLIGHT_MAX
            && self.outgoing.buffered() < BACKLOG_MAX
    }

    /// Places every complete request that has been read.
    fn place(&mut self) -> Result<(), Closed> {
        let mut outcome = self.place_parked();
        while outcome.is_ok() && self.may_place() {
            let frame = match self.incoming.next_frame(&mut self.codec) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error.into());
                    break;
                }
            };
            let grant = self.grant.take();
            let turn = match &mut self.login {
                Some(login) => login.turn(&frame, self.read_at),
                None => Turn::Pass,
            };
            match turn {
                Turn::Pass => {}
                Turn::Expired => {
                    outcome = Err(Closed::SessionOver);
                    break;
                }
                Turn::Login => {
                    outcome = self.log_in(frame, grant);
                    continue;
                }
            }
            let placed = header::parse(&frame)
                .map_err(|error| error.to_string())
                .and_then(|(header, body)| self.place_one(header, body, frame.len(), grant));
            if let Err(why) = placed {
                outcome = Err(Closed::BadRequest(why));
                break;
            }
        }
        self.place_produces()?;
        outcome
    }

    /// A frame of a login, or of logging in again.
    fn log_in(&mut self, frame: bytes::Bytes, grant: Option<Grant>) -> Result<(), Closed> {
        self.place_produces()?;
        let length = frame.len();
        if let Some(stranger) = &self.stranger {
            stranger.settled();
        }
        let Some(login) = &mut self.login else { return Ok(()) };
        let next = login.step(&self.ctx, &self.peer, frame).map_err(Closed::BadRequest)?;
        let answered = |answer: bytes::Bytes| Answer::from_iter([Chunk::Bytes(answer)]);
        match next {
            Next::ApiVersions(header, body) => {
                self.place_one(header, body, length, grant).map_err(Closed::BadRequest)?;
            }
            Next::Answer(key, answer) => {
                self.ctx.metrics.api(key).request(length);
                self.enqueue(key, State::Done(answered(answer)), [grant, None]);
            }
            Next::Done { key, answer, peer } => {
                self.ctx.metrics.api(key).request(length);
                self.welcome()?;
                if let Some(peer) = peer {
                    self.peer = Arc::new(peer);
                }
                self.codec = FrameCodec::new(self.ctx.settings().network.request_bytes_max);
                self.enqueue(key, State::Done(answered(answer)), [grant, None]);
            }
            Next::Failed { key, answer, closing } => {
                self.ctx.metrics.api(key).request(length);
                let delay = self.ctx.settings().network.failed_login_delay;
                let machine::Closing { delayed, why } = closing;
                // The answer is held back, and so is the end: guessing takes its time.
                let later: api::Later = Box::pin(async move {
                    if delayed {
                        tokio::time::sleep(delay).await;
                    }
                    if answer.is_empty() { Answer::new() } else { answered(answer) }
                });
                self.enqueue(key, State::Exclusive(later), [grant, None]);
                return Err(Closed::Login { why, delayed });
            }
        }
        Ok(())
    }

    /// The client is known from now on.
    fn welcome(&mut self) -> Result<(), Closed> {
        match self.stranger.take() {
            Some(stranger) if !stranger.logged_in() => return Err(Closed::TurnedOut),
            Some(_) | None => {}
        }
        self.incoming.trust();
        // The next look was to be when the time for logging in is over.
        self.resting = true;
        Ok(())
    }

    fn place_one(
        &mut self,
        header: header::RequestHeader,
        body: bytes::Bytes,
        length: usize,
        grant: Option<Grant>,
    ) -> Result<(), String> {
        self.ctx.metrics.api(header.key).request(length);
        let cost = api::cost(self.peer.side, &header, &body)?;
        if cost.0 <= DECODED_FREE {
            return self.place_weighed(&header, body, [grant, None]);
        }
        if !self.limits.decoded.could_hold(cost) {
            return Err(format!("API {}: the request would take {} bytes of memory", header.key, cost.0));
        }
        self.parked = Some(Parked { header, body, cost, grants: [grant, None] });
        Ok(())
    }

    /// Places the parked request if it was granted its memory.
    fn place_parked(&mut self) -> Result<(), Closed> {
        match self.parked.take_if(|parked| parked.grants[1].is_some()) {
            Some(Parked { header, body, grants, .. }) => {
                self.place_weighed(&header, body, grants).map_err(Closed::BadRequest)
            }
            None => Ok(()),
        }
    }

    fn place_weighed(
        &mut self,
        header: &header::RequestHeader,
        body: bytes::Bytes,
        grants: Grants,
    ) -> Result<(), String> {
        if header.key == api::produce::KEY
            && api::produce::VERSIONS.contains(header.version)
            && self.peer.side == api::Side::Broker
        {
            // Appended with the others of this wake-up, at the latest before anything else is placed.
            let Some(later) = self.placer.add(&self.ctx, &self.peer, header, &body)? else {
                self.placing.extend(grants.into_iter().flatten());
                return Ok(());
            };
            self.place_produces().map_err(|why| why.to_string())?;
            self.enqueue(header.key, State::Exclusive(later), grants);
            return Ok(());
        }
        self.place_produces().map_err(|why| why.to_string())?;
        let state = match api::place(&self.ctx, &self.peer, header, body)? {
            Placement::Done(answer) => State::Done(answer),
            // One fetch of a connection waits, as in Kafka; others take their turn.
            Placement::Waiting(later) if header.key == api::fetch::KEY && self.queue.holds(header.key) => {
                State::Exclusive(later)
            }
            Placement::Waiting(later) => State::Waiting(later),
            Placement::Exclusive(later) => State::Exclusive(later),
        };
        // What waits for other clients, maybe for hours, keeps nothing of its request, and may not keep memory from others.
        let grants = if api::waits_for_others(header.key) { [None, None] } else { grants };
        self.enqueue(header.key, state, grants);
        Ok(())
    }

    /// Appends the Produce requests collected so far, and answers those that need not wait.
    fn place_produces(&mut self) -> Result<(), Closed> {
        if self.placer.is_empty() {
            return Ok(());
        }
        let mut failed = false;
        let _until_appended = std::mem::take(&mut self.placing);
        for placed in self.placer.place(&self.ctx) {
            if placed.is_silent() {
                failed |= placed.has_error();
                continue;
            }
            if placed.is_ready() && self.queue.is_empty() {
                // The hot path: straight into the send buffer.
                let before = self.outgoing.tail.len();
                placed
                    .encode(&self.ctx, &self.peer, &mut self.outgoing.tail)
                    .map_err(|error| Closed::BadRequest(error.to_string()))?;
                let bytes = self.outgoing.tail.len() - before;
                let took = clock::now().saturating_duration_since(self.read_at);
                self.ctx.metrics.api(api::produce::KEY).answered(took, bytes);
                continue;
            }
            let state = if placed.is_ready() {
                State::Done(placed.answer(&self.ctx, &self.peer))
            } else {
                let (ctx, peer) = (Arc::clone(&self.ctx), Arc::clone(&self.peer));
                State::Waiting(Box::pin(async move { placed.committed().await.answer(&ctx, &peer) }))
            };
            self.queue.push(Slot { key: api::produce::KEY, received: self.read_at, state, _grants: Grants::default() });
        }
        if failed {
            return Err(Closed::BadRequest("a produce request with acks=0 failed, which has no other answer".into()));
        }
        Ok(())
    }

    fn enqueue(&mut self, key: i16, state: State, grants: Grants) {
        match state {
            State::Done(answer) if self.queue.is_empty() && !answer.is_empty() => self.send(key, self.read_at, answer),
            state => self.queue.push(Slot { key, received: self.read_at, state, _grants: grants }),
        }
    }

    fn send(&mut self, key: i16, received: Instant, answer: Answer) {
        let mut bytes = 0;
        for chunk in answer {
            bytes += chunk.len();
            self.outgoing.push(chunk);
        }
        let took = clock::now().saturating_duration_since(received);
        self.ctx.metrics.api(key).answered(took, bytes);
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, draining: bool) -> Poll<Step> {
        while let Poll::Ready((slot, answer)) = self.queue.poll_front(cx) {
            if answer.is_empty() {
                // A fault of ours, logged where it happened. A client that is cut off tries again; one that gets
                // no answer waits for its time-out.
                return Poll::Ready(Step::Closed(Closed::NoAnswer));
            }
            self.send(slot.key, slot.received, answer);
        }
        if !self.outgoing.is_empty() {
            self.unflushed = true;
            if let Poll::Ready(Err(error)) = self.outgoing.poll_send(&mut self.stream, cx) {
                return Poll::Ready(Step::Closed(error.into()));
            }
        }
        // TLS may hold what the socket had no room for.
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Closed(error.into())),
                Poll::Pending => {}
            }
        }
        if draining {
            let done = self.queue.is_empty() && self.outgoing.is_empty() && !self.unflushed;
            return if done { Poll::Ready(Step::Drained) } else { Poll::Pending };
        }
        if let Some(parked) = &mut self.parked {
            let units = self.limits.decoded.units(parked.cost.0);
            return self.decoded_memory.poll_acquire_many(cx, units).map(|permit| match permit {
                Some(permit) => {
                    parked.grants[1] = Some(self.limits.granted(permit));
                    Step::Progress
                }
                None => Step::Closed(Closed::Stopping),
            });
        }
        if !self.may_place() {
            return Poll::Pending;
        }
        // An exclusive request or the backlog may have kept requests from being placed.
        if self.incoming.has_frame(&self.codec) {
            return Poll::Ready(Step::Progress);
        }
        self.poll_read(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let begun = match self.incoming.begun(&self.codec) {
            Ok(begun) => begun,
            Err(error) => return Poll::Ready(Step::Closed(error.into())),
        };
        if let Some(length) = begun.filter(|length| *length > FREE)
            && self.grant.is_none()
            // Strangers have a bound of their own, and take nothing from the others.
            && self.stranger.is_none()
        {
            // Before the body is read: a client cannot make us hold what we have no room for.
            match self.frame_memory.poll_acquire_many(cx, self.limits.frames.units(length)) {
                Poll::Ready(permit) => self.grant = permit.map(|permit| self.limits.granted(permit)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.incoming.poll_read(&mut self.stream, cx, begun, &self.limits.buffers) {
            Poll::Ready(Ok(0)) => Poll::Ready(Step::Closed(Closed::ByClient)),
            Poll::Ready(Ok(_)) => {
                self.read_at = clock::now();
                Poll::Ready(Step::Progress)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Step::Closed(error.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

enum Step {
    Progress,
    /// Nothing is left to answer or send.
    Drained,
    Stop,
    Tick,
    Closed(Closed),
}

fn after(pause: Duration) -> tokio::time::Instant {
    tokio::time::Instant::from_std(clock::now()) + pause
}
