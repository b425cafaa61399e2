//! What the four APIs of delegation tokens share.

use super::Peer;
use crate::config::SecurityProtocol;
use crate::model::Principal;
use kafka_protocol::protocol::StrBytes;

/// Whether a connection may deal with tokens at all (`KafkaApis.allowTokenRequests`): not one that was authenticated by a
/// token itself, nor one whose client is not known. Whoever sent a request on has looked at the connection it came on.
pub(super) fn may_ask(peer: &Peer) -> bool {
    let unknown = match peer.protocol {
        SecurityProtocol::Plaintext => true,
        SecurityProtocol::Ssl => peer.principal == Principal::anonymous(),
        SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl => false,
    };
    !peer.by_token && (peer.forwarded || !unknown)
}

/// When the answer has no time to tell.
pub(super) const NO_TIME: i64 = -1;

pub(super) fn principal(kind: &StrBytes, name: &StrBytes) -> Principal {
    Principal::new(kind, name)
}

/// The two fields of a principal, in the way of `text`.
pub(super) fn fields(principal: &Principal) -> (StrBytes, StrBytes) {
    (super::text::text(principal.kind()), super::text::text(principal.name()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::peer;
    use super::*;

    #[test]
    fn who_may_ask_is_seen_where_the_client_connects_and_nobody_asks_by_a_token() {
        assert!(!may_ask(&peer()), "nobody is known over PLAINTEXT");
        assert!(may_ask(&Peer { protocol: SecurityProtocol::SaslPlaintext, ..peer() }));
        // On the controller the connection is the other broker's.
        assert!(may_ask(&Peer { forwarded: true, ..peer() }));
        assert!(!may_ask(&Peer { forwarded: true, by_token: true, ..peer() }));
    }
}
