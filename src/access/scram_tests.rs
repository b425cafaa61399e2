//! The server against a client that is written here from RFC 5802.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::{Credentials, Token};
use crate::model::TimestampMs;
use std::num::NonZeroU32;

struct Known;

fn salted(mechanism: ScramMechanism, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    mechanism.salted_password(password, salt, NonZeroU32::new(iterations).unwrap())
}

fn credential(mechanism: ScramMechanism, password: &str, iterations: u32) -> ScramCredential {
    let salted = salted(mechanism, password, b"salty", iterations);
    ScramCredential::of_salted(mechanism, &salted, b"salty", iterations)
}

impl Credentials for Known {
    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<ScramCredential> {
        match user {
            "alice" | "a,b=c" => Some(credential(mechanism, "secret", 4096)),
            "weak" => Some(credential(mechanism, "secret", 4095)),
            _ => None,
        }
    }

    fn token(&self, mechanism: ScramMechanism, token_id: &str) -> Option<Token> {
        (token_id == "token-1").then(|| Token {
            credential: credential(mechanism, "hmac", 4096),
            owner: Principal::user("owner"),
            expires: TimestampMs(99),
        })
    }
}

fn around<'a>() -> Surroundings<'a> {
    Surroundings { credentials: &Known, now: TimestampMs(1), nonce: "serverNonce", pepper: b"pepper" }
}

fn text(step: Step) -> String {
    match step {
        Step::Challenge(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A client's last message after `challenge`.
fn last(mechanism: ScramMechanism, bare: &str, challenge: &str, password: &str) -> String {
    let part = |at: usize| challenge.split(',').nth(at).unwrap().split_once('=').unwrap().1.to_owned();
    let salted = salted(mechanism, password, &BASE64.decode(part(1)).unwrap(), part(2).parse().unwrap());
    let client = mechanism.hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", part(0));
    let exchange = format!("{bare},{challenge},{without_proof}");
    let signature = mechanism.hmac(&mechanism.hash(&client), exchange.as_bytes());
    let proof: Vec<u8> = client.iter().zip(signature.iter()).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

fn login(mechanism: ScramMechanism, bare: &str, password: &str) -> Step {
    let mut server = Scram::new(mechanism);
    let challenge = text(server.step(format!("n,,{bare}").as_bytes(), &around()));
    server.step(last(mechanism, bare, &challenge, password).as_bytes(), &around())
}

#[test]
fn who_knows_the_password_is_let_in_by_both_mechanisms() {
    for mechanism in ScramMechanism::ALL {
        match login(mechanism, "n=alice,r=clientNonce", "secret") {
            Step::Done(answer, identity) => {
                assert!(answer.starts_with(b"v="));
                assert_eq!(identity.principal, Principal::user("alice"));
                assert_eq!((identity.by_token, identity.expires), (false, None));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            matches!(login(mechanism, "n=a=2Cb=3Dc,r=x", "secret"), Step::Done(_, id) if id.principal.name() == "a,b=c")
        );
    }
}

#[test]
fn the_exchange_of_rfc_7677_is_the_same_byte_for_byte() {
    struct Rfc;
    impl Credentials for Rfc {
        fn scram(&self, mechanism: ScramMechanism, _: &str) -> Option<ScramCredential> {
            let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            let salted = salted(mechanism, "pencil", &salt, 4096);
            Some(ScramCredential::of_salted(mechanism, &salted, &salt, 4096))
        }
        fn token(&self, _: ScramMechanism, _: &str) -> Option<Token> {
            None
        }
    }
    let around = Surroundings { credentials: &Rfc, nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ..around() };
    let mut server = Scram::new(ScramMechanism::Sha256);
    assert_eq!(
        text(server.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &around)),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    match server.step(last, &around) {
        Step::Done(answer, _) => assert_eq!(answer, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_logs_in_its_owner_until_it_expires() {
    let mechanism = ScramMechanism::Sha512;
    match login(mechanism, "n=token-1,r=x,tokenauth=true", "hmac") {
        Step::Done(_, identity) => {
            assert_eq!(identity.principal, Principal::user("owner"));
            assert_eq!((identity.by_token, identity.expires), (true, Some(TimestampMs(99))));
        }
        other => panic!("{other:?}"),
    }
    // A token is no user, and a user no token.
    assert!(matches!(login(mechanism, "n=token-1,r=x", "hmac"), Step::Refused(Refused::Credentials(_))));
    assert!(matches!(login(mechanism, "n=alice,r=x,tokenauth=true", "secret"), Step::Refused(Refused::Credentials(_))));
}

#[test]
fn an_unknown_user_is_challenged_like_a_known_one_and_fails_like_a_wrong_password() {
    for mechanism in ScramMechanism::ALL {
        let unknown = login(mechanism, "n=mallory,r=x", "secret");
        assert_eq!(unknown, login(mechanism, "n=alice,r=x", "wrong"));
        assert!(matches!(unknown, Step::Refused(Refused::Credentials(_))));
        let challenge = |user: &str| text(Scram::new(mechanism).step(format!("n,,n={user},r=x").as_bytes(), &around()));
        assert_eq!(challenge("mallory"), challenge("mallory"));
        assert_ne!(challenge("mallory"), challenge("eve"));
        assert!(challenge("mallory").ends_with(",i=4096"));
    }
}

#[test]
fn too_few_iterations_let_nobody_in() {
    assert!(matches!(login(ScramMechanism::Sha256, "n=weak,r=x", "secret"), Step::Refused(_)));
}

#[test]
fn a_replayed_last_message_is_refused() {
    let mechanism = ScramMechanism::Sha256;
    let bare = "n=alice,r=clientNonce";
    let mut first = Scram::new(mechanism);
    let challenge = text(first.step(format!("n,,{bare}").as_bytes(), &around()));
    let recorded = last(mechanism, bare, &challenge, "secret");
    assert!(matches!(first.step(recorded.as_bytes(), &around()), Step::Done(..)));
    // Once more in the same login, and in another one.
    assert!(matches!(first.step(recorded.as_bytes(), &around()), Step::Refused(_)));
    let mut second = Scram::new(mechanism);
    let other = Surroundings { nonce: "anotherNonce", ..around() };
    second.step(format!("n,,{bare}").as_bytes(), &other);
    assert!(matches!(second.step(recorded.as_bytes(), &other), Step::Refused(_)));
}

#[test]
fn another_name_than_the_own_is_refused() {
    let step = Scram::new(ScramMechanism::Sha256).step(b"n,a=root,n=alice,r=x", &around());
    assert!(matches!(step, Step::Refused(Refused::Saying(text)) if text.contains("authorization id")));
    let step = Scram::new(ScramMechanism::Sha256).step(b"n,a=alice,n=alice,r=x", &around());
    assert!(matches!(step, Step::Challenge(_)));
}

#[test]
fn malformed_messages_are_refused() {
    let refused = |bytes: &[u8]| {
        let step = Scram::new(ScramMechanism::Sha256).step(bytes, &around());
        assert!(matches!(step, Step::Refused(Refused::Credentials(_))), "{step:?} to {bytes:?}");
    };
    for message in [
        "",
        "n",
        "n,",
        "n,,",
        "y,,n=a,r=b",
        "p=tls-unique,,n=a,r=b",
        "n,b=c,n=a,r=b",
        "n,,r=b,n=a",
        "n,,n=,r=b",
        "n,,n=a,r=",
        "n,,n=a",
        "n,,n=a=,r=b",
        "n,,n=a=4D,r=b",
        "n,,n=a,r=b,",
        "n,,n=a,r=b,1=2",
        "n,,n=a,r=b,x=",
        "n,,n=a,r=b c",
        "n,,n=a,r=b\u{e9}",
        "n,,n=\u{e9},r=b",
        "n,,m=,n=a,r=b",
    ] {
        refused(message.as_bytes());
    }
    refused(&[0xff; 8]);
    let mechanism = ScramMechanism::Sha256;
    let bare = "n=alice,r=clientNonce";
    let good = {
        let challenge = text(Scram::new(mechanism).step(format!("n,,{bare}").as_bytes(), &around()));
        last(mechanism, bare, &challenge, "secret")
    };
    let (head, proof) = good.split_once(",p=").unwrap();
    for message in [
        String::new(),
        head.to_owned(),
        format!("{head},p="),
        format!("{head},p={}", &proof[4..]),
        format!("{head},p=AAAA{proof}"),
        format!("{head},p={proof},x=y"),
        format!("{head}x,p={proof}"),
        format!("{head},x=y,p={proof}"),
        good.replace("c=biws", "c=eSws"),
        good.replace("c=biws", "c=!"),
        good.replace("c=biws,", ""),
    ] {
        let mut server = Scram::new(mechanism);
        server.step(format!("n,,{bare}").as_bytes(), &around());
        let step = server.step(message.as_bytes(), &around());
        assert!(matches!(step, Step::Refused(Refused::Credentials(_))), "{step:?} to {message}");
    }
}
