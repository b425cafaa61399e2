//! `.txnindex`: the aborted transactions whose markers lie in a segment, in the markers' order.
//!
//! Entries of 34 bytes: version (0), producer id, first offset, last offset (the marker's), and the
//! last stable offset once it was decided. The file exists only where there is an entry.

use super::super::log::AbortedTransaction;
use crate::model::{Offset, ProducerId};
use crate::rt::fs::File;
use std::io;

pub(in super::super) const LEN: usize = 34;
const VERSION: i16 = 0;

pub(in super::super) fn encode(aborted: &AbortedTransaction) -> [u8; LEN] {
    let mut out = [0; LEN];
    out[..2].copy_from_slice(&VERSION.to_be_bytes());
    out[2..10].copy_from_slice(&aborted.producer_id.0.to_be_bytes());
    out[10..18].copy_from_slice(&aborted.first.0.to_be_bytes());
    out[18..26].copy_from_slice(&aborted.last.0.to_be_bytes());
    out[26..].copy_from_slice(&aborted.last_stable.0.to_be_bytes());
    out
}

/// `None`: of a version that Kafka does not know yet.
fn decode(bytes: &[u8; LEN]) -> Option<AbortedTransaction> {
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        i64::from_be_bytes(word)
    };
    (i16::from_be_bytes([bytes[0], bytes[1]]) <= VERSION).then(|| AbortedTransaction {
        producer_id: ProducerId(number(2)),
        first: Offset(number(10)),
        last: Offset(number(18)),
        last_stable: Offset(number(26)),
    })
}

/// The entries in the first `len` bytes of a file, up to one that cannot be read.
pub(in super::super) fn read(file: &dyn File, len: u64) -> io::Result<Vec<AbortedTransaction>> {
    const AT_ONCE: usize = 120;
    let mut all = Vec::new();
    let mut page = [0; LEN * AT_ONCE];
    let mut pos = 0;
    while pos < len {
        let want = usize::try_from(len - pos).unwrap_or(usize::MAX).min(page.len());
        let got = file.read_at(&mut page[..want], pos)?;
        for entry in page[..got].chunks_exact(LEN) {
            let Some(aborted) = entry.first_chunk().and_then(decode) else { return Ok(all) };
            all.push(aborted);
        }
        if got < LEN {
            break;
        }
        pos += (got / LEN * LEN) as u64;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rt::fs::{Open, disk};
    use std::io::IoSlice;

    #[test]
    fn entries_read_back_and_a_torn_one_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = disk::disk().open(&dir.path().join("x"), Open::Create).unwrap();
        let entry = |n: i64| AbortedTransaction {
            producer_id: ProducerId(n),
            first: Offset(n * 10),
            last: Offset(n * 10 + 5),
            last_stable: Offset(n * 10 + 6),
        };
        for n in 0..300 {
            file.write_all_at(&mut [IoSlice::new(&encode(&entry(n)))], n as u64 * LEN as u64).unwrap();
        }
        let all = read(&*file, file.len().unwrap()).unwrap();
        assert_eq!(all, (0..300).map(entry).collect::<Vec<_>>());
        assert_eq!(read(&*file, 34 * 2 + 33).unwrap().len(), 2);
        file.set_len(34 * 3 + 1).unwrap();
        assert_eq!(read(&*file, 34 * 300).unwrap().len(), 3);
    }
}
