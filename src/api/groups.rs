//! What the APIs of groups have in common: names between the wire's words and ours, and who asks.

use super::{Call, text};
use crate::access::Permissions;
use crate::group::request::{Client, Refusal};
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, InstanceId, MemberId, Operation, TopicId};
use kafka_protocol::messages;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A group's id, out of the frame that it came in.
pub(super) fn id(id: &messages::GroupId) -> GroupId {
    GroupId::new(id.as_str())
}

pub(super) fn wire_id(id: &GroupId) -> messages::GroupId {
    messages::GroupId(text::text(id.as_str()))
}

pub(super) fn member(id: &StrBytes) -> MemberId {
    MemberId::new(id.as_str())
}

pub(super) fn wire_member(id: &MemberId) -> StrBytes {
    text::text(id.as_str())
}

pub(super) fn instance(id: Option<&StrBytes>) -> Option<InstanceId> {
    id.map(|id| InstanceId::new(id.as_str()))
}

pub(super) fn wire_instance(id: Option<&InstanceId>) -> Option<StrBytes> {
    id.map(|id| text::text(id.as_str()))
}

pub(super) fn owned(text: Option<&StrBytes>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

pub(super) fn wire(text: Option<String>) -> Option<StrBytes> {
    text.map(StrBytes::from_string)
}

/// Who asks, as descriptions of groups show it.
pub(super) fn client(call: &Call) -> Client {
    Client { id: call.client_id.clone().unwrap_or_default(), host: host(call.peer.address.ip()) }
}

/// An address as Java prints one that it has not looked up (`InetAddress.toString`).
fn host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let parts = address.segments().map(|part| format!("{part:x}"));
            format!("/{}", parts.join(":"))
        }
    }
}

/// The two fields of an outcome: no error and no message, or what went wrong, in Kafka's words for the code unless there are
/// others.
pub(super) fn refusal_fields(outcome: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (ErrorCode::NONE.0, None),
        Err(Refusal { code, message }) => {
            (code.0, text::message(Some(message.unwrap_or_else(|| text::standard(code).to_owned()))))
        }
    }
}

/// Whether the protocol of KIP-848 is on: in the broker's settings, and by `group.version`
/// (`KafkaApis.isConsumerGroupProtocolEnabled`).
pub(super) fn consumer_protocol(image: &Image, setting: bool) -> bool {
    setting && image.features.get("group.version").is_some_and(|level| *level >= 1)
}

/// Whether share groups are on (`KafkaApis.isShareGroupProtocolEnabled`).
pub(super) fn share_protocol(image: &Image) -> bool {
    image.features.get("share.version").is_some_and(|level| *level >= 1)
}

/// Whether a member of a share group may have this id: it is a UUID as people write it, or no longer (`isMemberIdValid`).
pub(super) fn is_share_member_id(id: &str) -> bool {
    (1..=36).contains(&id.encode_utf16().count())
}

/// What a description says that a topic hides.
pub(super) const HIDDEN: &str = "The group has described topic(s) that the client is not authorized to describe.";

/// Whether the client may not describe a topic. One that is gone hides nothing.
pub(super) fn hidden_topics<'a>(image: &'a Image, may: &'a Permissions<'a>) -> impl FnMut(&TopicId) -> bool + 'a {
    let mut seen: BTreeMap<TopicId, bool> = BTreeMap::new();
    move |id| {
        let may_describe =
            || image.topic_by_id(*id).is_none_or(|topic| may.topic(Operation::Describe, topic.name.as_str()));
        !may.are_unlimited() && !*seen.entry(*id).or_insert_with(may_describe)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing;
    use super::*;

    #[test]
    fn a_host_is_shown_as_java_shows_it() {
        let shown = |text: &str| host(text.parse().unwrap());
        assert_eq!(shown("127.0.0.1"), "/127.0.0.1");
        assert_eq!(shown("::1"), "/0:0:0:0:0:0:0:1");
        assert_eq!(shown("fe80::a:0b0c"), "/fe80:0:0:0:0:0:a:b0c");
        assert_eq!(shown("::ffff:10.0.0.7"), "/10.0.0.7");
        let client = client(&testing::call(0));
        assert_eq!((client.id.as_str(), client.host.as_str()), ("test", "/127.0.0.1"));
    }

    #[test]
    fn the_consumer_protocol_needs_the_setting_and_the_feature() {
        let mut image = testing::image();
        assert!(consumer_protocol(&image, true));
        assert!(!consumer_protocol(&image, false));
        image.features.insert("group.version".into(), 0);
        assert!(!consumer_protocol(&image, true));
        image.features.remove("group.version");
        assert!(!consumer_protocol(&image, true));
    }

    #[test]
    fn share_groups_need_the_feature() {
        let mut image = testing::image();
        image.features.insert("share.version".into(), 0);
        assert!(!share_protocol(&image));
        image.features.insert("share.version".into(), 1);
        assert!(share_protocol(&image));
    }

    #[test]
    fn a_share_member_has_an_id_no_longer_than_a_uuid() {
        assert!(!is_share_member_id("") && is_share_member_id(&"ä".repeat(36)) && !is_share_member_id(&"a".repeat(37)));
    }
}
