//! A client: requests go through the handlers as frames do, each way takes its time, and the client may lose patience.

use super::history::History;
use crate::api::{self, Chunk, Context, Peer, Placement};
use crate::record::testing::Chance;
use crate::rt::fs::sim::SimFs;
use crate::wire::RequestHeader;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use std::cell::RefCell;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

/// What everybody shares in a life of the broker.
pub(super) struct Line<'a> {
    pub(super) broker: &'a super::world::Broker,
    pub(super) fs: &'a SimFs,
    pub(super) history: &'a RefCell<History>,
    pub(super) chance: &'a RefCell<Chance>,
    pub(super) members: &'a RefCell<Vec<super::groups::Members>>,
    pub(super) peer: Arc<Peer>,
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

impl Line<'_> {
    pub(super) fn ctx(&self) -> &Arc<Context> {
        &self.broker.ctx
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        self.chance.borrow_mut().below(bound)
    }

    pub(super) fn percent(&self, share: usize) -> bool {
        self.below(100) < share
    }

    /// Waits for up to `most` ms.
    pub(super) async fn pause(&self, most: usize) {
        let ms = self.below(most + 1) as u64;
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }

    /// Asks. `None`: whether and how it was answered is not known.
    pub(super) async fn call<R: Request>(&self, version: i16, request: &R) -> Option<R::Response> {
        self.pause(3).await;
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        let header = RequestHeader { key: R::KEY, version, correlation_id: 1, client_id: None };
        let handled = self.handle(&header, body.freeze());
        let frame = if self.percent(3) {
            // The connection is gone, with whatever is still to be answered on it.
            let patience = Duration::from_millis(self.below(4) as u64);
            tokio::time::timeout(patience, handled).await.ok()?
        } else {
            handled.await
        };
        self.pause(3).await;
        if self.fs.is_off() {
            // A broker that is gone says nothing.
            pending::<()>().await;
        }
        let mut frame = frame?.split_off(4);
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        Some(R::Response::decode(&mut frame, version).unwrap())
    }

    /// `None`: the connection is closed.
    async fn handle(&self, header: &RequestHeader, body: Bytes) -> Option<Bytes> {
        let ctx = self.ctx();
        let answer = if header.key == api::produce::KEY {
            let mut placer = api::produce::Placer::default();
            match placer.add(ctx, &self.peer, header, &body).unwrap() {
                Some(later) => later.await,
                None => placer.place(ctx).next()?.committed().await.answer(ctx, &self.peer),
            }
        } else {
            match api::place(ctx, &self.peer, header, body).unwrap() {
                Placement::Done(answer) => answer,
                Placement::Waiting(later) | Placement::Exclusive(later) => later.await,
            }
        };
        let mut frame = BytesMut::new();
        for chunk in answer {
            match chunk {
                Chunk::Bytes(bytes) => frame.extend_from_slice(&bytes),
                Chunk::File(range) => {
                    let from = frame.len();
                    frame.resize(from + range.len, 0);
                    range.file.read_exact_at(&mut frame[from..], range.pos).ok()?;
                }
            }
        }
        (!frame.is_empty()).then(|| frame.freeze())
    }
}
