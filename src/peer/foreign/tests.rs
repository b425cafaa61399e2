//! Against somebody at the other end of a pipe, who answers what he wants.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{ErrorCode, NodeId};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsResponse, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{DuplexStream, duplex};

const WITHIN: Duration = Duration::from_millis(500);

fn pair() -> (Foreign, DuplexStream) {
    let (here, there) = duplex(1 << 16);
    (Foreign::over(Box::new(here), "test", WITHIN), there)
}

/// Reads a request and answers it with a body, behind the right head.
async fn answers(there: &mut DuplexStream, body: &[u8]) -> Vec<u8> {
    let length = there.read_i32().await.unwrap();
    let mut request = vec![0; length as usize];
    there.read_exact(&mut request).await.unwrap();
    there.write_i32(4 + i32::try_from(body.len()).unwrap()).await.unwrap();
    there.write_all(&request[4..8]).await.unwrap();
    there.write_all(body).await.unwrap();
    request
}

fn encoded<T: Encodable>(version: i16, value: &T) -> Vec<u8> {
    let mut body = BytesMut::new();
    value.encode(&mut body, version).unwrap();
    body.to_vec()
}

fn offering(ranges: &[(i16, i16, i16)]) -> ApiVersionsResponse {
    let keys = ranges
        .iter()
        .map(|(key, min, max)| ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max));
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

#[tokio::test]
async fn a_broker_that_does_not_know_our_api_versions_is_asked_again_in_its_own() {
    let (mut foreign, mut there) = pair();
    let broker = async {
        let refused = encoded(0, &offering(&[(18, 0, 2)]).with_error_code(ErrorCode::UNSUPPORTED_VERSION.0));
        assert_eq!(answers(&mut there, &refused).await[..4], [0, 18, 0, 3]);
        let request = answers(&mut there, &encoded(0, &offering(&[(18, 0, 2), (3, 0, 5)]))).await;
        assert_eq!(request[..4], [0, 18, 0, 0]);
    };
    let (greeted, ()) = tokio::join!(foreign.greet(), broker);
    greeted.unwrap();
    assert_eq!(foreign.versions().0[&3], Range { min: 0, max: 5 });
}

#[tokio::test]
async fn requests_go_out_in_the_newest_version_of_both_sides() {
    for (theirs, expected) in [((0, 5), 5), ((0, 99), 12), ((2, 2), 2)] {
        let (mut foreign, mut there) = pair();
        let broker = async {
            answers(&mut there, &encoded(3, &offering(&[(3, theirs.0, theirs.1)]))).await;
            let named = MetadataResponseBroker::default()
                .with_node_id(7.into())
                .with_host(StrBytes::from_static_str("host"))
                .with_port(-1);
            let answer = MetadataResponse::default()
                .with_brokers(vec![named])
                .with_cluster_id(Some(StrBytes::from_static_str("id")));
            let mut body = encoded(expected, &answer);
            if expected >= 9 {
                body.insert(0, 0);
            }
            assert_eq!(answers(&mut there, &body).await[2..4], expected.to_be_bytes());
        };
        let asked = async {
            foreign.greet().await.unwrap();
            foreign.cluster(None).await
        };
        let (seen, ()) = tokio::join!(asked, broker);
        let seen = seen.unwrap();
        assert_eq!(seen.cluster_id.as_deref(), Some("id"));
        assert_eq!(seen.brokers, [BrokerSeen { node: NodeId(7), host: "host".into(), port: -1 }]);
    }
}

#[tokio::test]
async fn without_a_version_in_common_nothing_is_sent() {
    for ranges in [&[(3, 0, 0)][..], &[(3, 50, 60)], &[(3, 5, 2)], &[]] {
        let (mut foreign, mut there) = pair();
        let offered = encoded(3, &offering(ranges));
        let (greeted, _) = tokio::join!(foreign.greet(), answers(&mut there, &offered));
        greeted.unwrap();
        let odd = foreign.cluster(None).await.unwrap_err();
        assert!(matches!(odd, Odd::Unsupported { api: "Metadata", .. }), "{odd}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_answer_are_kept_and_not_believed() {
    let cases: [&[u8]; 4] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\0\x02\x02\x46", b"\0\0\0\0", b"\0\0\0\x08wrong id"];
    for bytes in cases {
        let (mut foreign, mut there) = pair();
        there.write_all(bytes).await.unwrap();
        let odd = foreign.greet().await.unwrap_err();
        assert!(matches!(odd, Odd::NotKafka(_)), "{bytes:?} gave {odd}");
    }
    let (mut foreign, there) = pair();
    drop(there);
    assert_eq!(foreign.greet().await.unwrap_err(), Odd::Closed);
    let (mut foreign, _there) = pair();
    assert_eq!(foreign.greet().await.unwrap_err(), Odd::TimedOut);
}

#[tokio::test]
async fn an_answer_cut_anywhere_is_an_error() {
    let whole = encoded(3, &offering(&[(3, 0, 12), (18, 0, 4)]));
    for length in 0..whole.len() - 1 {
        let (mut foreign, mut there) = pair();
        let (greeted, _) = tokio::join!(foreign.greet(), answers(&mut there, &whole[..length]));
        assert!(matches!(greeted, Err(Odd::Malformed(_))), "{length} bytes gave {greeted:?}");
    }
}
