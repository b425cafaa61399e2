//! The bytes that the members of `consumer` groups send each other through the classic protocol (`ConsumerProtocol`):
//! subscription and assignment. The coordinator only passes them on, but looks into them to know what a group is subscribed
//! to, and builds and reads them when a group changes its protocol.
