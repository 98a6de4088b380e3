//! Case files: statements, records in, records out, questions and answers, as text.
//!
//! A file holds several cases, each after a line `=== its name`. Within a case, lines that begin with `>`, `<`, `?`, `=`,
//! `!` or `#` and a blank mean what [`Step`] says; all others are statements.

use std::path::{Path, PathBuf};

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// `file: name`.
    pub name: String,
    pub steps: Vec<Step>,
}

/// What a case does, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Statements; with errors (`! part of it`), they must be refused so.
    Run { sql: String, errors: Vec<String> },
    /// `> topic key time value`: a record is appended.
    Append { topic: String, key: String, time: i64, value: String },
    /// `< topic key time value`: what new records the topics hold since the last such block.
    Expect(Vec<String>),
    /// `? statement`, and `= row` lines; with errors, it must be refused so.
    Ask { sql: String, rows: Vec<String>, errors: Vec<String> },
}

/// All cases of all files of `folder`, in order.
pub fn all(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "case")).collect();
    files.sort();
    files.iter().flat_map(|file| parse(file)).collect()
}

fn parse(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: format!("{stem}: {name}"), steps: Vec::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            assert!(line.is_empty() || line.starts_with('#'), "{stem}:{number}: no case yet");
            continue;
        };
        assert!(
            take(&mut case.steps, line),
            "{stem}:{number}: `{line}` does not follow what stands above it"
        );
    }
    cases
}

/// Takes a line in; `false` where it has no place.
fn take(steps: &mut Vec<Step>, line: &str) -> bool {
    let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
    match mark.trim_end() {
        "" if rest.trim().is_empty() => true,
        "#" => true,
        ">" => {
            let parts: Vec<&str> = rest.splitn(4, ' ').collect();
            let [topic, key, time, value] = parts[..] else { return false };
            let Ok(time) = time.parse() else { return false };
            let (topic, key, value) = (topic.to_owned(), key.to_owned(), value.to_owned());
            steps.push(Step::Append { topic, key, time, value });
            true
        }
        "<" => {
            if let Some(Step::Expect(lines)) = steps.last_mut() {
                lines.push(rest.to_owned());
            } else {
                steps.push(Step::Expect(vec![rest.to_owned()]));
            }
            true
        }
        "?" => {
            steps.push(Step::Ask { sql: rest.to_owned(), rows: Vec::new(), errors: Vec::new() });
            true
        }
        "=" => match steps.last_mut() {
            Some(Step::Ask { rows, .. }) => {
                rows.push(rest.to_owned());
                true
            }
            _ => false,
        },
        "!" => match steps.last_mut() {
            Some(Step::Run { errors, .. } | Step::Ask { errors, .. }) => {
                errors.push(rest.to_owned());
                true
            }
            _ => false,
        },
        _ => {
            match steps.last_mut() {
                Some(Step::Run { sql, errors }) if errors.is_empty() => {
                    sql.push('\n');
                    sql.push_str(line);
                }
                _ => steps.push(Step::Run { sql: line.to_owned(), errors: Vec::new() }),
            }
            true
        }
    }
}

impl Case {
    /// Whether the case may also run in other ways: statements first, then only records, and nothing that depends on how
    /// often the statements run.
    pub fn is_plain(&self) -> bool {
        let once = ["VALUES", "DROP ", "TERMINATE", "PAUSE", "RESUME", "ALTER ", "SET ", "DEFINE", "REPLACE"];
        let mut steps = self.steps.iter();
        let Some(Step::Run { sql, errors }) = steps.next() else { return false };
        let upper = sql.to_uppercase();
        errors.is_empty()
            && !once.iter().any(|word| upper.contains(word))
            && steps.all(|step| matches!(step, Step::Append { .. } | Step::Expect(_)))
    }

    /// The statements of a plain case.
    pub fn sql(&self) -> &str {
        match self.steps.first() {
            Some(Step::Run { sql, .. }) => sql,
            _ => "",
        }
    }

    /// Whether what comes out depends on which of several topics is read first.
    pub fn reads_several(&self) -> bool {
        let topics = self.steps.iter().filter_map(|step| match step {
            Step::Append { topic, .. } => Some(topic),
            _ => None,
        });
        topics.collect::<std::collections::BTreeSet<_>>().len() > 1
            || self.sql().to_uppercase().contains("JOIN")
    }

    /// All expected lines.
    pub fn expected(&self) -> Vec<String> {
        let lines = self.steps.iter().filter_map(|step| match step {
            Step::Expect(lines) => Some(lines.clone()),
            _ => None,
        });
        lines.flatten().collect()
    }
}
