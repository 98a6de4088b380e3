//! Subscriptions by regular expression: RE2's syntax, matched against whole topic names.
//!
//! The engine takes time in proportion to the pattern and the name, whatever the pattern; its size is bounded here. Topic names are
//! ASCII, so classes of Unicode characters (`\p{…}`) have nothing to match and are refused. `\Q…\E` is taken as RE2 takes it.

use super::topology::Topology;
use crate::limits;
use regex_lite::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a pattern matches, of the topics that may be seen; what is wrong with it where it is none.
pub(crate) fn resolve(
    pattern: &str,
    topology: &Topology,
    may_see: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<Arc<str>>, String> {
    let regex = compile(pattern)?;
    let names = topology.names().filter(|name| regex.is_match(name) && may_see(name));
    Ok(names.cloned().collect())
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let bad = |reason: &str| Err(format!("`{pattern}` is no regular expression: {reason}"));
    if pattern.len() > limits::REGEX_BYTES {
        let max = limits::REGEX_BYTES;
        return Err(format!("a regular expression has at most {max} bytes, not {}", pattern.len()));
    }
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(limits::REGEX_COMPILED_BYTES)
            .nest_limit(limits::REGEX_NESTING)
            .build()
    };
    let pattern = unquoted(pattern);
    // On its own first: a pattern like `a)|(b` must not become one by what is put around it.
    if let Err(error) = build(&pattern) {
        return bad(&error.to_string());
    }
    build(&format!(r"\A(?:{pattern})\z")).or_else(|error| bad(&error.to_string()))
}

/// `\Q…\E` as escaped characters.
fn unquoted(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = quote(rest) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let from = from.strip_prefix(r"\Q").unwrap_or(from);
        let (quoted, after) = from.split_once(r"\E").unwrap_or((from, ""));
        out.push_str(&regex_lite::escape(quoted));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where `\Q` begins, whose backslash is not itself escaped.
fn quote(pattern: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in pattern.char_indices() {
        match character {
            'Q' if escaped => return at.checked_sub(1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinate::consumer_group::topology::Shape;
    use uuid::Uuid;

    fn topology() -> Topology {
        let shape = Shape { id: Uuid::nil(), partitions: 1 };
        ["plant.a", "plant.b", "plantXa", "other", "x-plant.a"]
            .into_iter()
            .map(|name| (name.into(), shape))
            .collect()
    }

    fn matched(pattern: &str) -> Vec<String> {
        let topics = resolve(pattern, &topology(), &|_| true).unwrap();
        topics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        assert_eq!(matched("plant.*"), ["plant.a", "plant.b", "plantXa"]);
        assert_eq!(matched(r"plant\..*"), ["plant.a", "plant.b"]);
        assert_eq!(matched("plant"), Vec::<String>::new());
        assert_eq!(matched("other|plant.b"), ["other", "plant.b"]);
        assert_eq!(matched("(?i)OTHER"), ["other"]);
        assert_eq!(matched("[[:alpha:]]+"), ["other", "plantXa"]);
        assert_eq!(matched(r"\Qplant.\E[ab]"), ["plant.a", "plant.b"]);
        assert_eq!(matched(r"\Qplant.a"), ["plant.a"]);
    }

    #[test]
    fn topics_that_may_not_be_seen_are_left_out() {
        let topics = resolve(".*", &topology(), &|name| name.starts_with("plant")).unwrap();
        assert_eq!(topics.len(), 3);
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for bad in ["(", "a)|(b", "[", "a{99999999}", "*", "(?=a)", r"\p{L}", &"(".repeat(10_000)] {
            let error = resolve(bad, &topology(), &|_| true).unwrap_err();
            assert!(error.contains("regular expression"), "{error}");
        }
    }
}
