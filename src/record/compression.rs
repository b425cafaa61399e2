//! The four codecs, as Kafka's Java clients write and read them.
//!
//! Decompression is bounded by the caller's limit: output grows as it is produced, and no size that
//! the bytes claim is allocated unless the compressed bytes could really hold that much.
//! gzip: any number of members. snappy: xerial framing (what `SnappyOutputStream` writes; streams
//! may follow each other) or one raw block (what librdkafka writes). lz4: one frame, checksum of the
//! header by the standard (Kafka's magic 2); we write independent 64 KB blocks without checksums, as
//! Java does. zstd: any number of frames. Left out: dictionaries, lz4's pre-magic-2 header checksum.

use super::BadBatch;
use crate::config::topic::TopicConfig;
use std::io::{Read, Write as _};
use zstd::zstd_safe;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// The id in a batch's attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// By the id in a batch's attributes, as settings of internal topics have it. `None`: no compression.
    #[must_use]
    pub fn of(id: i8) -> Option<Compression> {
        let all = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
        all.into_iter().find(|compression| i8::try_from(compression.id()) == Ok(id))
    }

    /// Kafka's default level (0 for snappy, which has none).
    #[must_use]
    pub fn default_level(self) -> i32 {
        match self {
            Compression::Gzip => -1,
            Compression::Snappy => 0,
            Compression::Lz4 => 9,
            Compression::Zstd => 3,
        }
    }

    /// The level that a topic's configuration asks for.
    #[must_use]
    pub fn level(self, config: &TopicConfig) -> i32 {
        match self {
            Compression::Gzip => config.gzip_level,
            Compression::Snappy => 0,
            Compression::Lz4 => config.lz4_level,
            Compression::Zstd => config.zstd_level,
        }
    }
}

/// Decompresses `payload` into at most `limit` bytes.
///
/// # Errors
/// [`BadBatch::Compressed`] for bytes the codec refuses, [`BadBatch::TooLarge`] beyond the limit.
pub fn decompress(codec: Compression, payload: &[u8], limit: usize) -> Result<Vec<u8>, BadBatch> {
    match codec {
        Compression::Gzip => read_all(&mut flate2::read::MultiGzDecoder::new(payload), limit),
        Compression::Snappy => snappy(payload, limit),
        Compression::Lz4 => {
            let mut frame = lz4::Decoder::new(payload).map_err(|_| BadBatch::Compressed)?;
            let plain = read_all(&mut frame, limit)?;
            // The decoder takes the end of its input for the end of the frame; this tells them apart.
            frame.finish().1.map_err(|_| BadBatch::Compressed)?;
            Ok(plain)
        }
        Compression::Zstd => zstd(payload, limit),
    }
}

/// Compresses `plain`. Levels are Kafka's; see [`Compression::level`].
///
/// # Errors
/// The codec failed: it refuses the level, or is out of memory.
pub fn compress(codec: Compression, level: i32, plain: &[u8]) -> Result<Vec<u8>, BadBatch> {
    let failed = |_| BadBatch::Compressed;
    match codec {
        Compression::Gzip => {
            let level = u32::try_from(level).map_or(flate2::Compression::default(), flate2::Compression::new);
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(plain).map_err(failed)?;
            gzip.finish().map_err(failed)
        }
        Compression::Snappy => xerial(plain),
        Compression::Lz4 => {
            let mut frame = lz4::EncoderBuilder::new()
                .block_size(lz4::BlockSize::Max64KB)
                .block_mode(lz4::BlockMode::Independent)
                .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
                .checksum(lz4::ContentChecksum::NoChecksum)
                .level(lz4_level(level))
                .build(Vec::new())
                .map_err(failed)?;
            frame.write_all(plain).map_err(failed)?;
            let (frame, end) = frame.finish();
            end.map_err(failed)?;
            Ok(frame)
        }
        Compression::Zstd => zstd::bulk::compress(plain, level).map_err(failed),
    }
}

/// Kafka's lz4 levels to the library's. Kafka's default, 9, means the fast compressor; every other
/// level is high compression, of which Java knows 17 and the library 12, from 2.
fn lz4_level(level: i32) -> u32 {
    if level == Compression::Lz4.default_level() { 0 } else { level.clamp(2, 12).unsigned_abs() }
}

/// What honest batches stay below. A buffer that must be larger is made for all that is allowed at once: of that, memory
/// is used as it is filled, and the system has it back whole, while the allocator would keep what doubling leaves.
const USUAL: usize = 4 * 1024 * 1024;

fn read_all(mut from: &mut dyn Read, limit: usize) -> Result<Vec<u8>, BadBatch> {
    let mut plain = Vec::new();
    let cut = limit.saturating_add(1);
    let mut read = |plain: &mut Vec<u8>, most: usize| {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        (&mut from).take(most).read_to_end(plain).map_err(|_| BadBatch::Compressed)
    };
    read(&mut plain, cut.min(USUAL))?;
    if plain.len() == USUAL && cut > USUAL {
        plain.reserve_exact(cut - USUAL);
        read(&mut plain, cut - USUAL)?;
    }
    if plain.len() > limit { Err(BadBatch::TooLarge(limit)) } else { Ok(plain) }
}

/// What a xerial stream begins with, and may begin with again: name, version 1, compatible with 1.
const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Bytes of input in a chunk, as snappy-java does by default.
const XERIAL_CHUNK: usize = 32 * 1024;
/// The best that a snappy byte can do: a copy of 64 bytes takes three.
const SNAPPY_RATIO_MAX: usize = 22;

fn snappy(payload: &[u8], limit: usize) -> Result<Vec<u8>, BadBatch> {
    let mut plain = Vec::new();
    if !payload.starts_with(&XERIAL_MAGIC) {
        snappy_block(payload, &mut plain, limit)?;
        return Ok(plain);
    }
    let mut rest = payload;
    while !rest.is_empty() {
        if rest.starts_with(&XERIAL_MAGIC) {
            let (header, chunks) = rest.split_at_checked(XERIAL_HEADER.len()).ok_or(BadBatch::Compressed)?;
            // The last field: the oldest version that can read this. snappy-java knows 1.
            if header[12..] < XERIAL_HEADER[12..] {
                return Err(BadBatch::Compressed);
            }
            rest = chunks;
            continue;
        }
        let (len, chunks) = rest.split_first_chunk::<4>().ok_or(BadBatch::Compressed)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| BadBatch::Compressed)?;
        let (chunk, next) = chunks.split_at_checked(len).ok_or(BadBatch::Compressed)?;
        snappy_block(chunk, &mut plain, limit)?;
        rest = next;
    }
    Ok(plain)
}

/// Appends what one raw block decompresses to.
fn snappy_block(block: &[u8], plain: &mut Vec<u8>, limit: usize) -> Result<(), BadBatch> {
    let claimed = snap::raw::decompress_len(block).map_err(|_| BadBatch::Compressed)?;
    if claimed > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(BadBatch::Compressed);
    }
    let start = plain.len();
    if claimed > limit.saturating_sub(start) {
        return Err(BadBatch::TooLarge(limit));
    }
    plain.resize(start + claimed, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut plain[start..]).map_err(|_| BadBatch::Compressed)?;
    plain.truncate(start + written);
    Ok(())
}

fn xerial(plain: &[u8]) -> Result<Vec<u8>, BadBatch> {
    let mut out = XERIAL_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for chunk in plain.chunks(XERIAL_CHUNK) {
        let block = encoder.compress_vec(chunk).map_err(|_| BadBatch::Compressed)?;
        let len = u32::try_from(block.len()).map_err(|_| BadBatch::Compressed)?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}

/// zstd's `dstSize_tooSmall`.
const ZSTD_OUTPUT_FULL: usize = 70;

/// In one shot into a buffer that is doubled until it suffices or is larger than usual: a streaming decoder would
/// allocate the window that the frame claims, up to 128 MB.
fn zstd(payload: &[u8], limit: usize) -> Result<Vec<u8>, BadBatch> {
    let mut context = zstd_safe::DCtx::try_create().ok_or(BadBatch::Compressed)?;
    let mut size = payload.len().saturating_mul(4).max(16 * 1024).min(limit);
    loop {
        let mut plain = Vec::with_capacity(size);
        match context.decompress(&mut plain, payload) {
            // The buffer may be larger than what was asked for.
            Ok(_) if plain.len() > limit => return Err(BadBatch::TooLarge(limit)),
            Ok(_) => return Ok(plain),
            Err(code) if code == ZSTD_OUTPUT_FULL.wrapping_neg() => {
                if size >= limit {
                    return Err(BadBatch::TooLarge(limit));
                }
                size = if size >= USUAL { limit } else { size.saturating_mul(2).min(limit) };
            }
            Err(_) => return Err(BadBatch::Compressed),
        }
    }
}
