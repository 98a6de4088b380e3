//! `LIKE` patterns: `%` is any text, `_` any one character.

use super::Fault;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// No wildcards.
    Exact(String),
    /// `text%`.
    Prefix(String),
    /// `%text`.
    Suffix(String),
    /// `%text%`.
    Contains(String),
    /// All others.
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any text.
    Any,
}

impl Pattern {
    /// Reads a pattern; the escape character may only stand before `%`, `_` and itself.
    pub(crate) fn compile(pattern: &str, escape: Option<char>) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            parts.push(if Some(c) == escape {
                match chars.next() {
                    Some(next) if matches!(next, '%' | '_') || Some(next) == escape => Part::Char(next),
                    _ => {
                        let message = format!("'{c}' escapes nothing in '{pattern}'");
                        return Err(Fault::Function("LIKE", message));
                    }
                }
            } else {
                match c {
                    '%' => Part::Any,
                    '_' => Part::One,
                    c => Part::Char(c),
                }
            });
        }
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Ok(Self::shaped(parts))
    }

    /// The shape that is fastest to look for.
    fn shaped(parts: Vec<Part>) -> Self {
        let text = |parts: &[Part]| {
            let chars = parts.iter().map(|part| if let Part::Char(c) = part { Some(*c) } else { None });
            chars.collect::<Option<String>>()
        };
        let shape = match parts.as_slice() {
            [Part::Any, middle @ .., Part::Any] => text(middle).map(Self::Contains),
            [Part::Any, end @ ..] => text(end).map(Self::Suffix),
            [start @ .., Part::Any] => text(start).map(Self::Prefix),
            all => text(all).map(Self::Exact),
        };
        shape.unwrap_or(Self::Parts(parts))
    }

    /// Whether all of `text` matches. Takes at most length × length steps.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(start) => text.starts_with(start.as_str()),
            Self::Suffix(end) => text.ends_with(end.as_str()),
            Self::Contains(middle) => text.contains(middle.as_str()),
            Self::Parts(parts) => Self::parts_match(parts, text),
        }
    }

    /// There is one place to go back to: behind the last wildcard of any text.
    fn parts_match(parts: &[Part], text: &str) -> bool {
        let mut rest = text.chars();
        let mut part = 0;
        let mut back = None;
        loop {
            let before = rest.clone();
            match (parts.get(part), rest.next()) {
                (Some(Part::Any), _) => {
                    part += 1;
                    back = Some((part, before.clone()));
                    rest = before;
                    continue;
                }
                (Some(Part::One), Some(_)) => {
                    part += 1;
                    continue;
                }
                (Some(Part::Char(expected)), Some(found)) if *expected == found => {
                    part += 1;
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after_any, from)) = &mut back else { return false };
            if from.next().is_none() {
                return false;
            }
            part = *after_any;
            rest = from.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, escape, text, matches) in [
            ("press%", None, "press1", true),
            ("press%", None, "a press", false),
            ("%r_ss%", None, "a press", true),
            ("%a%b%c", None, "xaxbxbxc", true),
            ("%a%b%c", None, "xaxbxbx", false),
            ("", None, "", true),
            ("%", None, "", true),
            ("50!%", Some('!'), "50%", true),
            ("50!%", Some('!'), "50x", false),
            ("a.c", None, "abc", false),
            ("%%", None, "", true),
            ("press%%", None, "pre", false),
            ("%ess", None, "press", true),
            ("%ess", None, "essx", false),
            ("%re%", None, "press", true),
            ("%re%", None, "rpes", false),
            ("press", None, "press", true),
            ("press", None, "pressx", false),
            ("!%%", Some('!'), "%x", true),
        ] {
            assert_eq!(Pattern::compile(pattern, escape).unwrap().matches(text), matches, "{pattern} {text}");
        }
        assert!(Pattern::compile("a!b", Some('!')).is_err());
    }
}
