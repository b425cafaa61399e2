//! Java key stores (`keytool -storetype JKS`): the format of `sun.security.provider.JavaKeyStore`.
//!
//! A file of big-endian numbers and length-prefixed bytes, closed by a keyed SHA-1. Keys are hidden by XOR with a chain of
//! SHA-1 hashes of the password. Lengths come from a file, so nothing is allocated by what they claim.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// What begins every such file.
pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const HASH: usize = 20;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Key {
        /// Still hidden: see [`key`].
        hidden: &'a [u8],
        chain: Vec<&'a [u8]>,
    },
    Trusted(&'a [u8]),
}

fn sha1(parts: &[&[u8]]) -> [u8; HASH] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; HASH];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// A password as Java hashes it: its UTF-16 units.
fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes(self.take(2)?.try_into().ok()?)))
    }

    fn u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.take(4)?.try_into().ok()?)).ok()
    }

    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length)
    }

    fn certificate(&mut self, version: usize) -> Option<&'a [u8]> {
        if version == 2 {
            let kind = self.u16()?;
            if self.take(kind)? != b"X.509" {
                return None;
            }
        }
        self.prefixed()
    }
}

/// The entries of a store. With a password its hash is checked; without one it is not, as in Java.
pub(super) fn read<'a>(bytes: &'a [u8], password: Option<&str>) -> Result<Vec<Entry<'a>>, &'static str> {
    const FORM: &str = "it is damaged";
    let (body, hash) = bytes.split_at_checked(bytes.len().wrapping_sub(HASH)).ok_or(FORM)?;
    if let Some(password) = password
        && sha1(&[&utf16(password), b"Mighty Aphrodite", body]) != *hash
    {
        return Err("its password is wrong, or it is damaged");
    }
    entries(body).ok_or(FORM)
}

fn entries(body: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut reader = Reader(body);
    if reader.take(4)? != MAGIC {
        return None;
    }
    let version = reader.u32().filter(|version| (1..=2).contains(version))?;
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let kind = reader.u32()?;
        let alias = reader.u16()?;
        reader.take(alias)?;
        // When it was made.
        reader.take(8)?;
        entries.push(match kind {
            1 => {
                let hidden = reader.prefixed()?;
                let length = reader.u32()?;
                let mut chain = Vec::new();
                for _ in 0..length {
                    chain.push(reader.certificate(version)?);
                }
                Entry::Key { hidden, chain }
            }
            2 => Entry::Trusted(reader.certificate(version)?),
            _ => return None,
        });
    }
    Some(entries)
}

/// A length of DER and what follows it.
fn der_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(*first), rest)),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            Some((length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest))
        }
        _ => None,
    }
}

/// The content of the DER value that begins `bytes`, if it has this tag, and what follows it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = der_length(bytes.strip_prefix(&[tag])?)?;
    rest.split_at_checked(length)
}

/// A hidden key as PKCS #8. `None`: the password is another one.
pub(super) fn key(hidden: &[u8], password: &str) -> Option<Vec<u8>> {
    // EncryptedPrivateKeyInfo: the algorithm, which is always this one, and the bytes.
    let (content, _) = der(0x30, hidden)?;
    let (_, rest) = der(0x30, content)?;
    let (protected, _) = der(0x04, rest)?;
    let (salt, rest) = protected.split_at_checked(HASH)?;
    let (masked, check) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    let password = utf16(password);
    let mut key = Vec::with_capacity(masked.len());
    let mut mask: [u8; HASH] = salt.try_into().ok()?;
    for part in masked.chunks(HASH) {
        mask = sha1(&[&password, &mask]);
        key.extend(part.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    }
    (sha1(&[&password, &key]) == *check).then_some(key)
}
