//! `ssl.principal.mapping.rules`: from the name in a certificate to the name of a user (`SslPrincipalMapper`).
//!
//! Rules are tried in order; the first that matches the whole name decides: `DEFAULT` takes it as it is,
//! `RULE:pattern/replacement/` makes another of it, `/L` in lower and `/U` in upper case. Patterns are regular expressions
//! without look-around and back-references, which would cost a client's choice of time.

use regex::Regex;

#[derive(Debug)]
enum Rule {
    Default,
    Replace { pattern: Regex, replacement: String, case: Case },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Same,
    Lower,
    Upper,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Mapping(Vec<Rule>);

/// The text up to a slash that no backslash precedes, and what follows the slash.
fn to_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

impl Mapping {
    /// # Errors
    /// A rule that is none.
    pub fn parse(rules: &str) -> Result<Mapping, String> {
        let bad = |rule: &str| {
            format!(
                "ssl.principal.mapping.rules has {rule:?}, which is no rule: write DEFAULT or RULE:pattern/replacement/[LU]"
            )
        };
        let mut parsed = Vec::new();
        let mut rest = rules.trim();
        while !rest.is_empty() {
            let whole = rest;
            let after = if let Some(after) = rest.strip_prefix("DEFAULT") {
                parsed.push(Rule::Default);
                after
            } else if let Some(rule) = rest.strip_prefix("RULE:") {
                let (pattern, after) = to_slash(rule).ok_or_else(|| bad(whole))?;
                let (replacement, after) = to_slash(after).ok_or_else(|| bad(whole))?;
                let (case, after) = match after.chars().next() {
                    Some('L') => (Case::Lower, after.trim_start_matches('L')),
                    Some('U') => (Case::Upper, after.trim_start_matches('U')),
                    _ => (Case::Same, after),
                };
                let pattern = Regex::new(pattern).map_err(|_| {
                    format!("ssl.principal.mapping.rules has the pattern {pattern:?}, which cannot be used: write it without look-around and back-references")
                })?;
                parsed.push(Rule::Replace { pattern, replacement: replacement.to_owned(), case });
                after
            } else {
                rest
            };
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => "",
                None => return Err(bad(whole)),
            };
        }
        Ok(Mapping(parsed))
    }

    /// The user that `name` is; `None`: no rule applies, and the client is not let in.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|rule| match rule {
            Rule::Default => Some(name.to_owned()),
            Rule::Replace { pattern, replacement, case } => {
                let captures = pattern.captures(name).filter(|all| all.get(0).is_some_and(|all| all.as_str() == name));
                let text = expand(replacement, &captures?)?;
                Some(match case {
                    Case::Same => text,
                    Case::Lower => text.to_lowercase(),
                    Case::Upper => text.to_uppercase(),
                })
            }
        })
    }
}

/// `$n` is the n-th group, of as many digits as there are groups for; a backslash takes what follows as it is. `$n` without
/// such a group stays as it is written. `None` where Java would fail.
fn expand(replacement: &str, captures: &regex::Captures<'_>) -> Option<String> {
    let groups = captures.len() - 1;
    let mut text = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next()?),
            '$' => {
                let mut number = usize::try_from(chars.next_if(char::is_ascii_digit)?.to_digit(10)?).ok()?;
                if number > groups {
                    if groups == 0 {
                        return None;
                    }
                    text.push('$');
                    text.push_str(&number.to_string());
                    continue;
                }
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = number * 10 + usize::try_from(digit).ok()?;
                    if longer > groups {
                        break;
                    }
                    number = longer;
                    chars.next();
                }
                text.push_str(captures.get(number).map_or("", |group| group.as_str()));
            }
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAME: &str = "CN=Duke,OU=ServiceUsers,O=Org,C=US";

    fn user(rules: &str, name: &str) -> Option<String> {
        Mapping::parse(rules).unwrap().user(name)
    }

    #[test]
    fn the_first_rule_that_matches_the_whole_name_decides() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?),C=(.*?)$/$1@$2/L ,\
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U,DEFAULT";
        assert_eq!(user(rules, NAME).unwrap(), "Duke");
        assert_eq!(user(rules, "CN=Duke,OU=SME,O=mycp,C=US").unwrap(), "duke@sme");
        assert_eq!(user(rules, "cn=duke,ou=JavaSoft").unwrap(), "DUKE");
        assert_eq!(user(rules, "OU=JavaSoft").unwrap(), "OU=JavaSoft");
        assert_eq!(user("RULE:CN=Duke/x/", NAME), None);
    }

    #[test]
    fn replacements_are_javas() {
        assert_eq!(user(r"RULE:^CN=(\w+),.*$/\$1-$1-$0/", "CN=a,B").unwrap(), "$1-a-CN=a,B");
        assert_eq!(user(r"RULE:^CN=(\w+)$/$1$2$12/", "CN=a").unwrap(), "a$2a2");
        assert_eq!(user(r"RULE:^CN=a$/$1/", "CN=a"), None);
        assert_eq!(user(r"RULE:^CN=a\/b$/x\/y/", "CN=a/b").unwrap(), "x/y");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for rules in
            ["RULE:a/b", "RULE:a", "RULE:a/b/X", "RULE:a/b/Lx", "foo", "DEFAULT x", "RULE:(/b/", "RULE:a(?=b)/c/"]
        {
            assert!(Mapping::parse(rules).is_err(), "{rules}");
        }
        for rules in ["DEFAULT", "", " DEFAULT , ", "RULE:a/b/,DEFAULT"] {
            assert!(Mapping::parse(rules).is_ok(), "{rules}");
        }
    }
}
