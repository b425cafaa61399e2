use super::*;
use crate::config::settings::Tokens;
use crate::controller::machine::tokens::{SWEEP_MAX, create, expire, hmac, renew, sweep};
use crate::controller::security::{CreateToken, CreatedToken};
use crate::metadata::DelegationToken;
use crate::model::{Principal, TimestampMs};

const NOW: TimestampMs = TimestampMs(1000);

fn settings() -> Tokens {
    Tokens {
        secret: Some(b"secret"[..].into()),
        lifetime_max_ms: 700,
        renewal_ms: 100,
        check_interval: Default::default(),
    }
}

fn disabled() -> Tokens {
    Tokens { secret: None, ..settings() }
}

fn request(lifetime_ms: i64) -> CreateToken {
    CreateToken {
        owner: Principal::user("owner"),
        requester: Principal::user("requester"),
        renewers: vec![Principal::user("renewer")],
        lifetime_ms,
    }
}

fn token(expires: i64) -> DelegationToken {
    DelegationToken {
        id: "t".into(),
        owner: Principal::user("owner"),
        requester: Principal::user("requester"),
        renewers: vec![Principal::user("renewer")],
        issued: NOW,
        max: TimestampMs(1700),
        expires: TimestampMs(expires),
    }
}

fn with(tokens: Vec<DelegationToken>) -> Image {
    after(&cluster(vec![broker(0)]), tokens.into_iter().map(Record::DelegationToken).collect())
}

fn old() -> Image {
    after(&with(vec![token(1100)]), vec![Record::Feature { name: "metadata.version".into(), level: 13 }])
}

fn code<T: std::fmt::Debug + PartialEq>(decision: Decision<Result<T, ApiError>>) -> ErrorCode {
    assert_eq!(decision.records, vec![]);
    decision.answer.unwrap_err().code
}

fn key() -> Vec<u8> {
    hmac(b"secret", "t").to_vec()
}

fn owner() -> Principal {
    Principal::user("owner")
}

#[test]
fn a_token_lives_as_long_as_asked_but_no_longer_than_may_be_and_is_to_be_renewed_sooner() {
    for (asked, max, expires) in
        [(-1, 1700, 1100), (0, 1700, 1100), (50, 1050, 1050), (400, 1400, 1100), (9999, 1700, 1100)]
    {
        let decision = create(&request(asked), "t".into(), NOW, &settings(), &with(vec![]));
        let made = DelegationToken { max: TimestampMs(max), ..token(expires) };
        assert_eq!(decision.records, vec![Record::DelegationToken(made)], "{asked}");
        let hmac = hmac(b"secret", "t");
        let (max, expires) = (TimestampMs(max), TimestampMs(expires));
        assert_eq!(decision.answer, Ok(CreatedToken { id: "t".into(), hmac, issued: NOW, expires, max }));
    }
}

#[test]
fn the_hmac_is_sha_512_of_the_id_under_the_secret() {
    let expected = crate::model::ScramMechanism::Sha512.hmac(b"secret", b"t");
    assert_eq!(&hmac(b"secret", "t")[..], &expected[..]);
    assert_eq!(expected.len(), 64);
}

#[test]
fn renewers_are_users() {
    let request = CreateToken { renewers: vec![Principal::new("Group", "g")], ..request(-1) };
    let decision = create(&request, "t".into(), NOW, &settings(), &with(vec![]));
    assert_eq!(code(decision), ErrorCode::INVALID_PRINCIPAL_TYPE);
}

#[test]
fn without_a_secret_or_in_an_old_cluster_there_are_no_tokens() {
    let cases = [
        (disabled(), with(vec![token(1100)]), ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED),
        (settings(), old(), ErrorCode::UNSUPPORTED_VERSION),
    ];
    for (settings, image, expected) in cases {
        assert_eq!(code(create(&request(-1), "u".into(), NOW, &settings, &image)), expected);
        assert_eq!(code(renew(&key(), -1, &owner(), NOW, &settings, &image)), expected);
        assert_eq!(code(expire(&key(), -1, &owner(), NOW, &settings, &image)), expected);
    }
}

#[test]
fn a_token_is_found_by_its_whole_hmac_and_nothing_else() {
    let image = with(vec![token(1100)]);
    for wrong in [vec![], key()[..63].to_vec(), hmac(b"other", "t").to_vec(), [key(), vec![0]].concat()] {
        assert_eq!(code(renew(&wrong, 1, &owner(), NOW, &settings(), &image)), ErrorCode::DELEGATION_TOKEN_NOT_FOUND);
        assert_eq!(code(expire(&wrong, 1, &owner(), NOW, &settings(), &image)), ErrorCode::DELEGATION_TOKEN_NOT_FOUND);
    }
}

#[test]
fn owner_and_renewers_may_renew_and_expire_and_nobody_else() {
    let image = with(vec![token(1100)]);
    for (who, may) in [("owner", true), ("renewer", true), ("requester", false), ("eve", false)] {
        let by = Principal::user(who);
        assert_eq!(renew(&key(), 1, &by, NOW, &settings(), &image).answer.is_ok(), may, "{who}");
        let expired = expire(&key(), -1, &by, NOW, &settings(), &image);
        if !may {
            assert_eq!(code(expired), ErrorCode::DELEGATION_TOKEN_OWNER_MISMATCH);
        }
    }
}

#[test]
fn a_renewal_is_bounded_by_the_renewal_time_and_by_the_end_of_the_token() {
    let now = TimestampMs(1050);
    for (now, asked, expires) in [(now, -1, 1150), (now, 20, 1070), (now, 9999, 1150), (TimestampMs(1090), 0, 1190)] {
        let decision = renew(&key(), asked, &owner(), now, &settings(), &with(vec![token(1100)]));
        assert_eq!(decision.records, vec![Record::DelegationToken(token(expires))]);
        assert_eq!(decision.answer, Ok(TimestampMs(expires)));
    }
    let late = renew(&key(), 100, &owner(), TimestampMs(1650), &settings(), &with(vec![token(1660)]));
    assert_eq!(late.answer, Ok(TimestampMs(1700)));
}

#[test]
fn a_token_that_is_over_cannot_be_renewed_and_that_is_told_before_whose_it_is() {
    let image = with(vec![token(1100)]);
    for who in ["owner", "eve"] {
        let decision = renew(&key(), 1, &Principal::user(who), TimestampMs(1101), &settings(), &image);
        assert_eq!(code(decision), ErrorCode::DELEGATION_TOKEN_EXPIRED);
    }
    assert!(renew(&key(), 1, &owner(), TimestampMs(1100), &settings(), &image).answer.is_ok());
}

#[test]
fn a_negative_period_ends_a_token_at_once_even_one_that_is_over() {
    for now in [NOW, TimestampMs(5000)] {
        let decision = expire(&key(), -1, &owner(), now, &settings(), &with(vec![token(1100)]));
        assert_eq!(decision.records, vec![Record::RemoveDelegationToken { id: "t".into() }]);
        assert_eq!(decision.answer, Ok(now));
    }
}

#[test]
fn an_expiry_may_be_moved_either_way_but_not_past_the_end() {
    let image = with(vec![token(1100)]);
    for (period, expires) in [(0, 1000), (10, 1010), (500, 1500), (i64::MAX, 1700)] {
        let decision = expire(&key(), period, &owner(), NOW, &settings(), &image);
        assert_eq!(decision.records, vec![Record::DelegationToken(token(expires))]);
        assert_eq!(decision.answer, Ok(TimestampMs(expires)));
    }
    let over = expire(&key(), 10, &owner(), TimestampMs(1101), &settings(), &image);
    assert_eq!(code(over), ErrorCode::DELEGATION_TOKEN_EXPIRED);
}

#[test]
fn the_sweep_removes_what_is_over_a_thousand_at_a_time() {
    let many =
        |expires: i64| (0..1500).map(move |n| DelegationToken { id: format!("{expires}-{n:05}"), ..token(expires) });
    let image = with(many(1100).chain(many(1200)).collect());
    let decision = sweep(TimestampMs(1101), &image);
    assert_eq!((decision.records.len(), decision.answer), (SWEEP_MAX, Ok(SWEEP_MAX)));
    let image = after(&image, decision.records);
    let decision = sweep(TimestampMs(1101), &image);
    assert_eq!(decision.answer, Ok(500));
    let image = after(&image, decision.records);
    assert_eq!(sweep(TimestampMs(1101), &image).records, vec![]);
    assert_eq!(image.tokens.len(), 1500);
}
