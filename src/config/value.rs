//! Values as Kafka's `ConfigDef` reads and writes them: its types, its leniency (blanks around a
//! value, `TRUE`), its error texts, and Java's way to print a number.

use std::fmt;

/// The type of a configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Type {
    /// The number of the type in DescribeConfigs responses. (0 is "unknown".)
    #[must_use]
    pub fn id(self) -> i8 {
        match self {
            Type::Boolean => 1,
            Type::String => 2,
            Type::Int => 3,
            Type::Short => 4,
            Type::Long => 5,
            Type::Double => 6,
            Type::List => 7,
            Type::Class => 8,
            Type::Password => 9,
        }
    }

    fn java_name(self) -> &'static str {
        match self {
            Type::Boolean => "BOOLEAN",
            Type::String => "STRING",
            Type::Int => "INT",
            Type::Short => "SHORT",
            Type::Long => "LONG",
            Type::Double => "DOUBLE",
            Type::List => "LIST",
            Type::Class => "CLASS",
            Type::Password => "PASSWORD",
        }
    }
}

/// A value after parsing.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    /// Int, short and long.
    Number(i64),
    Double(f64),
    /// String, class and password.
    Text(String),
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// The value as DescribeConfigs shows it (`ConfigDef.convertToString`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Double(value) => f.write_str(&java_double(*value)),
            Value::Text(value) => f.write_str(value),
            Value::List(values) => f.write_str(&values.join(",")),
        }
    }
}

impl Value {
    /// The number; 0 for what is not a whole number.
    #[must_use]
    pub fn number(&self) -> i64 {
        if let Value::Number(value) = self { *value } else { 0 }
    }

    #[must_use]
    pub fn is_true(&self) -> bool {
        *self == Value::Boolean(true)
    }

    #[must_use]
    pub fn list(&self) -> &[String] {
        if let Value::List(values) = self { values } else { &[] }
    }
}

/// What is wrong with a value, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

impl BadValue {
    /// `ConfigException(name, value, message)`.
    pub(crate) fn new(name: &str, value: impl fmt::Display, message: &str) -> BadValue {
        BadValue(format!("Invalid value {value} for configuration {name}: {message}"))
    }
}

/// Reads `text` as a value of type `of` (`ConfigDef.parseType`).
pub fn parse(name: &str, text: &str, of: Type) -> Result<Value, BadValue> {
    let trimmed = java_trim(text);
    let not_a_number = || BadValue::new(name, text, &format!("Not a number of type {}", of.java_name()));
    match of {
        Type::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        Type::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        Type::Boolean => Err(BadValue::new(name, text, "Expected value to be either true or false")),
        Type::String | Type::Class | Type::Password => Ok(Value::Text(trimmed.to_owned())),
        Type::Short => trimmed.parse::<i16>().map(|n| Value::Number(n.into())).map_err(|_| not_a_number()),
        Type::Int => trimmed.parse::<i32>().map(|n| Value::Number(n.into())).map_err(|_| not_a_number()),
        Type::Long => trimmed.parse().map(Value::Number).map_err(|_| not_a_number()),
        Type::Double => parse_double(trimmed).map(Value::Double).ok_or_else(not_a_number),
        Type::List if trimmed.is_empty() => Ok(Value::List(Vec::new())),
        Type::List => Ok(Value::List(split_list(trimmed).map(str::to_owned).collect())),
    }
}

/// Splits at commas; blanks around a comma belong to it. An empty item stays.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// `String.trim`: everything up to and including the blank, so control characters too.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// `Double.parseDouble`, less its hexadecimal form.
fn parse_double(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match magnitude {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = magnitude.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(magnitude);
    // Rust also reads "inf" and "nan", which Java refuses.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|n| sign * n)
}

/// A double as `Double.toString` prints it: `0.5`, `1.0E10`, `1.7976931348623157E308`.
#[must_use]
pub fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, of: Type) -> String {
        parse("some.key", text, of).map_or_else(|bad| bad.0, |value| format!("accepted as {value:?}"))
    }

    #[test]
    fn values_are_read_as_kafka_reads_them() {
        let cases: &[(&str, Type, Value)] = &[
            (" TRUE ", Type::Boolean, Value::Boolean(true)),
            ("false", Type::Boolean, Value::Boolean(false)),
            (" -5", Type::Int, Value::Number(-5)),
            ("+7", Type::Long, Value::Number(7)),
            ("9223372036854775807", Type::Long, Value::Number(i64::MAX)),
            ("-32768", Type::Short, Value::Number(-32768)),
            ("0.5", Type::Double, Value::Double(0.5)),
            ("1e3", Type::Double, Value::Double(1000.0)),
            ("0.9d", Type::Double, Value::Double(0.9)),
            (" a b ", Type::String, Value::Text("a b".into())),
            ("", Type::List, Value::List(vec![])),
            ("a , b,c", Type::List, Value::List(vec!["a".into(), "b".into(), "c".into()])),
            ("a,,b,", Type::List, Value::List(vec!["a".into(), "".into(), "b".into(), "".into()])),
        ];
        for (text, of, expected) in cases {
            assert_eq!(parse("k", text, *of).as_ref(), Ok(expected), "{text:?} as {of:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_in_kafkas_words() {
        assert_eq!(
            message("yes", Type::Boolean),
            "Invalid value yes for configuration some.key: Expected value to be either true or false"
        );
        assert_eq!(message("1.5", Type::Int), "Invalid value 1.5 for configuration some.key: Not a number of type INT");
        assert_eq!(
            message("2147483648", Type::Int),
            "Invalid value 2147483648 for configuration some.key: Not a number of type INT"
        );
        assert_eq!(
            message("40000", Type::Short),
            "Invalid value 40000 for configuration some.key: Not a number of type SHORT"
        );
        assert_eq!(message("", Type::Long), "Invalid value  for configuration some.key: Not a number of type LONG");
        for bad in ["inf", "nan", "infinity", "", "0x1p3", "1,5", "--1", "e5"] {
            assert_eq!(
                message(bad, Type::Double),
                format!("Invalid value {bad} for configuration some.key: Not a number of type DOUBLE")
            );
        }
    }

    #[test]
    fn doubles_are_printed_as_java_prints_them() {
        let cases = [
            (0.5, "0.5"),
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0009, "9.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.5e10, "1.5E10"),
            (f64::MAX, "1.7976931348623157E308"),
            (-0.05, "-0.05"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(java_double(value), expected);
        }
    }

    #[test]
    fn lists_are_shown_joined_by_commas() {
        assert_eq!(Value::List(vec!["compact".into(), "delete".into()]).to_string(), "compact,delete");
    }
}
