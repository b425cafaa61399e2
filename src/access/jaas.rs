//! JAAS strings as Kafka's `sasl.jaas.config` has them: `<module> <flag> (<option>=<value>)*;`.
//!
//! Read with the rules of Java's `StreamTokenizer` as `JaasConfig` sets it up: words, quoted strings with escapes, comments
//! of three kinds, and numbers, which are no values unless they are quoted.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// One login module. Options may be secrets, so `Debug` shows only their names.
#[derive(Clone, PartialEq, Eq)]
pub struct Module {
    pub class: String,
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("class", &self.class).field("options", &self.options.keys()).finish()
    }
}

impl Module {
    /// The class without its package: `PlainLoginModule`.
    #[must_use]
    pub fn short_class(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }

    /// An option that is there and not blank.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// What is wrong with a JAAS string, in Kafka's words; never a part of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadJaas(pub String);

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    /// Anything else that is one token: a sign, or a number.
    Other(Option<char>),
}

impl Token {
    fn into_text(self) -> Option<String> {
        match self {
            Token::Word(text) | Token::Quoted(text) => Some(text),
            Token::Other(_) => None,
        }
    }
}

/// The modules of a JAAS string; at least one.
///
/// # Errors
/// The string is not one.
pub fn parse(text: &str) -> Result<Vec<Module>, BadJaas> {
    let bad = |text: &str| Err(BadJaas(text.to_owned()));
    let mut tokens = Tokens { chars: text.chars().peekable() };
    let mut modules = Vec::new();
    while let Some(first) = tokens.next() {
        let Some(class) = first.into_text() else { return bad("Login module not specified in JAAS config") };
        let flag = match tokens.next() {
            None => return bad("Login module control flag not specified in JAAS config"),
            Some(token) => token.into_text(),
        };
        let Some(flag) = flag else { return bad("Login module control flag is not available in the JAAS config") };
        if !["REQUIRED", "REQUISITE", "SUFFICIENT", "OPTIONAL"].contains(&flag.to_uppercase().as_str()) {
            return bad("Invalid login module control flag in JAAS config");
        }
        let mut options = BTreeMap::new();
        loop {
            let key = match tokens.next() {
                None => return bad("JAAS config entry not terminated by semi-colon"),
                Some(Token::Other(Some(';'))) => break,
                Some(token) => token.into_text().unwrap_or_default(),
            };
            let value = match tokens.next() {
                Some(Token::Other(Some('='))) => tokens.next().and_then(Token::into_text),
                _ => None,
            };
            let Some(value) = value else {
                return Err(BadJaas(format!("Value not specified for key '{key}' in JAAS config")));
            };
            options.insert(key, value);
        }
        modules.push(Module { class, options });
    }
    if modules.is_empty() { bad("Login module not specified in JAAS config") } else { Ok(modules) }
}

struct Tokens<'a> {
    chars: Peekable<Chars<'a>>,
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$') || c >= '\u{a0}'
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit() || matches!(c, '.' | '-')
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        loop {
            let c = self.chars.next()?;
            match c {
                '\0'..=' ' => {}
                '/' => self.skip_comment(),
                '"' | '\'' => return Some(Token::Quoted(self.quoted(c))),
                // Numbers are read first, and a minus alone is a sign.
                '-' => {
                    let number = self.number();
                    return Some(Token::Other((!number).then_some('-')));
                }
                '0'..='9' | '.' => {
                    self.number();
                    return Some(Token::Other(None));
                }
                c if begins_word(c) => {
                    let mut word = String::from(c);
                    while let Some(c) = self.chars.next_if(|c| continues_word(*c)) {
                        word.push(c);
                    }
                    return Some(Token::Word(word));
                }
                c => return Some(Token::Other(Some(c))),
            }
        }
    }

    fn number(&mut self) -> bool {
        let mut any = false;
        while self.chars.next_if(|c| c.is_ascii_digit() || *c == '.').is_some() {
            any = true;
        }
        any
    }

    fn skip_comment(&mut self) {
        if self.chars.next_if_eq(&'*').is_some() {
            let mut last = ' ';
            for c in self.chars.by_ref() {
                if last == '*' && c == '/' {
                    return;
                }
                last = c;
            }
            return;
        }
        while self.chars.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {}
    }

    /// Up to the closing quote, or the end of the line.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '\n' | '\r')) {
            if c == quote {
                break;
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let Some(escaped) = self.chars.next() else { break };
            text.push(match escaped {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '0'..='7' => self.octal(escaped),
                other => other,
            });
        }
        text
    }

    fn octal(&mut self, first: char) -> char {
        let mut code = first.to_digit(8).unwrap_or_default();
        // Up to \377.
        let more = if first <= '3' { 2 } else { 1 };
        for _ in 0..more {
            let Some(digit) = self.chars.next_if(|c| ('0'..='7').contains(c)) else { break };
            code = code * 8 + digit.to_digit(8).unwrap_or_default();
        }
        char::from_u32(code).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(text: &str) -> Module {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn kafkas_strings_are_read() {
        let module = one(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password='se cret' \
             user_alice=\"a=b;c\" user_bob-2=word;",
        );
        assert_eq!(module.short_class(), "PlainLoginModule");
        assert_eq!(module.option("password"), Some("se cret"));
        assert_eq!(module.option("user_alice"), Some("a=b;c"));
        assert_eq!(module.option("user_bob-2"), Some("word"));
        let two = parse("A required; /* x; */ // y\nB OPTIONAL k=v;").unwrap();
        assert_eq!(two.len(), 2);
        assert_eq!(two[1].option("k"), Some("v"));
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(one(r#"A required p="a\"b\\c\n\101\q";"#).option("p"), Some("a\"b\\c\nAq"));
    }

    #[test]
    fn a_number_is_no_value_unless_quoted() {
        let fault = parse("A required p=123;").unwrap_err();
        assert_eq!(fault.0, "Value not specified for key 'p' in JAAS config");
        assert_eq!(one("A required p=\"123\";").option("p"), Some("123"));
    }

    #[test]
    fn what_kafka_refuses_is_refused_in_its_words() {
        for (text, expected) in [
            ("", "Login module not specified in JAAS config"),
            ("A", "Login module control flag not specified in JAAS config"),
            ("A sometimes;", "Invalid login module control flag in JAAS config"),
            ("A required k", "Value not specified for key 'k' in JAAS config"),
            ("A required k=", "Value not specified for key 'k' in JAAS config"),
            ("A required k=v", "JAAS config entry not terminated by semi-colon"),
        ] {
            assert_eq!(parse(text).unwrap_err().0, expected, "{text}");
        }
    }

    #[test]
    fn a_module_shows_no_value() {
        let shown = format!("{:?}", one("A required password=\"hunter2\";"));
        assert!(shown.contains("password") && !shown.contains("hunter2"), "{shown}");
    }
}
