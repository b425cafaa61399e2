//! Chance: ids drawn from the operating system.

use uuid::Uuid;

/// A random (version 4) UUID, as topic, cluster and directory ids are.
///
/// Draws again while the base64 form begins with a dash: Kafka's tools would take such an id for
/// an option (`Uuid.randomUuid`).
#[must_use]
pub fn uuid() -> Uuid {
    loop {
        let mut bytes = [0u8; 16];
        fill(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        if id.as_bytes()[0] >> 2 != 62 {
            return id;
        }
    }
}

/// A random number below `bound`, which must not be 0.
#[must_use]
pub fn below(bound: u32) -> u32 {
    let mut bytes = [0u8; 8];
    fill(&mut bytes);
    (u64::from_le_bytes(bytes) % u64::from(bound)) as u32
}

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) {
    // Without entropy no id is unique, and every promise built on ids is void.
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the operating system gave no random numbers: {error}");
    }
}
