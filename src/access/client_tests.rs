//! The client against the server's machines, against the exchange of RFC 7677, and against servers that are not honest.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::{Checks, Credentials, Identity, Refused, Step, Surroundings, Token, plain};
use crate::config::security::Secret;
use crate::config::{ListenerName, SecurityProtocol};
use crate::model::{Principal, TimestampMs};

const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

fn own(mechanism: &str, jaas: Option<&str>) -> Result<Own, String> {
    let login = OwnLogin {
        mechanism: mechanism.into(),
        set_by: "sasl.mechanism.inter.broker.protocol",
        jaas: jaas.map(Secret::new),
    };
    let towards = Towards {
        listener: ListenerName::new("IN"),
        protocol: SecurityProtocol::SaslPlaintext,
        tls: None,
        login: Some(login.clone()),
    };
    Own::new(&towards, &login)
}

struct Known;

fn credential(mechanism: ScramMechanism, password: &str) -> ScramCredential {
    let salted = mechanism.salted_password(password, b"salty", NonZeroU32::new(4096).unwrap());
    ScramCredential::of_salted(mechanism, &salted, b"salty", 4096)
}

impl Credentials for Known {
    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<ScramCredential> {
        (user == "no,de=1").then(|| credential(mechanism, "se,cret"))
    }

    fn token(&self, mechanism: ScramMechanism, id: &str) -> Option<Token> {
        let (owner, expires) = (Principal::user("owner"), TimestampMs(9));
        (id == "token").then(|| Token { credential: credential(mechanism, "hmac"), owner, expires })
    }
}

/// Logs in with `own` where `checks` decides.
fn meet(own: &Own, checks: &Checks) -> Result<Identity, String> {
    let around = Surroundings { credentials: &Known, now: TimestampMs(1), nonce: "server", pepper: b"pepper" };
    let (mut client, mut server) = (own.begin(), checks.begin());
    let mut message = client.step(&[])?.unwrap();
    loop {
        match server.step(&message, &around) {
            Step::Challenge(bytes) => message = client.step(&bytes)?.unwrap(),
            Step::Done(bytes, identity) => {
                assert_eq!(client.step(&bytes)?, None, "the client is done too");
                return Ok(identity);
            }
            Step::Refused(Refused::Saying(why)) => return Err(why),
            Step::Refused(Refused::Credentials(why)) => return Err(why.into()),
        }
    }
}

#[test]
fn what_the_client_says_the_server_understands() {
    let users = jaas::parse(&format!("{PLAIN} required user_node=\"secret\";")).unwrap();
    let plain_checks = Checks::Plain(Arc::new(plain::Users::new(&users, b"pepper")));
    let plain =
        own("PLAIN", Some(&format!("{PLAIN} required username=node password=secret user_node=secret;"))).unwrap();
    assert_eq!(meet(&plain, &plain_checks).unwrap().principal, Principal::user("node"));
    let wrong = own("PLAIN", Some(&format!("{PLAIN} required username=node password=other;"))).unwrap();
    assert_eq!(meet(&wrong, &plain_checks).unwrap_err(), "Authentication failed: Invalid username or password");
    for mechanism in ScramMechanism::ALL {
        let jaas = |rest: &str| own(mechanism.name(), Some(&format!("{SCRAM} required {rest};"))).unwrap();
        let checks = Checks::Scram(mechanism);
        let right = jaas("username=\"no,de=1\" password='se,cret'");
        assert_eq!(meet(&right, &checks).unwrap().principal, Principal::user("no,de=1"));
        let by_token = meet(&jaas("username=token password=hmac tokenauth=\"true\""), &checks).unwrap();
        assert_eq!((by_token.principal, by_token.by_token), (Principal::user("owner"), true));
        assert!(meet(&jaas("username=\"no,de=1\" password=other"), &checks).unwrap_err().contains("proof is wrong"));
    }
}

/// The exchange of RFC 7677, section 3.
fn of_the_rfc() -> Box<dyn Exchange> {
    let jaas = format!("{SCRAM} required username=user password=pencil;");
    own("SCRAM-SHA-256", Some(&jaas)).unwrap().with_nonce("rOprNGfwEbeRWgbNEkqO".into())
}

const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn said(step: Result<Option<Vec<u8>>, String>) -> String {
    String::from_utf8(step.unwrap().unwrap()).unwrap()
}

#[test]
fn scram_is_that_of_the_rfc() {
    let mut client = of_the_rfc();
    assert_eq!(said(client.step(&[])), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(
        said(client.step(CHALLENGE.as_bytes())),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert_eq!(client.step(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(None));
    assert!(client.step(b"").is_err(), "nothing comes after the end");
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for shown in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "", "x", "v=AAAA"] {
        let mut client = of_the_rfc();
        client.step(&[]).unwrap();
        client.step(CHALLENGE.as_bytes()).unwrap();
        let fault = client.step(shown.as_bytes()).unwrap_err();
        assert_eq!(fault, "Invalid server signature in server final message", "{shown}");
    }
    let mut client = of_the_rfc();
    client.step(&[]).unwrap();
    client.step(CHALLENGE.as_bytes()).unwrap();
    assert!(client.step(b"e=other-error").unwrap_err().ends_with("failed with error: other-error"));
}

#[test]
fn a_challenge_that_is_cheap_dear_or_of_another_login_is_refused() {
    let form = "Invalid SCRAM server first message format";
    for (challenge, expected) in [
        ("", form),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA", form),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096", form),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999", form),
        ("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096", form),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095", "less than the minimum 4096"),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=16385", "more than the maximum 16384"),
        ("r=another,s=AAAA,i=4096", "Invalid server nonce"),
        ("r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "Invalid server nonce"),
    ] {
        let mut client = of_the_rfc();
        client.step(&[]).unwrap();
        let fault = client.step(challenge.as_bytes()).unwrap_err();
        assert!(fault.contains(expected), "{challenge}: {fault}");
    }
    let mut client = of_the_rfc();
    client.step(&[]).unwrap();
    assert!(client.step(&[0xff]).is_err());
}

#[test]
fn no_two_logins_have_one_nonce() {
    let own = own("SCRAM-SHA-512", Some(&format!("{SCRAM} required username=a password=b;"))).unwrap();
    assert_ne!(said(own.begin().step(&[])), said(own.begin().step(&[])));
}

#[test]
fn plain_takes_no_challenge() {
    let mut plain = own("PLAIN", Some(&format!("{PLAIN} required username=a password=b;"))).unwrap().begin();
    assert_eq!(said(plain.step(&[])), "\0a\0b");
    assert!(plain.step(b"more").is_err());
}

#[test]
fn what_is_missing_is_a_sentence_that_shows_no_secret() {
    let key = "listener.name.in.scram-sha-256.sasl.jaas.config";
    for (mechanism, jaas, expected) in [
        ("GSSAPI", None, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        ("OAUTHBEARER", Some("x required;"), "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        ("SCRAM-SHA-256", None, key),
        ("SCRAM-SHA-256", Some("x"), key),
        ("SCRAM-SHA-256", Some("x required; y required;"), "exactly one"),
        ("PLAIN", Some("x required user_a=hunter2;"), "no username"),
        ("PLAIN", Some("x required username=a user_a=hunter2;"), "no password"),
    ] {
        let fault = own(mechanism, jaas).unwrap_err();
        assert!(fault.contains(expected) && !fault.contains("hunter2"), "{fault}");
    }
    let own = own("PLAIN", Some("x required username=a password=hunter2;")).unwrap();
    assert!(!format!("{own:?}").contains("hunter2"));
}
