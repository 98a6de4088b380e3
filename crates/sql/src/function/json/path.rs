//! Paths into JSON, such as `$.a.b[0]['c d']`.

use super::value::Json;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Nothing,
}

/// A path, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Reads a path; the error says what is wrong with it.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let wrong = || format!("'{path}' is no path; write '$.field', '$[0]' or '$['a field']'");
        let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(behind) = rest.strip_prefix('.') {
                let end = behind.find(['.', '[']).unwrap_or(behind.len());
                let (name, behind) = behind.split_at(end);
                if name.is_empty() || name.contains(['*', '\'', '"', ']', '(', ')']) {
                    return Err(refused(path, behind, name).unwrap_or_else(wrong));
                }
                steps.push(Step::Member(name.to_owned()));
                rest = behind;
                continue;
            }
            let inside = rest.strip_prefix('[').ok_or_else(wrong)?;
            if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
                let (name, behind) = quoted(inside.get(1..).unwrap_or_default(), quote).ok_or_else(wrong)?;
                steps.push(Step::Member(name));
                rest = behind.strip_prefix(']').ok_or_else(wrong)?;
                continue;
            }
            let (index, behind) = inside.split_once(']').ok_or_else(wrong)?;
            // There is no element before the first.
            let negative = index.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok());
            if negative {
                steps.push(Step::Nothing);
                rest = behind;
                continue;
            }
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(refused(path, behind, index).unwrap_or_else(wrong));
            }
            steps.push(Step::Element(index.parse().map_err(|_| wrong())?));
            rest = behind;
        }
        Ok(Self(steps))
    }

    /// What stands there.
    pub(super) fn find(&self, mut value: Json) -> Option<Json> {
        for step in &self.0 {
            value = match (step, value) {
                (Step::Member(name), Json::Array(values)) => values.into_iter().nth(name.parse().ok()?)?,
                (Step::Member(name), value) => value.member(name)?,
                (Step::Element(index), Json::Array(values)) => values.into_iter().nth(*index)?,
                (Step::Nothing, _) => return None,
                (Step::Element(index), value) => value.member(&index.to_string())?,
            };
        }
        Some(value)
    }
}

/// What JSONPath knows beyond one value.
fn refused(path: &str, behind: &str, part: &str) -> Option<String> {
    let many = part.contains(['*', '?', ':', ',', '(', '@']) || (part.is_empty() && behind.starts_with('.'));
    many.then(|| {
        format!("'{path}' may find several values; only paths to one value are supported, such as '$.a[0].b'")
    })
}

/// A name up to its quote, and what stands behind; a backslash takes the next sign as it is.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            c if c == quote => return Some((name, text.get(at + c.len_utf8()..)?)),
            c => name.push(c),
        }
    }
    None
}
