//! Where statements begin and end in a text, and the few words that the shell itself must understand.

use std::ops::Range;

/// A text cut at its semicolons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Every statement with its semicolon, in bytes of the text.
    pub(crate) statements: Vec<Range<usize>>,
    /// What stands behind the last semicolon; empty where that is only blanks and comments.
    pub(crate) rest: Range<usize>,
    /// What is open at the end.
    pub(crate) open: Option<Open>,
}

/// What a text ends inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// Something between quotes that begins at this byte.
    Quote(usize),
    /// A comment.
    Comment,
}

/// One sign of a statement, as far as the shell cares.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'t> {
    /// A bare word, in the letter case that it has.
    Word(&'t str),
    /// What stands between single quotes, doubled ones made single.
    Text(String),
    /// Anything else.
    Sign(char),
}

/// What the shell does about a statement beside sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// `DEFINE name = 'value'`.
    Define(String, String),
    /// `UNDEFINE name`.
    Undefine(String),
    /// `SET 'name' = 'value'`.
    Set(String, String),
    /// `UNSET 'name'`.
    Unset(String),
    /// `RUN SCRIPT 'file'`.
    Run(String),
}

/// Cuts `text`.
pub(crate) fn cut(text: &str) -> Script {
    let mut script = Script { statements: Vec::new(), rest: 0..0, open: None };
    let (mut begin, mut at) = (None, 0);
    while let Some(first) = text[at..].chars().next() {
        let end = match skip(text, at) {
            Ok(end) => end,
            Err(open) => {
                script.open = Some(open);
                if matches!(open, Open::Quote(_)) {
                    begin = begin.or(Some(at));
                }
                break;
            }
        };
        let blank = first.is_whitespace() || is_comment(&text[at..]);
        if !blank && begin.is_none() {
            begin = Some(at);
        }
        at = end;
        if first == ';'
            && let Some(from) = begin.take().filter(|from| *from + 1 < end)
        {
            script.statements.push(from..end);
        }
    }
    script.rest = begin.map_or(text.len()..text.len(), |from| from..text.trim_end().len().max(from));
    script
}

/// What the shell must do about a statement.
pub(crate) fn local(statement: &str) -> Option<Local> {
    use Piece::{Sign, Text, Word};
    let pieces = pieces(statement)?;
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    match pieces.as_slice() {
        [Word(first), Word(name), Sign('='), Text(value)] if is(first, "DEFINE") => {
            Some(Local::Define((*name).to_owned(), value.clone()))
        }
        [Word(first), Word(name)] if is(first, "UNDEFINE") => Some(Local::Undefine((*name).to_owned())),
        [Word(first), Text(name), Sign('='), Text(value)] if is(first, "SET") => {
            Some(Local::Set(name.clone(), value.clone()))
        }
        [Word(first), Text(name)] if is(first, "UNSET") => Some(Local::Unset(name.clone())),
        [Word(first), Word(second), Text(path)] if is(first, "RUN") && is(second, "SCRIPT") => {
            Some(Local::Run(path.clone()))
        }
        _ => None,
    }
}

/// The signs of a statement without its semicolon; `None` where there are more than the shell's own statements have.
fn pieces(statement: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(first) = statement[at..].chars().next() {
        let end = skip(statement, at).ok()?;
        let text = &statement[at..end];
        let blank = first.is_whitespace() || is_comment(&statement[at..]);
        at = end;
        if blank || first == ';' {
            continue;
        }
        if pieces.len() == 4 {
            return None;
        }
        pieces.push(match first {
            '\'' => Piece::Text(text[1..text.len() - 1].replace("''", "'")),
            _ if is_word(first) => Piece::Word(text),
            _ => Piece::Sign(first),
        });
    }
    Some(pieces)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_comment(rest: &str) -> bool {
    rest.starts_with("--") || rest.starts_with("/*")
}

/// The end of the word, quoted text, comment or single character that begins at `at`; what is open where there is none.
fn skip(text: &str, at: usize) -> Result<usize, Open> {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return Ok(at) };
    if rest.starts_with("--") {
        return Ok(at + rest.find('\n').unwrap_or(rest.len()));
    }
    if let Some(comment) = rest.strip_prefix("/*") {
        return comment.find("*/").map(|end| at + end + 4).ok_or(Open::Comment);
    }
    if !matches!(first, '\'' | '"' | '`') {
        let length = if is_word(first) { rest.find(|c| !is_word(c)) } else { Some(first.len_utf8()) };
        return Ok(at + length.unwrap_or(rest.len()));
    }
    let mut signs = rest.char_indices().skip(1).peekable();
    while let Some((index, sign)) = signs.next() {
        // A doubled quote is the quote itself.
        if sign == first && signs.next_if(|(_, next)| *next == first).is_none() {
            return Ok(at + index + 1);
        }
    }
    Err(Open::Quote(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Vec<&str>, &str) {
        let script = cut(text);
        (script.statements.into_iter().map(|range| &text[range]).collect(), &text[script.rest])
    }

    #[test]
    fn statements_end_at_semicolons_that_stand_in_no_quotes_and_no_comments() {
        assert_eq!(
            parts("SELECT ';' AS `a;b` -- not here;\n FROM S; /* nor ; here */ ;SHOW TABLES"),
            (vec!["SELECT ';' AS `a;b` -- not here;\n FROM S;"], "SHOW TABLES")
        );
        assert_eq!(parts("a;b;"), (vec!["a;", "b;"], ""));
        assert_eq!(parts(" -- only a remark"), (vec![], ""));
        assert_eq!(parts("SELECT 'it''s; open"), (vec![], "SELECT 'it''s; open"));
        assert_eq!(cut("x 'y").open, Some(Open::Quote(2)));
        assert_eq!(cut("/* y").open, Some(Open::Comment));
        assert_eq!(parts("é;ü"), (vec!["é;"], "ü"));
    }

    #[test]
    fn what_the_shell_itself_does() {
        let text = |text: &str| text.to_owned();
        assert_eq!(local("define a = 'it''s';"), Some(Local::Define(text("a"), text("it's"))));
        assert_eq!(local("UNDEFINE a;"), Some(Local::Undefine(text("a"))));
        assert_eq!(local("SET 'k'='v' ;"), Some(Local::Set(text("k"), text("v"))));
        assert_eq!(local("unset /* it */ 'k';"), Some(Local::Unset(text("k"))));
        assert_eq!(local("RUN SCRIPT './a.sql';"), Some(Local::Run(text("./a.sql"))));
        assert_eq!(local("SELECT * FROM S EMIT CHANGES;"), None);
        assert_eq!(local("SET 'k' = 5;"), None);
    }
}
