//! Functions with regular expressions in Java's syntax.

mod java;

use super::Params::Of;
use super::split::text;
use super::text::{owned, str_at};
use super::{
    Body, Compile, Param, Returns, RowFunction, ScalarFunction, Signature, check_elements, check_text,
};
use crate::Datum;
use crate::SqlType::{Int, Varchar};
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_CACHE_MAX, PATTERN_PROGRAM_BYTES_MAX, PATTERN_STEPS_MAX};
use fancy_regex::{Captures, Error, Regex, RegexBuilder, RuntimeError};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

const TEXT: Param = Param::Type(Varchar);

const fn of(params: &'static [Param], returns: Param, body: Compile) -> Signature {
    Signature { params: Of(params), returns: Returns::Of(returns), body: Body::Compiled(body) }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "REGEXP_EXTRACT",
        aliases: &[],
        doc: "REGEXP_EXTRACT(pattern, text[, group]): the first part of the text that matches; NULL where none does.",
        signatures: &[
            of(&[TEXT, TEXT], TEXT, |constants| compile(Task::Extract, constants)),
            of(&[TEXT, TEXT, Param::Type(Int)], TEXT, |constants| compile(Task::Extract, constants)),
        ],
    },
    ScalarFunction {
        name: "REGEXP_EXTRACT_ALL",
        aliases: &[],
        doc: "REGEXP_EXTRACT_ALL(pattern, text[, group]): all parts of the text that match.",
        signatures: &[
            of(&[TEXT, TEXT], Param::Array(&TEXT), |constants| compile(Task::ExtractAll, constants)),
            of(&[TEXT, TEXT, Param::Type(Int)], Param::Array(&TEXT), |constants| {
                compile(Task::ExtractAll, constants)
            }),
        ],
    },
    ScalarFunction {
        name: "REGEXP_REPLACE",
        aliases: &[],
        doc: "REGEXP_REPLACE(text, pattern, new): the text with every match replaced; $1 in `new` is the first group.",
        signatures: &[of(&[TEXT, TEXT, TEXT], TEXT, |constants| compile(Task::Replace, constants))],
    },
    ScalarFunction {
        name: "REGEXP_SPLIT_TO_ARRAY",
        aliases: &[],
        doc: "REGEXP_SPLIT_TO_ARRAY(text, pattern): the parts between the matches.",
        signatures: &[of(&[TEXT, TEXT], Param::Array(&TEXT), |constants| compile(Task::Split, constants))],
    },
];

/// What is done with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Extract,
    ExtractAll,
    Replace,
    Split,
}

impl Task {
    /// Which argument the pattern is.
    const fn pattern_at(self) -> usize {
        match self {
            Self::Extract | Self::ExtractAll => 0,
            Self::Replace | Self::Split => 1,
        }
    }
}

/// A function whose pattern has been compiled, where it is the same for every row.
#[derive(Debug)]
struct ByPattern {
    task: Task,
    regex: Option<Arc<Regex>>,
}

fn compile(task: Task, constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    let pattern = constants.get(task.pattern_at()).and_then(Option::as_ref).and_then(Datum::as_str);
    Ok(Arc::new(ByPattern { task, regex: pattern.map(compile_pattern).transpose()? }))
}

fn compile_pattern(pattern: &str) -> Result<Arc<Regex>, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern of more than {PATTERN_BYTES_MAX} bytes is not supported"));
    }
    let built = RegexBuilder::new(&java::translate(pattern)?)
        .backtrack_limit(PATTERN_STEPS_MAX)
        .delegate_size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .delegate_dfa_size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .build();
    built.map(Arc::new).map_err(|error| format!("the pattern '{pattern}': {error}"))
}

thread_local! {
    /// The patterns that came as values last.
    static RECENT: RefCell<VecDeque<(String, Arc<Regex>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A pattern that came as a value: compiled, or as it was compiled for one of the last ones.
fn recent(pattern: &str) -> Result<Arc<Regex>, String> {
    RECENT.with_borrow_mut(|recent| {
        if let Some((_, regex)) = recent.iter().find(|(known, _)| known == pattern) {
            return Ok(regex.clone());
        }
        let regex = compile_pattern(pattern)?;
        if recent.len() >= PATTERN_CACHE_MAX {
            recent.pop_front();
        }
        recent.push_back((pattern.to_owned(), regex.clone()));
        Ok(regex)
    })
}

impl RowFunction for ByPattern {
    fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
        let made;
        let regex = if let Some(regex) = &self.regex {
            regex
        } else {
            made = recent(str_at(args, self.task.pattern_at()))?;
            &made
        };
        match self.task {
            Task::Extract => extract(regex, args, false),
            Task::ExtractAll => extract(regex, args, true),
            Task::Replace => replace(regex, str_at(args, 0), str_at(args, 2)),
            Task::Split => split(regex, str_at(args, 0)),
        }
    }
}

/// Calls `found` with every match in turn until it is false. Java looks for the next match where the last one ended, one
/// character later where that was empty.
fn each_match<'t>(
    regex: &Regex,
    text: &'t str,
    mut found: impl FnMut(&Captures<'t, str>) -> Result<bool, String>,
) -> Result<(), String> {
    let mut from = 0;
    while from <= text.len() {
        let captures = regex.captures_from_pos(text, from).map_err(|error| match error {
            Error::RuntimeError(RuntimeError::BacktrackLimitExceeded | RuntimeError::StackOverflow) => {
                "the pattern needs too many steps for this text; without repetitions inside repetitions it needs fewer".to_owned()
            }
            other => other.to_string(),
        })?;
        let Some((captures, whole)) =
            captures.and_then(|captures| captures.get(0).map(|whole| (captures, whole)))
        else {
            break;
        };
        if !found(&captures)? {
            break;
        }
        let next = text.get(whole.end()..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        from = if whole.start() == whole.end() { whole.end() + next } else { whole.end() };
    }
    Ok(())
}

fn extract<'a>(regex: &Regex, args: &[Datum<'a>], all: bool) -> Result<Datum<'a>, String> {
    let group = args.get(2).and_then(Datum::as_i64).unwrap_or(0);
    let group = usize::try_from(group).map_err(|_| format!("there is no group {group}"))?;
    if group >= regex.captures_len() {
        return Ok(Datum::Null);
    }
    let mut parts = Vec::new();
    each_match(regex, str_at(args, 1), |captures| {
        parts.push(captures.get(group).map_or(Datum::Null, |part| text(part.as_str())));
        check_elements(parts.len())?;
        Ok(all)
    })?;
    Ok(if all { Datum::Array(parts.into()) } else { parts.pop().unwrap_or(Datum::Null) })
}

fn replace<'a>(regex: &Regex, whole: &str, new: &str) -> Result<Datum<'a>, String> {
    let replacement = replacement(regex, new)?;
    let mut out = String::new();
    let mut copied = 0;
    each_match(regex, whole, |captures| {
        let Some(found) = captures.get(0) else { return Ok(false) };
        out.push_str(whole.get(copied..found.start()).unwrap_or_default());
        for part in &replacement {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => out.push_str(captures.get(*group).map_or("", |part| part.as_str())),
            }
        }
        check_text(out.len())?;
        copied = found.end();
        Ok(true)
    })?;
    out.push_str(whole.get(copied..).unwrap_or_default());
    Ok(owned(out))
}

/// A part of what matches are replaced with.
enum Part {
    Text(String),
    Group(usize),
}

/// Reads `$1`, `${name}` and escapes with a backslash.
fn replacement(regex: &Regex, new: &str) -> Result<Vec<Part>, String> {
    let groups = regex.captures_len();
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = new.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                text.push(chars.next().ok_or("a backslash at the end of the replacement escapes nothing")?);
            }
            '$' => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(if chars.next_if_eq(&'{').is_some() {
                    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    let place = regex.capture_names().position(|known| known == Some(name.as_str()));
                    place.ok_or_else(|| format!("the pattern has no group '{name}'"))?
                } else {
                    let digit = |c: char| c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                    let mut group = chars
                        .next()
                        .and_then(digit)
                        .ok_or("a group's number must follow the $ in the replacement; \\$ is a $ itself")?;
                    if group >= groups {
                        return Err(format!("the pattern has no group {group}"));
                    }
                    // More digits belong to the number as long as there is such a group.
                    while let Some(longer) =
                        chars.peek().copied().and_then(digit).map(|d| group * 10 + d).filter(|g| *g < groups)
                    {
                        group = longer;
                        chars.next();
                    }
                    group
                }));
            }
            c => text.push(c),
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

fn split<'a>(regex: &Regex, whole: &str) -> Result<Datum<'a>, String> {
    // A pattern that matches nothing at all splits everywhere, and then no empty part stands at the end, as in Java.
    let splits_everywhere = regex.find("").ok().flatten().is_some();
    let mut parts = Vec::new();
    let mut from = 0;
    each_match(regex, whole, |captures| {
        let Some(found) = captures.get(0) else { return Ok(false) };
        if splits_everywhere && found.end() == 0 {
            return Ok(true);
        }
        parts.push(whole.get(from..found.start()).unwrap_or_default());
        from = found.end();
        check_elements(parts.len())?;
        Ok(true)
    })?;
    parts.push(whole.get(from..).unwrap_or_default());
    if splits_everywhere {
        while parts.len() > 1 && parts.last() == Some(&"") {
            parts.pop();
        }
    }
    Ok(Datum::Array(parts.into_iter().map(text).collect()))
}
