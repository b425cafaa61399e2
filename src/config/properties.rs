//! `server.properties`: Java's properties syntax, from text to pairs.
//!
//! Comments (`#`, `!`), blank lines, `=`, `:` or blanks between key and value, a backslash at the
//! end of a line to go on in the next, and the escapes `\t \n \r \f \\ \: \= \# \! \uXXXX`. Java
//! drops the backslash of any other escape, so we do. Files are read as UTF-8.

use super::ConfigError;
use std::iter::Peekable;
use std::str::Chars;

/// A key and its value, with the line it began on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Reads a whole file. The only fault is a broken `\u` escape. A key that comes twice is returned
/// twice: the later one counts.
pub(super) fn parse(text: &str) -> Result<Vec<Property>, ConfigError> {
    let mut properties = Vec::new();
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    while let Some((number, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_in_backslash(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        properties.push(property(&logical, number + 1)?);
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// An odd number of backslashes at the end: the last one is not itself escaped.
fn ends_in_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn property(line: &str, number: usize) -> Result<Property, ConfigError> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(&c) = chars.peek() {
        if is_blank(c) || matches!(c, '=' | ':') {
            break;
        }
        chars.next();
        push(&mut key, c, &mut chars, number)?;
    }
    let skip_blanks = |chars: &mut Peekable<Chars<'_>>| while chars.next_if(|c| is_blank(*c)).is_some() {};
    skip_blanks(&mut chars);
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        push(&mut value, c, &mut chars, number)?;
    }
    Ok(Property { key, value, line: number })
}

/// Adds `c`, or what the escape that it begins stands for.
fn push(to: &mut String, c: char, rest: &mut Peekable<Chars<'_>>, number: usize) -> Result<(), ConfigError> {
    if c != '\\' {
        to.push(c);
        return Ok(());
    }
    match rest.next() {
        None => {}
        Some('t') => to.push('\t'),
        Some('n') => to.push('\n'),
        Some('r') => to.push('\r'),
        Some('f') => to.push('\x0c'),
        Some('u') => {
            let mut unit = utf16_unit(rest, number)?;
            // A character beyond the first plane is two escapes.
            let mut units = vec![unit];
            while (0xD800..0xDC00).contains(&unit) && rest.clone().take(2).eq("\\u".chars()) {
                rest.next();
                rest.next();
                unit = utf16_unit(rest, number)?;
                units.push(unit);
            }
            to.push_str(&String::from_utf16_lossy(&units));
        }
        Some(other) => to.push(other),
    }
    Ok(())
}

fn utf16_unit(rest: &mut Peekable<Chars<'_>>, number: usize) -> Result<u16, ConfigError> {
    let digits: String = rest.by_ref().take(4).collect();
    let all_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(&digits, 16).ok().filter(|_| all_hex).ok_or_else(|| {
        ConfigError::new(format!("Line {number} has \\u{digits}: write four hexadecimal digits after \\u."))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|property| (property.key, property.value)).collect()
    }

    #[test]
    fn each_form_of_a_line_is_read_as_java_reads_it() {
        let cases = [
            ("a=b", "a", "b"),
            ("a = b", "a", "b"),
            ("a:b", "a", "b"),
            ("a : b", "a", "b"),
            ("a b", "a", "b"),
            ("a\tb c", "a", "b c"),
            ("  a=b", "a", "b"),
            ("a=b  ", "a", "b  "),
            ("a==b", "a", "=b"),
            ("a= :b", "a", ":b"),
            ("a", "a", ""),
            ("a=", "a", ""),
            ("=b", "", "b"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b=c", "a b", "c"),
            ("a\\:b c", "a:b", "c"),
            ("a=C:\\\\data", "a", "C:\\data"),
            ("a=C:\\data", "a", "C:data"),
            ("a=1\\t2\\n3", "a", "1\t2\n3"),
            ("a=\\u00e9", "a", "é"),
            ("a=\\uD83D\\uDE00", "a", "😀"),
            ("a=b#c", "a", "b#c"),
            ("a=b\r", "a", "b"),
            ("listeners=PLAINTEXT://:9092,CONTROLLER://:9093", "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ];
        for (text, key, value) in cases {
            assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        assert_eq!(pairs("# a=1\n  ! b=2\n\n   \nc=3"), [("c".to_owned(), "3".to_owned())]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines_and_drops_the_next_lines_indent() {
        assert_eq!(
            pairs("a=1,\\\n    2,\\\r\n  3\nb=4"),
            [("a".to_owned(), "1,2,3".to_owned()), ("b".to_owned(), "4".to_owned())]
        );
        assert_eq!(pairs("a=1\\\\\nb=2"), [("a".to_owned(), "1\\".to_owned()), ("b".to_owned(), "2".to_owned())]);
        assert_eq!(pairs("a=1\\"), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(pairs("a=1\\\n# no comment"), [("a".to_owned(), "1# no comment".to_owned())]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines: Vec<usize> = parse("# x\na=1\\\n2\nb=2").unwrap().iter().map(|property| property.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn a_broken_unicode_escape_names_its_line() {
        for text in ["a=1\nb=\\u12", "a=1\nb=\\uzzzz", "a=1\nb=\\u+123"] {
            let fault = parse(text).unwrap_err().to_string();
            assert!(fault.starts_with("Line 2 has \\u"), "{fault}");
        }
    }

    #[test]
    fn nothing_that_is_text_makes_it_panic() {
        for text in ["\\", "\\\\\\", "=", ":", "\\u", "a=\\uD83D", "a=\\uD83D\\u0041", "\r\n\r", "é=ü", "\u{feff}a=1"]
        {
            let _ = parse(text);
        }
    }
}
