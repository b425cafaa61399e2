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
    #[cfg(test)]
    if simulated::fill(bytes) {
        return;
    }
    // Without entropy no id is unique, and every promise built on ids is void.
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the operating system gave no random numbers: {error}");
    }
}

/// Chance that a seed repeats, for the thread of a test.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// `None`: the operating system's again.
    pub(crate) fn seed(seed: Option<u64>) {
        STATE.set(seed);
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for byte in bytes {
            // SplitMix64, of which a byte is taken.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z >> 56) as u8;
        }
        STATE.set(Some(state));
        true
    }
}
