//! Connections that never log in: `--connections` of them to the listeners `--plain` and `--tls` (HOST:PORT) in turn, from
//! `--addresses` loopback addresses. A third sends garbage, a third nothing, a third one byte a second. What the broker closes
//! is opened again, `--rate` a second in all.

use crate::Options;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// More than a broker should keep of somebody whom it does not know.
const MUCH: usize = 400_000;
/// The same, before a handshake of TLS is refused for its size.
const MUCH_HELLO: usize = 60_000;

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    opened: AtomicUsize,
    closed: AtomicUsize,
    failed: AtomicUsize,
    turns: AtomicU64,
}

struct Flood {
    to: Vec<(SocketAddr, bool)>,
    addresses: usize,
    rate: u64,
    began: Instant,
    counts: Counts,
}

pub fn run(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let address = |name: &str, tls: bool| -> Result<(SocketAddr, bool), String> {
        Ok((options.text(name)?.parse().map_err(|_| format!("--{name} is no HOST:PORT"))?, tls))
    };
    let to: Vec<(SocketAddr, bool)> =
        [address("plain", false), address("tls", true)].into_iter().filter_map(Result::ok).collect();
    if to.is_empty() {
        return Err("--plain or --tls HOST:PORT".into());
    }
    let (connections, rate) = (options.number("connections", 10_000)?, options.number("rate", 1000)? as u64);
    let addresses = options.number("addresses", 8)?.max(1);
    runtime.block_on(async {
        let flood = Arc::new(Flood { to, addresses, rate, began: Instant::now(), counts: Counts::default() });
        for n in 0..connections {
            tokio::spawn(Arc::clone(&flood).keep_up(n));
        }
        println!("ready=1");
        let lines = tokio::task::spawn_blocking({
            let flood = Arc::clone(&flood);
            move || {
                for _ in std::io::stdin().lines() {
                    flood.report();
                }
            }
        });
        lines.await.map_err(|error| error.to_string())
    })
}

impl Flood {
    fn report(&self) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        println!(
            "open={} opened={} closed={} failed={}",
            of(&counts.open),
            of(&counts.opened),
            of(&counts.closed),
            of(&counts.failed)
        );
    }

    /// Until the next connection may be opened.
    async fn turn(&self) {
        loop {
            let turn = self.counts.turns.fetch_add(1, Ordering::Relaxed);
            let due = self.began + Duration::from_micros(turn * 1_000_000 / self.rate);
            let now = Instant::now();
            // Turns that nobody took are lost.
            if due + Duration::from_secs(1) < now {
                let passed = (now - self.began).as_micros() as u64 * self.rate / 1_000_000;
                self.counts.turns.fetch_max(passed, Ordering::Relaxed);
                continue;
            }
            tokio::time::sleep_until(due).await;
            return;
        }
    }

    async fn keep_up(self: Arc<Self>, n: usize) {
        let (to, tls) = self.to[n % self.to.len()];
        let from = Ipv4Addr::new(127, 0, 0, 2 + (n / 7 % self.addresses) as u8);
        let counts = &self.counts;
        loop {
            self.turn().await;
            let Ok(stream) = connect(from, to).await else {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            counts.opened.fetch_add(1, Ordering::Relaxed);
            counts.open.fetch_add(1, Ordering::Relaxed);
            misbehave(stream, n / self.to.len(), tls).await;
            counts.open.fetch_sub(1, Ordering::Relaxed);
            counts.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Until the broker has had enough.
async fn misbehave(mut stream: TcpStream, n: usize, tls: bool) {
    match n % 3 {
        0 => {}
        1 => {
            let garbage = match n / 3 % 3 {
                // Closed at once.
                0 => noise(n, 64),
                // The beginning of something large.
                _ if tls => client_hello(MUCH_HELLO),
                1 => [&500_000u32.to_be_bytes()[..], &noise(n, MUCH)].concat(),
                // A request of a kind that may come before a login, and then the beginning of a large one.
                _ => [&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 7, 0, 0][..], &noise(n, MUCH)].concat(),
            };
            if stream.write_all(&garbage).await.is_err() {
                return;
            }
        }
        _ => {
            let all = if tls {
                client_hello(MUCH_HELLO)
            } else {
                [&400_000u32.to_be_bytes()[..], &noise(n, MUCH_HELLO)].concat()
            };
            for byte in all {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                let mut answer = [0; 1];
                match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
                    Ok(Ok(0) | Err(_)) => return,
                    Ok(Ok(_)) | Err(_) => {}
                }
            }
        }
    }
    let mut answer = [0; 64];
    while !matches!(stream.read(&mut answer).await, Ok(0) | Err(_)) {}
}

fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 * 2 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Never a small number in front: neither a length that may be nor a TLS record.
        state as u8 | 0x80
    };
    (0..length).map(|_| next()).collect()
}

/// A ClientHello that goes on through many records and never ends.
fn client_hello(length: usize) -> Vec<u8> {
    let hello = [&[1, 0, 0xff, 0xff, 3, 3][..], &vec![7; length]].concat();
    hello.chunks(16_000).flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat()).collect()
}
