//! Clients that have not shown who they are, against the real binary: in turn and out of turn, slow, silent and hostile, by
//! SASL and by TLS.
#![allow(clippy::unwrap_used)]

#[path = "support/broker.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::Broker;

const HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
const AUTHENTICATE: i16 = 36;
/// `connections.login.timeout.ms` here.
const LOGIN_MAX: Duration = Duration::from_millis(1500);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A broker with a listener for its neighbours, one with SASL and one with TLS.
struct Scene {
    broker: Broker,
    sasl: u16,
    tls: u16,
    _certificates: tempfile::TempDir,
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).current_dir(dir).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "openssl {arguments:?}");
}

impl Scene {
    fn new() -> Scene {
        Scene::with(&[])
    }

    /// With more settings.
    fn with(more: &[&str]) -> Scene {
        let certificates = tempfile::tempdir().unwrap();
        let (dir, subject) = (certificates.path(), "/CN=localhost");
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-days", "2"];
        openssl(dir, &[&request[..], &["-keyout", "key.pem", "-out", "certificate.pem"]].concat());
        let both = ["key.pem", "certificate.pem"].map(|name| std::fs::read_to_string(dir.join(name)).unwrap()).concat();
        std::fs::write(dir.join("both.pem"), both).unwrap();
        let (plain, sasl, tls) = (free_port(), free_port(), free_port());
        let settings = [
            format!("listeners=PLAINTEXT://127.0.0.1:{plain},LOGIN://127.0.0.1:{sasl},TLS://127.0.0.1:{tls}"),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL".to_owned(),
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256".to_owned(),
            "listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_alice=\"secret\";"
                .to_owned(),
            "listener.name.login.scram-sha-256.sasl.jaas.config=x required;".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", dir.join("both.pem").display()),
            format!("connections.login.timeout.ms={}", LOGIN_MAX.as_millis()),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Scene { broker: Broker::on(plain, &settings), sasl, tls, _certificates: certificates }
    }

    fn connect(&self, port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn serves(&self) {
        let mut neighbour = self.connect(self.broker.port());
        assert!(ask(&mut neighbour, API_VERSIONS, 0, &[]).is_some());
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [key.to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 7], [0xff, 0xff]].concat();
    framed(&[&head, body].concat())
}

/// The next frame; `None` when the broker closes.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(bytes).ok()?;
    frame(stream)
}

/// The body of an answer.
fn ask(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> Option<Vec<u8>> {
    let answer = send(stream, &request(key, version, body))?;
    assert_eq!(answer[..4], [0, 0, 0, 7]);
    Some(answer[4..].to_vec())
}

fn text(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn error(body: &[u8]) -> i16 {
    i16::from_be_bytes([body[0], body[1]])
}

#[test]
fn a_client_logs_in_by_requests_or_by_bare_frames_and_is_then_served() {
    let scene = Scene::new();
    let mut stream = scene.connect(scene.sasl);
    assert!(ask(&mut stream, API_VERSIONS, 0, &[]).is_some());
    assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("PLAIN")).unwrap()), 0);
    assert_eq!(error(&ask(&mut stream, AUTHENTICATE, 1, &framed(b"\0alice\0secret")).unwrap()), 0);
    assert!(ask(&mut stream, API_VERSIONS, 0, &[]).is_some());
    // Out of turn now, and told so.
    assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("PLAIN")).unwrap()), 34);
    assert_eq!(error(&ask(&mut stream, AUTHENTICATE, 0, &framed(b"")).unwrap()), 34);
    let mut stream = scene.connect(scene.sasl);
    assert_eq!(error(&ask(&mut stream, HANDSHAKE, 0, &text("PLAIN")).unwrap()), 0);
    assert_eq!(send(&mut stream, &framed(b"\0alice\0secret")).unwrap(), b"");
    assert!(ask(&mut stream, API_VERSIONS, 0, &[]).is_some());
    let mut stream = scene.connect(scene.sasl);
    assert_eq!(error(&ask(&mut stream, HANDSHAKE, 0, &text("PLAIN")).unwrap()), 0);
    assert_eq!(send(&mut stream, &framed(b"\0alice\0wrong")), None);
}

#[test]
fn what_comes_before_the_login_is_refused() {
    let scene = Scene::new();
    let closes = |bytes: &[u8]| {
        let mut stream = scene.connect(scene.sasl);
        assert_eq!(send(&mut stream, bytes), None, "{bytes:?}");
    };
    closes(&request(METADATA, 0, &[0, 0, 0, 0]));
    closes(&request(AUTHENTICATE, 0, &framed(b"\0alice\0secret")));
    closes(&request(HANDSHAKE, 2, &text("PLAIN")));
    closes(&request(HANDSHAKE, 1, &[0x7f, 0xff]));
    closes(&request(9999, 0, &[]));
    closes(&framed(&[]));
    // Larger than a login is ever.
    closes(&[&600_000_u32.to_be_bytes()[..], &[0; 100]].concat());
    closes(&u32::MAX.to_be_bytes());
    closes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    closes(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    let mut stream = scene.connect(scene.sasl);
    assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("GSSAPI")).unwrap()), 33);
    assert_eq!(frame(&mut stream), None);
    scene.serves();
}

/// kafkajs takes the refusal of a token for a success, and asks on.
#[test]
fn who_asks_on_in_the_middle_of_a_login_is_told_so_and_let_go() {
    let scene = Scene::new();
    let topic = [&[0, 0, 0, 1][..], &text("t")].concat();
    let refused = [&[0, 0, 0, 0, 0, 0, 0, 1, 0, 34][..], &text("t"), &[0, 0, 0, 0]].concat();
    let versions = [0, 34, 0, 0, 0, 0].to_vec();
    for (key, body, answer) in [(METADATA, &topic[..], refused), (API_VERSIONS, &[], versions)] {
        let mut stream = scene.connect(scene.sasl);
        assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("PLAIN")).unwrap()), 0);
        assert_eq!(ask(&mut stream, key, 0, body), Some(answer));
        assert_eq!(frame(&mut stream), None);
    }
    for nonsense in [request(METADATA, 0, &[0x7f, 0xff, 0xff, 0xff]), request(METADATA, 99, &topic), request(1, 4, &[])]
    {
        let mut stream = scene.connect(scene.sasl);
        assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("PLAIN")).unwrap()), 0);
        assert_eq!(send(&mut stream, &nonsense), None);
    }
    scene.serves();
}

#[test]
fn a_failed_login_is_answered_late_and_ends_the_connection() {
    let scene = Scene::new();
    for (mechanism, bytes) in [("PLAIN", &b"\0alice\0wrong"[..]), ("PLAIN", b""), ("SCRAM-SHA-256", b"y,,n=a,r=b")] {
        let mut stream = scene.connect(scene.sasl);
        assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text(mechanism)).unwrap()), 0);
        let asked = Instant::now();
        assert_eq!(error(&ask(&mut stream, AUTHENTICATE, 1, &framed(bytes)).unwrap()), 58);
        assert!(asked.elapsed() >= Duration::from_millis(100), "{:?}", asked.elapsed());
        assert_eq!(frame(&mut stream), None);
    }
}

/// Until the broker closes it: what is sent every so often, and for how long.
fn lasts(mut stream: TcpStream, mut next: impl FnMut() -> Vec<u8>) -> Duration {
    let began = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while began.elapsed() < Duration::from_secs(15) {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if stream.write_all(&next()).is_err() {
            break;
        }
    }
    began.elapsed()
}

#[test]
fn who_says_nothing_or_too_little_or_garbage_is_let_go_in_time() {
    let scene = Scene::new();
    let most = LOGIN_MAX + Duration::from_secs(4);
    for port in [scene.sasl, scene.tls] {
        let mut seed = 1_u32;
        let garbage = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes().repeat(64)
        };
        let slow = {
            let mut bytes = if port == scene.tls { vec![0x16, 3, 1, 1, 0, 1] } else { vec![0, 0, 0, 200] }.into_iter();
            move || vec![bytes.next().unwrap_or(0)]
        };
        let talkers: [Box<dyn FnMut() -> Vec<u8> + Send>; 3] = [Box::new(Vec::new), Box::new(slow), Box::new(garbage)];
        let waiting = talkers.map(|talker| {
            let stream = scene.connect(port);
            std::thread::spawn(move || lasts(stream, talker))
        });
        scene.serves();
        for (kind, lasted) in ["nothing", "a byte at a time", "garbage"].iter().zip(waiting) {
            let lasted = lasted.join().unwrap();
            assert!(lasted < most, "{kind}: {lasted:?}");
        }
    }
}

#[test]
fn many_who_do_not_log_in_cost_little_and_keep_nobody_out() {
    let scene = Scene::new();
    scene.serves();
    let before = scene.broker.resident();
    let held: Vec<TcpStream> = (0..400)
        .map(|n| {
            let mut stream = scene.connect(if n % 2 == 0 { scene.sasl } else { scene.tls });
            // A large frame is announced, and not sent.
            let _ = stream.write_all(&[0, 7, 0xff]);
            stream
        })
        .collect();
    scene.serves();
    let growth = scene.broker.resident().saturating_sub(before);
    assert!(growth < 64 * 1024 * 1024, "{} KiB for {} connections", growth / 1024, held.len());
}

/// The broker closes it.
fn closes(stream: &mut TcpStream) -> bool {
    let read = stream.read(&mut [0; 1]);
    !matches!(read, Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
}

/// The broker has not closed it after a while.
fn stays(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let stays = !closes(stream);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stays
}

#[test]
fn beyond_their_bound_the_oldest_who_have_not_logged_in_go_and_who_has_stays() {
    let scene = Scene::with(&["connections.login.max.bytes=100000", "connections.login.timeout.ms=60000"]);
    let log_in = || {
        let mut stream = scene.connect(scene.sasl);
        assert_eq!(error(&ask(&mut stream, HANDSHAKE, 1, &text("PLAIN")).unwrap()), 0);
        assert_eq!(error(&ask(&mut stream, AUTHENTICATE, 1, &framed(b"\0alice\0secret")).unwrap()), 0);
        stream
    };
    let mut known = log_in();
    let mut first = scene.connect(scene.sasl);
    let mut first_tls = scene.connect(scene.tls);
    assert!(stays(&mut first) && stays(&mut first_tls));
    // Half a frame that is more than all of them may hold together.
    let mut greedy = scene.connect(scene.sasl);
    greedy.write_all(&[&[0, 7, 0, 0][..], &[1; 90_000]].concat()).unwrap();
    assert!(closes(&mut greedy) && closes(&mut first) && closes(&mut first_tls));
    // Of one listener, which takes them in their order.
    let mut crowd: Vec<TcpStream> = (0..60).map(|_| scene.connect(scene.sasl)).collect();
    assert!(crowd[..10].iter_mut().all(closes));
    assert!(crowd[55..].iter_mut().all(stays));
    assert!(ask(&mut known, API_VERSIONS, 0, &[]).is_some());
    log_in();
}
