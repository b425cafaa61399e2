//! What a certificate calls its owner: the distinguished name as Java writes it (`X500Principal.getName`, RFC 2253), and
//! the alternative names.

use rustls::pki_types::CertificateDer;
use std::fmt::Write as _;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{BmpString, TeletexStringRef};
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::name::RdnSequence;

/// The names that RFC 2253 has; others are written as their numbers.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The subject of a certificate. `None` if it cannot be read, which rustls would not have accepted.
#[must_use]
pub fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(written(certificate.tbs_certificate().subject().as_ref()))
}

/// The alternative names of a certificate, in some order that two equal sets have in common.
#[must_use]
pub fn alternatives(certificate: &CertificateDer<'_>) -> Vec<Vec<u8>> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let mut names: Vec<Vec<u8>> = names.iter().filter_map(|name| name.to_der().ok()).collect();
    names.sort();
    names
}

/// The last part first.
fn written(name: &RdnSequence) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter().collect();
    for (at, part) in parts.into_iter().rev().enumerate() {
        if at > 0 {
            text.push(',');
        }
        for (at, attribute) in part.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            write_attribute(attribute, &mut text);
        }
    }
    text
}

fn write_attribute(attribute: &AttributeTypeAndValue, to: &mut String) {
    let oid = attribute.oid.to_string();
    let keyword = KEYWORDS.iter().find(|(number, _)| *number == oid).map(|(_, keyword)| *keyword);
    match (keyword, string(attribute)) {
        (Some(keyword), Some(value)) => {
            to.push_str(keyword);
            to.push('=');
            escape(&value, to);
        }
        _ => {
            to.push_str(keyword.unwrap_or(&oid));
            to.push_str("=#");
            for byte in attribute.value.to_der().unwrap_or_default() {
                let _ = write!(to, "{byte:02x}");
            }
        }
    }
}

/// The value, if it is one of the kinds of string.
fn string(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(value.value()).ok().map(str::to_owned)
        }
        Tag::TeletexString => {
            let bytes = value.decode_as::<TeletexStringRef<'_>>().ok()?.as_bytes().to_vec();
            Some(bytes.into_iter().map(char::from).collect())
        }
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

fn escape(value: &str, to: &mut String) {
    let blank = |c: char| matches!(c, ' ' | '\n' | '\r');
    let begins = value.len() - value.trim_start_matches(blank).len();
    let ends = value.trim_end_matches(blank).len();
    for (at, c) in value.char_indices() {
        match c {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                to.push('\\');
                to.push(c);
            }
            '\0' => to.push_str("\\00"),
            c if at < begins || at >= ends => {
                to.push('\\');
                to.push(c);
            }
            c => to.push(c),
        }
    }
}
