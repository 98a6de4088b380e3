//! JSON values that keep their numbers as they were written, to be looked into and written again without white space.

use crate::limits::VALUE_BYTES_MAX;
use millstream_format::sql::limits::JSON_DEPTH_MAX;
use std::collections::BTreeMap;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    /// As it was written.
    Number(String),
    Text(String),
    Array(Vec<Self>),
    /// In the order in which they came; of a name that comes twice, the last value.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Reads a text that is one JSON value; an empty text is none, without being wrong.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        Self::read_some(text, true)
    }

    /// Reads a text that begins with a JSON value; what stands behind it is not looked at, as in ksqlDB.
    pub(super) fn read_first(text: &str) -> Result<Option<Self>, String> {
        Self::read_some(text, false)
    }

    fn read_some(text: &str, whole: bool) -> Result<Option<Self>, String> {
        if text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            return Ok(None);
        }
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0);
        reader.space();
        if value.is_some() && (!whole || reader.at == text.len()) {
            return Ok(value);
        }
        let at = text.get(..reader.at).map_or(0, |before| before.chars().count());
        let part: String = text.chars().take(60).collect();
        Err(format!("'{part}' is no JSON at character {}", at + 1))
    }

    /// The member of this name.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Object(members) => members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends it without white space; numbers without an exponent, as in ksqlDB.
    ///
    /// What is longer than any value may be is cut off, still longer than that, so that whoever made it refuses it.
    pub(super) fn write(&self, out: &mut String) {
        if out.len() > VALUE_BYTES_MAX {
            return;
        }
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(&plain(text)),
            Self::Text(text) => write_text(text, out),
            Self::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// Puts a member into an object, in the place of one of the same name; `places` says where which name stands.
pub(super) fn put(
    members: &mut Vec<(String, Json)>,
    places: &mut BTreeMap<String, usize>,
    name: String,
    value: Json,
) {
    if let Some((_, known)) = places.get(&name).and_then(|place| members.get_mut(*place)) {
        *known = value;
    } else {
        places.insert(name.clone(), members.len());
        members.push((name, value));
    }
}

/// Appends a JSON string.
pub(super) fn write_text(text: &str, out: &mut String) {
    // A string can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// How many zeros an exponent may stand for; a number with more keeps its exponent.
const ZEROS_MAX: i64 = 400;

/// A number without its exponent: `1.5e3` as `1500`.
fn plain(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else { return number.to_owned() };
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|e| e.abs() <= ZEROS_MAX) else {
        return number.to_owned();
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).unwrap_or(0).saturating_add(exponent);
    let trimmed = |digits: &str| {
        let cut = digits.trim_start_matches('0');
        if cut.is_empty() { "0".to_owned() } else { cut.to_owned() }
    };
    let len = i64::try_from(digits.len()).unwrap_or(0);
    if point >= len {
        let zeros = usize::try_from(point - len).unwrap_or(0);
        return format!("{sign}{}", trimmed(&format!("{digits}{}", "0".repeat(zeros))));
    }
    let padded = format!("{}{digits}", "0".repeat(usize::try_from((-point).max(0)).unwrap_or(0)));
    let (whole, fraction) = padded.split_at(usize::try_from(point.max(0)).unwrap_or(0));
    format!("{sign}{}.{fraction}", trimmed(whole))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > JSON_DEPTH_MAX {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Boolean(true)),
            b'f' => self.word("false", Json::Boolean(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places = BTreeMap::new();
        if self.take(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            if !self.take(b':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            put(&mut members, &mut places, name, value);
            if self.take(b'}') {
                return Some(Json::Object(members));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut values = Vec::new();
        if self.take(b']') {
            return Some(Json::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Some(Json::Array(values));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let rest = self.text.as_bytes().get(self.at..).filter(|rest| rest.first() == Some(&b'"'))?;
        let mut end = 1;
        loop {
            match rest.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let raw = self.text.get(self.at..self.at + end + 1)?;
        let plain = raw.get(1..end)?;
        let simple = plain.bytes().all(|byte| byte >= 0x20 && byte != b'\\');
        let read = if simple { plain.to_owned() } else { serde_json::from_str(raw).ok()? };
        self.at += end + 1;
        Some(read)
    }

    fn number(&mut self) -> Option<Json> {
        let rest = self.text.get(self.at..)?;
        let part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let text = rest.get(..rest.find(|c| !part(c)).unwrap_or(rest.len()))?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
        let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
        let whole = whole.strip_prefix('-').unwrap_or(whole);
        let right = digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
        right.then(|| {
            self.at += text.len();
            Json::Number(text.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Json::read(text).unwrap().map(|value| value.to_string())
    }

    #[test]
    fn values_come_out_as_they_went_in() {
        for (text, written) in [
            (" { \"a\" : [ 1 , 2.50 , -0 ] , \"b\" : null } ", r#"{"a":[1,2.50,-0],"b":null}"#),
            (r#""a\u00e9\n\/""#, r#""aé\n/""#),
            ("1.5e3", "1500"),
            ("-15E-4", "-0.0015"),
            ("0e5", "0"),
            ("1.25e1", "12.5"),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(read(text).as_deref(), Some(written), "{text}");
        }
        assert_eq!(read("  "), None);
        assert_eq!(read("1e2000").as_deref(), Some("1e2000"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(5_000);
        for text in [
            "{",
            "[1,]",
            "{\"a\"}",
            "01",
            "1.",
            "-",
            "+1",
            "tru",
            "\"a",
            "\"\u{1}\"",
            "1 2",
            "\"\\x\"",
            "nul",
            &deep,
        ] {
            assert!(Json::read(text).is_err(), "{text}");
        }
    }
}
