//! Regular expressions as Kafka's clients write them (RE2/J), in the words of the `regex` crate.
//!
//! Most of it is the same. What is not: `\Q…\E`, octal escapes, braces that count nothing, and set operations in classes, which
//! RE2/J does not know. What RE2/J does not take is refused, so that no group comes to depend on it.

/// The classes that have names (`[[:alpha:]]`).
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
const REPEAT_MAX: u32 = 1000;

/// What RE2/J says of an expression that it does not take.
type Fault = &'static str;

/// # Errors
/// What is wrong with the expression. One that is translated may still be wrong: the `regex` crate is asked next.
pub(super) fn translated(pattern: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut repeated = false;
    while let Some(first) = rest.chars().next() {
        let was_repeated = std::mem::take(&mut repeated);
        let after = rest.strip_prefix(first).unwrap_or_default();
        rest = match first {
            '\\' => match after.strip_prefix('Q') {
                Some(quoted) => {
                    let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                    out.push_str(&regex::escape(literal));
                    after
                }
                None => escape(after, &mut out)?,
            },
            '[' => class(after, &mut out)?,
            '(' => {
                out.push('(');
                group(after, &mut out)?
            }
            '{' | '*' | '+' | '?' => match repetition(rest)? {
                None => {
                    out.push_str(r"\{");
                    after
                }
                Some(_) if was_repeated => return Err("invalid nested repetition operator"),
                Some((operator, after)) => {
                    out.push_str(operator);
                    repeated = true;
                    after
                }
            },
            other => {
                out.push(other);
                after
            }
        };
    }
    Ok(out)
}

/// Splits a repetition, lazy or not, off what begins with one; none if its brace counts nothing.
fn repetition(text: &str) -> Result<Option<(&str, &str)>, Fault> {
    let mut length = 1;
    if let Some(counted) = text.strip_prefix('{') {
        let Some((counts, _)) = counted.split_once('}') else { return Ok(None) };
        let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if least.is_empty() || !is_number(least) || !is_number(most) {
            return Ok(None);
        }
        let fits = |count: &str| count.is_empty() || count.parse::<u32>().is_ok_and(|count| count <= REPEAT_MAX);
        if !fits(least) || !fits(most) {
            return Err("invalid repeat count");
        }
        length += counts.len() + 1;
    }
    if text.get(length..).is_some_and(|after| after.starts_with('?')) {
        length += 1;
    }
    Ok(text.split_at_checked(length))
}

/// What follows a backslash, inside a class or not.
fn escape<'a>(after: &'a str, out: &mut String) -> Result<&'a str, Fault> {
    let Some(first) = after.chars().next() else { return Err("trailing backslash at end of expression") };
    let rest = after.strip_prefix(first).unwrap_or_default();
    match first {
        '0'..='7' => {
            let octal = |text: &str| text.bytes().take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let digits = 1 + octal(rest).min(2);
            let (number, rest) = after.split_at_checked(digits).unwrap_or((after, ""));
            let code = u32::from_str_radix(number, 8).unwrap_or_default();
            if first != '0' && digits == 1 {
                return Err("invalid escape sequence");
            }
            out.push_str(&format!(r"\x{{{code:x}}}"));
            Ok(rest)
        }
        'p' | 'P' => property(first == 'P', rest, out),
        'u' | 'U' => Err("invalid escape sequence"),
        // Escaped, these are words' ends to the crate.
        '<' | '>' => {
            out.push(first);
            Ok(rest)
        }
        _ => {
            out.push('\\');
            out.push(first);
            Ok(rest)
        }
    }
}

/// What follows `\p` or `\P`.
fn property<'a>(negated: bool, after: &'a str, out: &mut String) -> Result<&'a str, Fault> {
    let braced = after.strip_prefix('{').and_then(|name| name.split_once('}'));
    let Some((name, rest)) = braced else {
        out.push_str(if negated { r"\P" } else { r"\p" });
        return Ok(after);
    };
    let plain = name.strip_prefix('^').unwrap_or(name);
    // Scripts and categories by their own names only.
    if plain.contains(['=', ':', ' ']) || plain.starts_with("Is") {
        return Err("invalid character class range");
    }
    let negated = negated != name.starts_with('^');
    out.push_str(if negated { r"\P{" } else { r"\p{" });
    out.push_str(plain);
    out.push('}');
    Ok(rest)
}

/// What follows the bracket that opens a class, to its end.
fn class<'a>(after: &'a str, out: &mut String) -> Result<&'a str, Fault> {
    out.push('[');
    let mut rest = after;
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    let mut previous = None;
    while let Some(first) = rest.chars().next() {
        let after = rest.strip_prefix(first).unwrap_or_default();
        rest = match first {
            ']' if previous.is_some() => {
                out.push(']');
                return Ok(after);
            }
            '\\' => escape(after, out)?,
            '[' => match after.strip_prefix(':').and_then(|named| named.split_once(":]")) {
                Some((name, after)) => {
                    if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                        return Err("invalid character class range");
                    }
                    out.push_str(&format!("[:{name}:]"));
                    after
                }
                None => {
                    out.push_str(r"\[");
                    after
                }
            },
            '-' if previous != Some('-') => {
                out.push('-');
                after
            }
            ']' | '&' | '~' | '-' => {
                out.push('\\');
                out.push(first);
                after
            }
            other => {
                out.push(other);
                after
            }
        };
        previous = Some(first);
    }
    Err("missing closing ]")
}

/// What follows an opening parenthesis: flags, of which RE2/J has four.
fn group<'a>(after: &'a str, out: &mut String) -> Result<&'a str, Fault> {
    let Some(special) = after.strip_prefix('?') else { return Ok(after) };
    let flags = special.split([':', ')', '<']).next().unwrap_or_default();
    if special.starts_with(')') {
        out.push_str("?:");
        return Ok(special);
    }
    if flags != "P" && flags.contains(|flag: char| !"imsU-".contains(flag)) {
        return Err("invalid or unsupported Perl syntax");
    }
    let (taken, rest) = after.split_at_checked(1 + flags.len()).unwrap_or((after, ""));
    out.push_str(taken);
    Ok(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_both_know_stays_as_it_is() {
        let known = [
            "",
            "a",
            "a.b",
            "[a-z]+",
            "[^a]*?",
            r"\d{2,3}?",
            "a{1000}",
            r"(?i)A|b",
            "(?i-s:a)",
            "(?P<n>a)",
            "(?<n>a)",
            r"\pL",
            r"\p{Greek}",
            "[[:alpha:]_]",
            "[[:^alpha:]]",
            "(a*)*",
            r"\x{61}",
            r"[\w.-]",
            r"\.",
            "a??",
            "a|b",
            "^a$",
            "é",
        ];
        for pattern in known {
            assert_eq!(translated(pattern).unwrap(), pattern);
        }
    }

    #[test]
    fn what_is_quoted_stands_for_itself() {
        assert_eq!(translated(r"\Qa.b*\E+").unwrap(), r"a\.b\*+");
        assert_eq!(translated(r"x\Qa.").unwrap(), r"xa\.");
    }

    #[test]
    fn a_brace_that_counts_nothing_is_a_brace() {
        for (pattern, want) in
            [("{", r"\{"), ("a{", r"a\{"), ("a{,2}", r"a\{,2}"), ("a{x}", r"a\{x}"), ("a{1,x}", r"a\{1,x}")]
        {
            assert_eq!(translated(pattern).unwrap(), want);
        }
    }

    #[test]
    fn flags_may_be_none() {
        assert_eq!(translated("(?)a").unwrap(), "(?:)a");
    }

    #[test]
    fn classes_know_no_set_operations() {
        for (pattern, want) in [
            ("[a&&b]", r"[a\&\&b]"),
            ("[a[b]]", r"[a\[b]]"),
            ("[a--b]", r"[a-\-b]"),
            ("[a~~b]", r"[a\~\~b]"),
            ("[]a]", r"[\]a]"),
        ] {
            assert_eq!(translated(pattern).unwrap(), want);
        }
    }

    #[test]
    fn numbers_of_characters_may_be_octal() {
        assert_eq!(translated(r"\141").unwrap(), r"\x{61}");
        assert_eq!(translated(r"\0141").unwrap(), r"\x{c}1");
        assert_eq!(translated(r"[\141]\p{^Greek}").unwrap(), r"[\x{61}]\P{Greek}");
    }

    #[test]
    fn what_re2_does_not_take_is_refused() {
        let bad = [
            "a**",
            "a*+",
            "a*??",
            "a{2}{3}",
            "a{1001}",
            "a{0,1001}",
            r"\1",
            r"\u0061",
            "(?x)a",
            "(?u)a",
            "(?=a)",
            "(?>a)",
            "[[:nonsense:]]",
            r"\p{IsLatin}",
            r"\p{Script=Latin}",
            "[a",
            "\\",
            "(?#c)",
        ];
        for pattern in bad {
            assert!(translated(pattern).is_err(), "{pattern}");
        }
    }
}
