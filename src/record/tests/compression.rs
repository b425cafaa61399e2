//! The codecs: round trips, what other clients write, and bounds.

use super::super::compression::{compress, decompress};
use super::super::testing::*;
use super::super::*;

const LIMIT: usize = 1 << 20;

fn texts() -> Vec<Vec<u8>> {
    let mut chance = Chance::new(1);
    let mixed = (0..200_000u32).map(|i| if i % 3 == 0 { b'a' } else { (i / 100) as u8 }).collect();
    vec![vec![], b"x".to_vec(), vec![7; 300_000], chance.bytes(100_000), mixed]
}

#[test]
fn what_is_compressed_is_decompressed_at_every_level() {
    let levels: [(Compression, &[i32]); 4] = [
        (Compression::Gzip, &[-1, 1, 9]),
        (Compression::Snappy, &[0]),
        (Compression::Lz4, &[1, 2, 8, 9, 10, 12, 17]),
        (Compression::Zstd, &[-131_072, -1, 1, 3, 19, 22]),
    ];
    for text in texts() {
        for (codec, levels) in levels {
            for level in levels {
                let packed = compress(codec, *level, &text).unwrap();
                assert_eq!(decompress(codec, &packed, LIMIT).unwrap(), text, "{codec:?} {level}");
            }
        }
    }
}

#[test]
fn output_is_bounded_by_the_limit_exactly() {
    for codec in CODECS {
        let packed = compress(codec, codec.default_level(), &vec![0; 200_000]).unwrap();
        assert_eq!(decompress(codec, &packed, 200_000).unwrap().len(), 200_000, "{codec:?}");
        for limit in [0, 1, 100_000, 199_999] {
            assert_eq!(decompress(codec, &packed, limit), Err(BadBatch::TooLarge(limit)), "{codec:?}");
        }
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let limit = 1 << 16;
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let bomb = compress(codec, codec.default_level(), &vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert_eq!(decompress(codec, &bomb, limit), Err(BadBatch::TooLarge(limit)), "{codec:?}");
    }
}

#[test]
fn bytes_that_end_early_are_refused() {
    for codec in CODECS {
        let packed = compress(codec, codec.default_level(), &Chance::new(3).bytes(50_000)).unwrap();
        for cut in [1, 5, 100, packed.len() / 2] {
            let result = decompress(codec, &packed[..packed.len() - cut], LIMIT);
            assert_eq!(result, Err(BadBatch::Compressed), "{codec:?} without its last {cut} bytes");
        }
    }
}

#[test]
fn a_raw_snappy_block_is_read_as_librdkafka_writes_it() {
    let text = b"raw raw raw raw raw".repeat(100);
    let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, LIMIT).unwrap(), text);
}

#[test]
fn xerial_streams_may_follow_each_other() {
    let one = compress(Compression::Snappy, 0, b"one ").unwrap();
    let two = compress(Compression::Snappy, 0, b"two").unwrap();
    let both = [one, two].concat();
    assert_eq!(decompress(Compression::Snappy, &both, LIMIT).unwrap(), b"one two");
}

#[test]
fn gzip_members_may_follow_each_other() {
    let one = compress(Compression::Gzip, 1, b"one ").unwrap();
    let two = compress(Compression::Gzip, 9, b"two").unwrap();
    assert_eq!(decompress(Compression::Gzip, &[one, two].concat(), LIMIT).unwrap(), b"one two");
}

#[test]
fn a_snappy_claim_that_the_block_cannot_hold_is_refused_without_allocating_it() {
    // 4 GB - 1 in a varint, then one literal byte.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, b'x'];
    // Not "too large": the claim is a lie before it is compared with the limit.
    assert_eq!(decompress(Compression::Snappy, &claim, LIMIT), Err(BadBatch::Compressed));
    assert_eq!(decompress(Compression::Snappy, &claim, usize::MAX), Err(BadBatch::Compressed));
    let mut framed = compress(Compression::Snappy, 0, b"").unwrap();
    framed.extend_from_slice(&7u32.to_be_bytes());
    framed.extend_from_slice(&claim);
    assert_eq!(decompress(Compression::Snappy, &framed, usize::MAX), Err(BadBatch::Compressed));
    // A chunk that claims to be longer than what is there.
    let mut long = compress(Compression::Snappy, 0, b"").unwrap();
    long.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 1]);
    assert_eq!(decompress(Compression::Snappy, &long, LIMIT), Err(BadBatch::Compressed));
}

#[test]
fn xerial_for_later_versions_only_is_refused() {
    let mut packed = compress(Compression::Snappy, 0, b"x").unwrap();
    packed[15] = 0;
    assert_eq!(decompress(Compression::Snappy, &packed, LIMIT), Err(BadBatch::Compressed));
}

#[test]
fn a_zstd_window_or_content_size_is_not_believed() {
    // Single segment, content size 2^40 in eight bytes, then an empty last block.
    let claim = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
    assert!(decompress(Compression::Zstd, &claim, LIMIT).is_err());
    // A window of 2^41 bytes that nothing needs: no window is allocated, so it is fine.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 31 << 3, 0x09, 0, 0, b'x'];
    assert!(matches!(decompress(Compression::Zstd, &wide, LIMIT), Ok(_) | Err(BadBatch::Compressed)));
}

#[test]
fn an_lz4_header_checksum_that_is_wrong_is_refused() {
    let mut packed = compress(Compression::Lz4, 9, b"text").unwrap();
    packed[6] ^= 1;
    assert_eq!(decompress(Compression::Lz4, &packed, LIMIT), Err(BadBatch::Compressed));
}

#[test]
fn the_topics_levels_are_used() {
    let config = crate::config::topic::TopicConfig { gzip_level: 4, lz4_level: 5, zstd_level: 6, ..Default::default() };
    assert_eq!(CODECS.map(|codec| codec.level(&config)), [4, 0, 5, 6]);
    let text = texts().swap_remove(4);
    let small = compress(Compression::Gzip, 9, &text).unwrap();
    let quick = compress(Compression::Gzip, 1, &text).unwrap();
    assert!(small.len() < quick.len());
}
