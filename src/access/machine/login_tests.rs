//! Exact answers to every order of requests.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::{Credentials, Token, jaas, plain};
use crate::model::{Principal, ScramCredential, ScramMechanism};

struct Nobody;

impl Credentials for Nobody {
    fn scram(&self, _: ScramMechanism, _: &str) -> Option<ScramCredential> {
        None
    }

    fn token(&self, _: ScramMechanism, _: &str) -> Option<Token> {
        None
    }
}

const AROUND: Surroundings<'_> =
    Surroundings { credentials: &Nobody, now: TimestampMs(1000), nonce: "nonce", pepper: b"pepper" };

fn rules(lasting_ms: i64) -> Arc<Rules> {
    let text = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=secret user_bob=secret;";
    let users = plain::Users::new(&jaas::parse(text).unwrap(), b"pepper");
    let plain = Checks::Plain(Arc::new(users));
    Arc::new(Rules { mechanisms: vec![(plain, lasting_ms), (Checks::Scram(ScramMechanism::Sha256), lasting_ms)] })
}

fn login() -> Login {
    Login::new(rules(0))
}

const VERSIONS: Request<'_> = Request::ApiVersions { acceptable: true };
const PLAIN: Request<'_> = Request::Handshake { version: 1, mechanism: "PLAIN" };
const ALICE: Request<'_> = Request::Authenticate { version: 2, bytes: b"\0alice\0secret" };

fn go(login: &mut Login, request: Request<'_>) -> Answer {
    match login.step(request, &AROUND) {
        Outcome::Go(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn session(login: &mut Login, request: Request<'_>) -> (Answer, Session) {
    match login.step(request, &AROUND) {
        Outcome::Done { answer, session } => (answer, session),
        other => panic!("{other:?}"),
    }
}

fn failure(login: &mut Login, request: Request<'_>) -> (Answer, bool) {
    match login.step(request, &AROUND) {
        Outcome::Failed { answer, closing } => (answer, closing.delayed),
        other => panic!("{other:?}"),
    }
}

fn authenticated(bytes: &[u8], lifetime_ms: i64) -> Answer {
    Answer::Authenticate { error: ErrorCode::NONE, message: None, bytes: bytes.to_vec(), lifetime_ms }
}

fn refused(message: &str) -> (Answer, bool) {
    let error = ErrorCode::SASL_AUTHENTICATION_FAILED;
    (Answer::Authenticate { error, message: Some(message.into()), bytes: Vec::new(), lifetime_ms: 0 }, true)
}

#[test]
fn a_login_is_versions_once_or_not_at_all_then_handshake_then_the_exchange() {
    for versions in [false, true] {
        let mut login = login();
        if versions {
            assert_eq!(go(&mut login, VERSIONS), Answer::ApiVersions);
        }
        assert_eq!(go(&mut login, PLAIN), Answer::Handshake(ErrorCode::NONE));
        assert_eq!(login.framing(), Framing::Kafka);
        let (answer, session) = session(&mut login, ALICE);
        assert_eq!(answer, authenticated(b"", 0));
        assert_eq!(session.identity.principal, Principal::user("alice"));
        assert_eq!(session.lifetime_ms, None);
        // Nothing more belongs to it.
        assert_eq!(failure(&mut login, ALICE), (Answer::Nothing, false));
    }
}

#[test]
fn versions_that_were_answered_with_an_error_may_be_sent_again() {
    let mut login = login();
    assert_eq!(go(&mut login, Request::ApiVersions { acceptable: false }), Answer::ApiVersions);
    assert_eq!(go(&mut login, VERSIONS), Answer::ApiVersions);
    assert_eq!(failure(&mut login, VERSIONS), (Answer::Nothing, false));
}

#[test]
fn after_a_handshake_of_version_0_the_exchange_is_bare() {
    let mut login = login();
    go(&mut login, Request::Handshake { version: 0, mechanism: "PLAIN" });
    assert_eq!(login.framing(), Framing::Bare);
    let (answer, _) = session(&mut login, Request::Bare(b"\0alice\0secret"));
    assert_eq!(answer, Answer::Bare(Vec::new()));
    let mut login = self::login();
    go(&mut login, Request::Handshake { version: 0, mechanism: "PLAIN" });
    assert_eq!(failure(&mut login, Request::Bare(b"\0alice\0wrong")), (Answer::Nothing, true));
}

#[test]
fn what_comes_out_of_turn_ends_the_connection() {
    for request in [ALICE, Request::Other("PRODUCE"), Request::Bare(b"x")] {
        assert_eq!(failure(&mut login(), request), (Answer::Nothing, false), "{request:?}");
    }
    let during = |request| {
        let mut login = login();
        go(&mut login, PLAIN);
        failure(&mut login, request)
    };
    assert_eq!(during(PLAIN), (Answer::Handshake(ErrorCode::ILLEGAL_SASL_STATE), true));
    for request in [VERSIONS, Request::Other("METADATA")] {
        assert_eq!(during(request), (Answer::OutOfTurn, true), "{request:?}");
    }
    assert_eq!(during(Request::Bare(b"x")), (Answer::Nothing, true));
}

#[test]
fn a_mechanism_that_is_not_enabled_is_answered_and_ends_the_connection() {
    for mechanism in ["GSSAPI", "plain", "", "SCRAM-SHA-512"] {
        let answer = failure(&mut login(), Request::Handshake { version: 1, mechanism });
        assert_eq!(answer, (Answer::Handshake(ErrorCode::UNSUPPORTED_SASL_MECHANISM), true));
    }
}

#[test]
fn wrong_credentials_are_told_apart_only_by_their_mechanism() {
    let mut login = login();
    go(&mut login, PLAIN);
    let wrong = Request::Authenticate { version: 0, bytes: b"\0alice\0x" };
    assert_eq!(failure(&mut login, wrong), refused("Authentication failed: Invalid username or password"));
    let mut login = self::login();
    go(&mut login, Request::Handshake { version: 1, mechanism: "SCRAM-SHA-256" });
    let garbage = Request::Authenticate { version: 2, bytes: b"\xff" };
    let text =
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";
    assert_eq!(failure(&mut login, garbage), refused(text));
}

#[test]
fn a_session_lasts_as_long_as_its_credential_and_the_listener_let_it() {
    let at = |ms| Some(TimestampMs(ms));
    let now = TimestampMs(1000);
    assert_eq!(lifetime(None, 0, now), None);
    assert_eq!(lifetime(None, 500, now), Some(500));
    assert_eq!(lifetime(at(1400), 0, now), Some(400));
    assert_eq!(lifetime(at(1400), 500, now), Some(400));
    assert_eq!(lifetime(at(1400), 300, now), Some(300));
    assert_eq!(lifetime(at(900), 0, now), Some(0));
    let mut login = Login::new(rules(500));
    go(&mut login, PLAIN);
    let (answer, session) = session(&mut login, ALICE);
    assert_eq!((answer, session.lifetime_ms), (authenticated(b"", 500), Some(500)));
}

#[test]
fn logging_in_again_changes_neither_principal_nor_mechanism() {
    let rules = rules(500);
    let mut first = Login::new(Arc::clone(&rules));
    go(&mut first, PLAIN);
    let (_, before) = session(&mut first, ALICE);
    let again = || {
        let mut login = Login::again(Arc::clone(&rules), before.clone());
        go(&mut login, PLAIN);
        login
    };
    assert_eq!(session(&mut again(), ALICE).1, before);
    let bob = Request::Authenticate { version: 2, bytes: b"\0bob\0secret" };
    let text = "Cannot change principals during re-authentication from User.alice: User.bob";
    assert_eq!(failure(&mut again(), bob), refused(text));
    let mut other = Login::again(Arc::clone(&rules), before.clone());
    assert_eq!(
        go(&mut other, Request::Handshake { version: 1, mechanism: "SCRAM-SHA-256" }),
        Answer::Handshake(ErrorCode::NONE)
    );
    assert_eq!(failure(&mut other, Request::Bare(b"x")), (Answer::Nothing, true));
    let mut versions = Login::again(Arc::clone(&rules), before);
    assert_eq!(failure(&mut versions, VERSIONS), (Answer::Nothing, false));
}
