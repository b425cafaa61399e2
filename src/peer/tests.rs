//! Links against a peer that is a socket in the test.
#![allow(clippy::unwrap_used)]

use super::controller::{Heartbeat, Standing, broker_heartbeat};
use super::*;
use crate::config::settings::Peers;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(10);
const HEARTBEAT: i16 = 63;

fn settings() -> LinkSettings {
    let peers = Peers {
        setup_timeout: Duration::from_secs(5),
        setup_timeout_max: Duration::from_secs(5),
        response_bytes_max: 1000,
    };
    LinkSettings::plaintext(peers, "broker-1".to_owned())
}

async fn listen() -> (TcpListener, Arc<Link>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let link = Link::new(NodeId(2), settings(), Arc::new(move || Some(endpoint.clone())));
    (listener, Arc::new(link))
}

async fn receive(socket: &mut TcpStream) -> (i16, i16, i32, Bytes) {
    let length = socket.read_i32().await.unwrap();
    let mut frame = vec![0; length as usize];
    socket.read_exact(&mut frame).await.unwrap();
    let (header, body) = crate::wire::header::parse(&Bytes::from(frame)).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("broker-1"));
    (header.key, header.version, header.correlation_id, body)
}

fn answer(correlation: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(5 + body.len() as i32);
    out.put_i32(correlation);
    out.put_u8(0);
    out.put_slice(body);
    out.freeze()
}

/// A mechanism whose server says `you` to `me`.
struct Echo;

impl Mechanism for Echo {
    fn name(&self) -> &str {
        "ECHO"
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Echo)
    }
}

impl Exchange for Echo {
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match bytes {
            b"" => Ok(Some(b"me".to_vec())),
            b"you" => Ok(None),
            _ => Err("somebody else".into()),
        }
    }
}

impl Secure for Echo {
    fn terms(&self) -> BoxFuture<'_, Result<Terms, String>> {
        async { Ok(Terms { tls: None, login: Some(Arc::new(Echo)) }) }.boxed()
    }
}

async fn listen_for_logins() -> (TcpListener, Arc<Link>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let settings = LinkSettings::secured(settings().peers, "broker-1".to_owned(), Arc::new(Echo));
    (listener, Arc::new(Link::new(NodeId(2), settings, Arc::new(move || Some(endpoint.clone())))))
}

/// The server's side of a login: SaslHandshake has no flexible version.
async fn let_in(socket: &mut TcpStream, error: i16, said: &[u8], lifetime_ms: i64) {
    let (key, version, correlation, body) = receive(socket).await;
    assert_eq!((key, version, &body[..]), (17, 1, &b"\0\x04ECHO"[..]));
    let mut out = BytesMut::new();
    out.put_i32(10);
    out.put_i32(correlation);
    out.put_slice(&[0; 6]);
    socket.write_all(&out).await.unwrap();
    let (key, version, correlation, body) = receive(socket).await;
    assert_eq!((key, version, &body[..]), (36, 2, &b"\x03me\0"[..]));
    let mut out = BytesMut::new();
    out.put_i16(error);
    out.put_slice(b"\x04why");
    out.put_u8(u8::try_from(said.len() + 1).unwrap());
    out.put_slice(said);
    out.put_i64(lifetime_ms);
    out.put_u8(0);
    socket.write_all(&answer(correlation, &out)).await.unwrap();
}

#[tokio::test]
async fn a_link_logs_in_first_and_again_before_its_session_ends_while_others_wait() {
    let (listener, link) = listen_for_logins().await;
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let_in(&mut socket, 0, b"you", 200).await;
        let (_, _, first, body) = receive(&mut socket).await;
        socket.write_all(&answer(first, &body)).await.unwrap();
        let_in(&mut socket, 0, b"you", 0).await;
        for _ in 0..3 {
            let (key, _, correlation, body) = receive(&mut socket).await;
            assert_eq!(key, HEARTBEAT);
            socket.write_all(&answer(correlation, &body)).await.unwrap();
        }
    });
    let ask = || link.call_raw(HEARTBEAT, 1, Bytes::from_static(b"ask"), SOON);
    assert_eq!(ask().await.unwrap(), "ask");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (one, two) = tokio::join!(ask(), ask());
    assert_eq!((one.unwrap(), two.unwrap()), ("ask".into(), "ask".into()));
    // The second session has no end.
    assert_eq!(ask().await.unwrap(), "ask");
    peer.await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_error_with_the_servers_words_and_so_is_a_server_that_is_another() {
    let (listener, link) = listen_for_logins().await;
    let peer = tokio::spawn(async move {
        for (error, said) in [(58, &b""[..]), (0, b"them")] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let_in(&mut socket, error, said, 0).await;
            assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0, "nothing is asked of it");
        }
    });
    for expected in ["why", "somebody else"] {
        let error = loop {
            match link.call_raw(HEARTBEAT, 1, Bytes::new(), SOON).await.unwrap_err() {
                PeerError::BackingOff(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                error => break error,
            }
        };
        assert_eq!(error.to_string(), format!("node 2: {expected}"));
    }
    peer.await.unwrap();
}

/// No throttling, no error, and what the three flags are.
fn standing(caught_up: u8, fenced: u8, shut_down: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, caught_up, fenced, shut_down, 0]
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        broker: NodeId(1),
        broker_epoch: 7,
        metadata_offset: 100,
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: Vec::new(),
    }
}

#[tokio::test]
async fn requests_of_several_tasks_share_a_connection_and_each_gets_its_own_answer() {
    let (listener, link) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // Both are read before either is answered.
        let (first, second) = (receive(&mut socket).await, receive(&mut socket).await);
        for (_, _, correlation, body) in [first, second] {
            socket.write_all(&answer(correlation, &body)).await.unwrap();
        }
    });
    let ask = |text: &'static [u8]| {
        let link = Arc::clone(&link);
        async move { link.call_raw(HEARTBEAT, 1, Bytes::from_static(text), SOON).await.unwrap() }
    };
    let (one, two) = tokio::join!(ask(b"one"), ask(b"two"));
    assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    peer.await.unwrap();
}

#[tokio::test]
async fn a_heartbeat_says_what_the_broker_wants_and_brings_how_the_controller_sees_it() {
    let (listener, link) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (key, version, correlation, body) = receive(&mut socket).await;
        assert_eq!((key, version), (HEARTBEAT, 1));
        assert_eq!(&body[..], b"\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x64\0\0\0");
        socket.write_all(&answer(correlation, &standing(1, 0, 1))).await.unwrap();
    });
    let standing = broker_heartbeat(&link, &heartbeat(), SOON).await.unwrap();
    assert_eq!(standing, Ok(Standing { caught_up: true, fenced: false, should_shut_down: true }));
    peer.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_answer_in_time_is_left_and_connected_to_again() {
    let (listener, link) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut silent, _) = listener.accept().await.unwrap();
        receive(&mut silent).await;
        let (mut socket, _) = listener.accept().await.unwrap();
        let (_, _, correlation, _) = receive(&mut socket).await;
        socket.write_all(&answer(correlation, &standing(0, 1, 0))).await.unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0, "the first connection was closed");
    });
    let late = broker_heartbeat(&link, &heartbeat(), Duration::from_millis(50)).await;
    assert!(matches!(late, Err(PeerError::TimedOut(NodeId(2)))), "{late:?}");
    assert!(broker_heartbeat(&link, &heartbeat(), SOON).await.unwrap().unwrap().fenced);
    peer.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_fails_what_waits_on_it_and_the_next_call_makes_another() {
    let (listener, link) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        receive(&mut socket).await;
        drop(socket);
        let (mut socket, _) = listener.accept().await.unwrap();
        let (_, _, correlation, _) = receive(&mut socket).await;
        socket.write_all(&answer(correlation, &standing(1, 0, 0))).await.unwrap();
    });
    let broken = broker_heartbeat(&link, &heartbeat(), SOON).await;
    assert!(matches!(broken, Err(PeerError::Closed(NodeId(2)))), "{broken:?}");
    assert!(broker_heartbeat(&link, &heartbeat(), SOON).await.unwrap().unwrap().caught_up);
    peer.await.unwrap();
}

#[tokio::test]
async fn after_a_failure_to_connect_the_next_try_waits_for_the_backoff() {
    let (listener, link) = listen().await;
    drop(listener);
    let first = broker_heartbeat(&link, &heartbeat(), SOON).await;
    assert!(matches!(first, Err(PeerError::Connect { node: NodeId(2), .. })), "{first:?}");
    let second = broker_heartbeat(&link, &heartbeat(), SOON).await;
    assert!(matches!(second, Err(PeerError::BackingOff(NodeId(2)))), "{second:?}");
    tokio::time::sleep(Duration::from_millis(60)).await;
    let third = broker_heartbeat(&link, &heartbeat(), SOON).await;
    assert!(matches!(third, Err(PeerError::Connect { .. })), "{third:?}");
}

#[tokio::test]
async fn a_node_without_a_known_address_is_not_connected_to() {
    let link = Link::new(NodeId(9), settings(), Arc::new(|| None));
    let error = broker_heartbeat(&link, &heartbeat(), SOON).await;
    assert!(matches!(error, Err(PeerError::Unknown(NodeId(9)))), "{error:?}");
}

/// What the peer sends instead of an answer, and whether the call may have seen it as unreadable.
async fn hostile(reply: impl Fn(i32) -> Vec<u8> + Send + 'static) -> PeerError {
    let (listener, link) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (_, _, correlation, _) = receive(&mut socket).await;
        socket.write_all(&reply(correlation)).await.unwrap();
        // Open until the other side gives up.
        let _ = socket.read(&mut [0; 1]).await;
    });
    let error = broker_heartbeat(&link, &heartbeat(), SOON).await.unwrap_err();
    drop(link);
    peer.await.unwrap();
    error
}

#[tokio::test]
async fn an_answer_is_not_trusted() {
    let too_long = hostile(|_| i32::MAX.to_be_bytes().to_vec()).await;
    assert!(matches!(too_long, PeerError::Closed(_)), "{too_long:?}");
    let of_another = hostile(|correlation| answer(correlation + 1, &standing(1, 0, 0)).to_vec()).await;
    assert!(matches!(of_another, PeerError::Closed(_)), "{of_another:?}");
    let cut = hostile(|correlation| answer(correlation, &standing(1, 0, 0)[..7]).to_vec()).await;
    assert!(matches!(cut, PeerError::Malformed { .. }), "{cut:?}");
    let without_header = hostile(|correlation| [&4i32.to_be_bytes()[..], &correlation.to_be_bytes()].concat()).await;
    assert!(matches!(without_header, PeerError::Malformed { .. }), "{without_header:?}");
}

#[test]
fn the_shapes_of_answers_are_those_of_the_crate() {
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Encodable, Request};
    fn same<R: Request>(response: &R::Response) {
        for version in <R::Response as kafka_protocol::protocol::Message>::VERSIONS.min.. {
            if version > <R::Response as kafka_protocol::protocol::Message>::VERSIONS.max {
                break;
            }
            let mut out = BytesMut::new();
            // What a version cannot say is not compared in it.
            if response.encode(&mut out, version).is_err() {
                continue;
            }
            let all = out.freeze();
            crate::wire::guard::check_response(R::KEY, version, &all).unwrap();
            for length in 0..all.len() {
                assert!(crate::wire::guard::check_response(R::KEY, version, &all[..length]).is_err(), "{length}");
            }
        }
    }
    let partition = add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default();
    let topic = add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default()
        .with_results_by_partition(vec![partition; 2]);
    let result =
        add_partitions_to_txn_response::AddPartitionsToTxnResult::default().with_topic_results(vec![topic.clone(); 2]);
    let membership = AddPartitionsToTxnResponse::default();
    same::<AddPartitionsToTxnRequest>(&membership.clone().with_results_by_transaction(vec![result; 2]));
    same::<AddPartitionsToTxnRequest>(&membership.with_results_by_topic_v3_and_below(vec![topic; 2]));
    let partition = alter_partition_response::PartitionData::default().with_isr(vec![BrokerId(1), BrokerId(2)]);
    let topic = alter_partition_response::TopicData::default().with_partitions(vec![partition; 2]);
    same::<AlterPartitionRequest>(&AlterPartitionResponse::default().with_topics(vec![topic; 2]));
    let topic = offset_for_leader_epoch_response::OffsetForLeaderTopicResult::default()
        .with_partitions(vec![Default::default(); 2]);
    same::<OffsetForLeaderEpochRequest>(&OffsetForLeaderEpochResponse::default().with_topics(vec![topic; 2]));
    let topic = write_txn_markers_response::WritableTxnMarkerTopicResult::default()
        .with_partitions(vec![Default::default(); 2]);
    let marker = write_txn_markers_response::WritableTxnMarkerResult::default().with_topics(vec![topic; 2]);
    same::<WriteTxnMarkersRequest>(&WriteTxnMarkersResponse::default().with_markers(vec![marker; 2]));
    let topic = assign_replicas_to_dirs_response::TopicData::default().with_partitions(vec![Default::default(); 2]);
    let directory = assign_replicas_to_dirs_response::DirectoryData::default().with_topics(vec![topic; 2]);
    same::<AssignReplicasToDirsRequest>(&AssignReplicasToDirsResponse::default().with_directories(vec![directory; 2]));
    same::<SaslHandshakeRequest>(&SaslHandshakeResponse::default().with_mechanisms(vec!["PLAIN".into(), "X".into()]));
    let done = SaslAuthenticateResponse::default().with_auth_bytes(Bytes::from_static(b"bytes"));
    same::<SaslAuthenticateRequest>(&done.with_error_message(Some("why".into())));
    same::<BrokerRegistrationRequest>(&BrokerRegistrationResponse::default());
    same::<BrokerHeartbeatRequest>(&BrokerHeartbeatResponse::default());
    same::<AllocateProducerIdsRequest>(&AllocateProducerIdsResponse::default());
    same::<ControllerRegistrationRequest>(&ControllerRegistrationResponse::default());
    same::<EnvelopeRequest>(&EnvelopeResponse::default().with_response_data(Some(Bytes::from_static(b"data"))));
}
