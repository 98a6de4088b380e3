//! What may be meant by the beginning of a word: keywords, and the names that the instance knows.

use super::script::{Open, cut};
use millstream_server::SqlNames;

/// The words of the dialect, those that begin statements first.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "CREATE",
    "INSERT",
    "DROP",
    "DESCRIBE",
    "SHOW",
    "LIST",
    "PRINT",
    "EXPLAIN",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "ALTER",
    "DEFINE",
    "UNDEFINE",
    "SET",
    "UNSET",
    "ASSERT",
    "RUN",
    "SCRIPT",
    "STREAM",
    "TABLE",
    "SOURCE",
    "CONNECTOR",
    "TYPE",
    "OR",
    "REPLACE",
    "IF",
    "NOT",
    "EXISTS",
    "WITH",
    "AS",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "PARTITION",
    "HAVING",
    "WINDOW",
    "TUMBLING",
    "HOPPING",
    "SESSION",
    "SIZE",
    "ADVANCE",
    "RETENTION",
    "GRACE",
    "PERIOD",
    "EMIT",
    "CHANGES",
    "FINAL",
    "LIMIT",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "ON",
    "WITHIN",
    "AND",
    "IS",
    "NULL",
    "LIKE",
    "ESCAPE",
    "BETWEEN",
    "IN",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "TRUE",
    "FALSE",
    "INTO",
    "VALUES",
    "KEY",
    "PRIMARY",
    "HEADERS",
    "HEADER",
    "ADD",
    "COLUMN",
    "DELETE",
    "TOPIC",
    "SCHEMA",
    "TIMEOUT",
    "ALL",
    "EXTENDED",
    "STREAMS",
    "TABLES",
    "QUERIES",
    "TOPICS",
    "FUNCTIONS",
    "FUNCTION",
    "PROPERTIES",
    "VARIABLES",
    "TYPES",
    "CONNECTORS",
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "VARCHAR",
    "STRING",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "ARRAY",
    "MAP",
    "STRUCT",
    "MILLISECONDS",
    "SECONDS",
    "MINUTES",
    "HOURS",
    "DAYS",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY_FORMAT",
    "VALUE_FORMAT",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "TIMESTAMP_FORMAT",
    "WRAP_SINGLE_VALUE",
    "ROWTIME",
    "ROWPARTITION",
    "ROWOFFSET",
    "WINDOWSTART",
    "WINDOWEND",
    "BEGINNING",
    "INTERVAL",
];

/// Where the word at `at` begins, and what it may become. Nothing inside quotes and comments.
pub(crate) fn candidates(line: &str, at: usize, names: &SqlNames) -> (usize, Vec<String>) {
    let before = &line[..at];
    if cut(before)
        .open
        .is_some_and(|open| !matches!(open, Open::Quote(from) if before[from..].starts_with('`')))
    {
        return (at, Vec::new());
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '`');
    let from = before.char_indices().rev().find(|(_, c)| !is_part(*c)).map_or(0, |(i, c)| i + c.len_utf8());
    let typed = &before[from..];
    let mut found = if let Some(owner) = before[..from].strip_suffix('.') {
        columns_of(line, owner, names).filter_map(|name| as_typed(name, typed)).collect()
    } else if wants_relation(&before[..from]) {
        relations(names).filter_map(|name| as_typed(name, typed)).collect()
    } else {
        anything(line, typed, names)
    };
    found.dedup();
    (from, found)
}

fn relations(names: &SqlNames) -> impl Iterator<Item = &str> {
    names.relations.iter().map(|relation| &*relation.name)
}

/// The columns of `owner`, which is a relation or its alias in this statement.
fn columns_of<'n>(line: &str, owner: &str, names: &'n SqlNames) -> impl Iterator<Item = &'n str> {
    let owner = last_word(owner).to_uppercase();
    let known = |name: &str| names.relations.iter().find(|relation| relation.name.eq_ignore_ascii_case(name));
    let words: Vec<&str> =
        line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let aliased = || {
        let place =
            words.iter().rposition(|word| word.eq_ignore_ascii_case(&owner) && known(word).is_none())?;
        let behind = words.get(place.checked_sub(1)?)?;
        let behind =
            if behind.eq_ignore_ascii_case("AS") { words.get(place.checked_sub(2)?)? } else { behind };
        known(behind)
    };
    known(&owner)
        .or_else(aliased)
        .into_iter()
        .flat_map(|relation| relation.columns.iter().map(String::as_str))
}

fn last_word(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.char_indices().rev().find(|(_, c)| !is_part(*c)).map_or(text, |(i, c)| &text[i + c.len_utf8()..])
}

/// Whether a stream or table must follow.
fn wants_relation(before: &str) -> bool {
    let word = last_word(before.trim_end()).to_uppercase();
    before.ends_with(char::is_whitespace) && matches!(&*word, "FROM" | "JOIN" | "INTO" | "DESCRIBE")
}

/// Keywords, functions and relations, and the columns of the relations that the statement names.
fn anything(line: &str, typed: &str, names: &SqlNames) -> Vec<String> {
    if typed.is_empty() {
        return Vec::new();
    }
    let named = |name: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case(name))
    };
    let columns = names.relations.iter().filter(|relation| named(&relation.name)).flat_map(|r| &r.columns);
    let own = columns.map(String::as_str).chain(relations(names)).filter_map(|name| as_typed(name, typed));
    let functions = names.functions.iter().map(String::as_str);
    let words = KEYWORDS.iter().copied().chain(functions);
    let fixed = words.filter(|word| begins(word, typed)).map(|word| {
        let lower = typed.chars().any(char::is_lowercase) && !typed.chars().any(char::is_uppercase);
        if lower { word.to_lowercase() } else { word.to_owned() }
    });
    let mut all: Vec<String> = own.chain(fixed).collect();
    all.sort();
    all
}

fn begins(name: &str, typed: &str) -> bool {
    !typed.is_empty() && name.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

/// A name as it is written in a statement: in backticks where it must be, in lower case where that is how it was begun.
fn as_typed(name: &str, typed: &str) -> Option<String> {
    let bare = typed.strip_prefix('`').unwrap_or(typed);
    if !(bare.is_empty() || begins(name, bare)) {
        return None;
    }
    let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let lower = !bare.is_empty() && !bare.chars().any(char::is_uppercase);
    Some(match (plain && !typed.starts_with('`'), lower) {
        (true, true) if bare.chars().any(char::is_lowercase) => name.to_lowercase(),
        (true, _) => name.to_owned(),
        (false, _) => format!("`{name}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_server::SqlRelation;

    fn names() -> SqlNames {
        let relation = |name: &str, columns: &[&str]| SqlRelation {
            name: name.to_owned(),
            kind: "STREAM".to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        SqlNames {
            relations: vec![relation("PRESS", &["ASSET", "TEMPERATURE"]), relation("own name", &["X"])],
            functions: vec!["SUBSTRING".to_owned(), "SUM".to_owned()],
        }
    }

    fn after(line: &str) -> Vec<String> {
        candidates(line, line.len(), &names()).1
    }

    #[test]
    fn words_are_completed_by_where_they_stand() {
        assert_eq!(after("SEL"), ["SELECT"]);
        assert_eq!(after("sel"), ["select"]);
        assert_eq!(after("SELECT * FROM "), ["PRESS", "`own name`"]);
        assert_eq!(after("SELECT * FROM pr"), ["press"]);
        assert_eq!(after("SELECT * FROM `own"), ["`own name`"]);
        assert_eq!(after("SELECT SU"), ["SUBSTRING", "SUM"]);
        assert_eq!(after("SELECT p."), Vec::<String>::new());
        assert_eq!(
            candidates("SELECT p.te FROM press AS p", 11, &names()),
            (9, vec!["temperature".to_owned()])
        );
        assert_eq!(candidates("SELECT TEMP FROM PRESS", 11, &names()), (7, vec!["TEMPERATURE".to_owned()]));
    }

    #[test]
    fn nothing_is_completed_inside_texts_and_comments() {
        assert_eq!(after("SELECT 'SEL"), Vec::<String>::new());
        assert_eq!(after("/* SEL"), Vec::<String>::new());
        assert_eq!(after(""), Vec::<String>::new());
        assert_eq!(after("é"), Vec::<String>::new());
    }
}
