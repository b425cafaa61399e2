//! Tokens that are signed here with keys made here, and all the ways in which they can be wrong.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::jaas;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const NOW_S: i64 = NOW.0 / 1000;

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

fn jwk(pair: &EcdsaKeyPair, id: &str) -> Value {
    let point = pair.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": id, "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])})
}

fn encoded(value: &Value) -> String {
    B64.encode(value.to_string())
}

fn signed(pair: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", B64.encode(signature.as_ref()))
}

fn claims(change: Value) -> Value {
    let mut claims =
        json!({"sub": "alice", "iss": "https://idp", "aud": "kafka", "iat": NOW_S - 10, "exp": NOW_S + 60});
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn rules(keys: &[Value]) -> Signed {
    let set = KeySet::default();
    set.replace(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    Signed {
        keys: Arc::new(set),
        audiences: vec!["kafka".into(), "other".into()],
        issuer: Some("https://idp".into()),
        skew_seconds: 30,
        scope_claim: "scope".into(),
        subject_claim: "sub".into(),
    }
}

fn message(token: &str) -> Vec<u8> {
    format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
}

#[test]
fn a_token_that_a_key_of_the_set_signed_is_accepted_and_ends_with_the_session() {
    let pair = pair();
    let header = json!({"alg": "ES256", "kid": "k"});
    let token = signed(&pair, &header, &claims(json!({})));
    let validator = Arc::new(Validator::Signed(rules(&[jwk(&pair, "k")])));
    match Bearer::new(Arc::clone(&validator)).step(&message(&token), NOW) {
        Step::Done(answer, identity) => {
            assert!(answer.is_empty());
            assert_eq!(identity.principal, Principal::user("alice"));
            assert_eq!(identity.expires, Some(TimestampMs(NOW.0 + 60_000)));
        }
        other => panic!("{other:?}"),
    }
    let named = |name: &str| format!("n,a={name},\u{1}auth=bearer  {token}\u{1}traceId=1\u{1}\u{1}").into_bytes();
    assert!(matches!(Bearer::new(Arc::clone(&validator)).step(&named("alice"), NOW), Step::Done(..)));
    let refused = Bearer::new(validator).step(&named("bob"), NOW);
    assert!(matches!(refused, Step::Refused(Refused::Saying(text)) if text.contains("(bob)")));
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    let pair = pair();
    let rules = rules(&[jwk(&pair, "k")]);
    let check = |change: Value| rules.check(&signed(&pair, &json!({"alg": "ES256", "kid": "k"}), &claims(change)), NOW);
    // The skew is to be allowed for, and is a limit.
    assert!(check(json!({"exp": NOW_S - 29, "iat": NOW_S - 99})).is_ok());
    assert!(check(json!({"nbf": NOW_S + 30})).is_ok());
    assert!(check(json!({"aud": ["x", "other"]})).is_ok());
    assert!(check(json!({"scope": ["a", "b"]})).is_ok());
    for change in [
        json!({"exp": NOW_S - 30}),
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"exp": -1, "iat": -2}),
        json!({"iat": null}),
        json!({"iat": "x"}),
        json!({"nbf": NOW_S + 31}),
        json!({"nbf": NOW_S + 10, "exp": NOW_S + 5}),
        json!({"iat": NOW_S + 100, "exp": NOW_S + 50}),
        json!({"aud": null}),
        json!({"aud": "x"}),
        json!({"aud": []}),
        json!({"aud": 7}),
        json!({"iss": null}),
        json!({"iss": "https://other"}),
        json!({"sub": null}),
        json!({"sub": " "}),
        json!({"sub": 7}),
        json!({"scope": ["a", "a"]}),
        json!({"scope": [""]}),
    ] {
        assert!(check(change.clone()).is_err(), "{change}");
    }
}

#[test]
fn a_token_for_an_audience_is_refused_where_none_is_expected() {
    let pair = pair();
    let rules = Signed { audiences: Vec::new(), ..rules(&[jwk(&pair, "k")]) };
    let header = json!({"alg": "ES256"});
    assert!(rules.check(&signed(&pair, &header, &claims(json!({}))), NOW).is_err());
    assert!(rules.check(&signed(&pair, &header, &claims(json!({"aud": null}))), NOW).is_ok());
}

#[test]
fn wrong_signatures_and_algorithms_are_refused() {
    let (ours, theirs) = (pair(), pair());
    let rules = rules(&[jwk(&ours, "k")]);
    let claims = claims(json!({}));
    let header = json!({"alg": "ES256", "kid": "k"});
    let good = signed(&ours, &header, &claims);
    assert!(rules.check(&good, NOW).is_ok());
    let refused = |token: &str| assert!(rules.check(token, NOW).is_err(), "{token}");
    refused(&signed(&theirs, &header, &claims));
    for header in [
        json!({"alg": "none", "kid": "k"}),
        json!({"alg": "None"}),
        json!({"alg": "HS256", "kid": "k"}),
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "ES384", "kid": "k"}),
        json!({"kid": "k"}),
        json!({"alg": 7}),
        json!({"alg": "ES256", "kid": "unknown"}),
        json!({"alg": "ES256", "kid": 7}),
        json!({"alg": "ES256", "kid": "k", "crit": ["x"]}),
    ] {
        refused(&signed(&ours, &header, &claims));
    }
    let (head, signature) = good.rsplit_once('.').unwrap();
    refused(&format!("{head}."));
    refused(head);
    refused(&format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&claims)));
    refused(&format!("{head}.{}", &signature[..40]));
    // The same signature over other claims.
    let (header, _) = head.split_once('.').unwrap();
    refused(&format!("{header}.{}.{signature}", encoded(&json!({"sub": "root", "iat": 1, "exp": NOW_S + 99}))));
}

#[test]
fn a_key_that_is_not_there_is_asked_for() {
    let pair = pair();
    let rules = rules(&[jwk(&pair, "k")]);
    let token = signed(&pair, &json!({"alg": "ES256", "kid": "next"}), &claims(json!({})));
    assert!(rules.check(&token, NOW).is_err());
    let asked = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(1), rules.keys.unknown.notified()).await
    });
    assert!(asked.is_ok());
    rules.keys.replace(json!({"keys": [jwk(&pair, "next")]}).to_string().as_bytes()).unwrap();
    assert!(rules.check(&token, NOW).is_ok());
}

#[test]
fn keys_of_other_kinds_and_uses_are_left_out_and_what_is_no_set_changes_nothing() {
    let set = KeySet::default();
    let pair = pair();
    let mut encryption = jwk(&pair, "e");
    encryption["use"] = json!("enc");
    let mut short = jwk(&pair, "s");
    short["x"] = json!("AAAA");
    let keys =
        json!([encryption, short, {"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-521"}, {}, 7, jwk(&pair, "k")]);
    assert_eq!(set.replace(json!({"keys": keys}).to_string().as_bytes()), Ok(1));
    for bad in ["", "[]", "{}", r#"{"keys":7}"#, &json!({"keys": vec![7; 300]}).to_string()] {
        assert!(set.replace(bad.as_bytes()).is_err());
    }
    let random = SystemRandom::new();
    let signature = pair.sign(&random, b"m").unwrap();
    assert!(set.verify("ES256", Some("k"), b"m", signature.as_ref()));
}

#[test]
fn ed25519_is_verified() {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let set = KeySet::default();
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(pair.public_key().as_ref())});
    set.replace(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    assert!(set.verify("EdDSA", None, b"m", pair.sign(b"m").as_ref()));
    assert!(!set.verify("EdDSA", None, b"n", pair.sign(b"m").as_ref()));
}

fn unsecured(options: &str) -> Unsecured {
    let text = format!("org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required {options};");
    Unsecured::new(&jaas::parse(&text).unwrap()[0]).unwrap()
}

fn bare(claims: &Value) -> String {
    format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(claims))
}

#[test]
fn unsecured_tokens_are_checked_by_kafkas_rules() {
    let rules =
        unsecured("unsecuredValidatorAllowableClockSkewMs=\"1000\" unsecuredValidatorRequiredScope=\"read write\"");
    let check = |claims: Value| rules.check(&bare(&claims), NOW);
    let both = json!(["write", "read"]);
    assert_eq!(
        check(json!({"sub": "u", "exp": NOW_S + 1, "iat": NOW_S, "scope": both})),
        Ok(Accepted { subject: "u".into(), expires: TimestampMs(NOW.0 + 1000) })
    );
    for claims in [
        json!({"exp": NOW_S + 1, "scope": both}),
        json!({"sub": "u", "scope": both}),
        json!({"sub": "u", "exp": NOW_S - 1, "scope": both}),
        json!({"sub": "u", "exp": NOW_S + 9, "iat": NOW_S + 2, "scope": both}),
        json!({"sub": "u", "exp": NOW_S, "iat": NOW_S, "scope": both}),
    ] {
        assert!(matches!(check(claims.clone()), Err(Fault::Token(_))), "{claims}");
    }
    let fault = check(json!({"sub": "u", "exp": NOW_S + 1, "scope": "read"})).unwrap_err();
    assert_eq!(fault.json(), r#"{"status":"insufficient_scope", "scope":"[read, write]"}"#);
    let signed = signed(&pair(), &json!({"alg": "ES256"}), &json!({"sub": "u", "exp": NOW_S + 1, "scope": both}));
    assert!(rules.check(&signed, NOW).is_err());
}

#[test]
fn after_an_error_the_client_acknowledges_and_is_refused() {
    let validator = Arc::new(Validator::Unsecured(unsecured("")));
    let mut bearer = Bearer::new(validator);
    let told = r#"{"status":"invalid_token"}"#;
    assert_eq!(bearer.step(&message("a.b.c"), NOW), Step::Challenge(told.into()));
    assert_eq!(bearer.step(&[1], NOW), Step::Refused(Refused::Saying(told.into())));
    assert!(matches!(bearer.step(&[1], NOW), Step::Refused(Refused::Credentials(_))));
}

#[test]
fn malformed_first_messages_are_refused() {
    for message in [
        "",
        "n",
        "n,,",
        "n,,\u{1}",
        "n,,\u{1}\u{1}",
        "y,,\u{1}auth=Bearer t\u{1}\u{1}",
        "n,x,\u{1}auth=Bearer t\u{1}\u{1}",
        "n,,auth=Bearer t\u{1}\u{1}",
        "n,,\u{1}auth=Bearer t\u{1}",
        "n,,\u{1}auth=Bearer\u{1}\u{1}",
        "n,,\u{1}auth=Basic t\u{1}\u{1}",
        "n,,\u{1}auth=Bearer t!\u{1}\u{1}",
        "n,,\u{1}auth=Bearer ==\u{1}\u{1}",
        "n,,\u{1}au1h=Bearer t\u{1}\u{1}",
        "n,,\u{1}x=y\u{1}\u{1}",
        "n,,\u{1}auth=Bearer t\u{1}x\u{1}\u{1}",
        "n,,\u{1}auth=Bearer t\u{7f}\u{1}\u{1}",
    ] {
        let step = Bearer::new(Arc::new(Validator::Unsecured(unsecured("")))).step(message.as_bytes(), NOW);
        assert!(matches!(step, Step::Refused(Refused::Credentials(_))), "{step:?} to {message:?}");
    }
}
