//! What the APIs of access control entries have in common: entries and filters between the wire's words and ours.

use super::ApiError;
use crate::model::{AclFilter, Asked, AskedPattern, ErrorCode};
use crate::wire::DecodeError;
use kafka_protocol::protocol::StrBytes;

/// The numbers of a request: kind of resource, pattern, operation, permission.
pub(super) type Codes = [i8; 4];

/// Kafka refuses a request as malformed, and so closes the connection, where one of these is 0 (UNKNOWN). Other numbers
/// that stand for nothing it answers.
pub(super) fn refuse_zeros(key: i16, version: i16, codes: impl IntoIterator<Item = Codes>) -> Result<(), DecodeError> {
    if codes.into_iter().flatten().any(|code| code == 0) {
        let message = "it contains UNKNOWN elements".into();
        return Err(DecodeError::Malformed { key, version, message });
    }
    Ok(())
}

/// A filter; texts that are `None` are any.
pub(super) fn filter(
    [resource, pattern, operation, permission]: Codes,
    [name, principal, host]: [Option<&StrBytes>; 3],
) -> AclFilter {
    let owned = |text: Option<&StrBytes>| text.map(|text| text.as_str().to_owned());
    AclFilter {
        resource: Asked::from_code(resource),
        name: owned(name),
        pattern: AskedPattern::from_code(pattern),
        principal: owned(principal),
        host: owned(host),
        operation: Asked::from_code(operation),
        permission: Asked::from_code(permission),
    }
}

/// What changes of entries are answered without an authorizer.
pub(super) fn disabled() -> ApiError {
    ApiError::new(ErrorCode::SECURITY_DISABLED, "No Authorizer is configured.")
}
