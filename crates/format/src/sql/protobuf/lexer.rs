//! The words and signs of a `.proto` text.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

/// One word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, with points where it has parts, or a number.
    Word(String),
    /// A text in quotes, without them; escapes stay.
    Text(String),
    /// Any other sign.
    Sign(char),
}

/// Cuts a text into tokens; comments and white space are left out.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").ok_or("a comment does not end")?.1;
        } else if first == '"' || first == '\'' {
            let (content, after) = quoted(rest.get(1..).unwrap_or_default(), first)?;
            found.push(Token::Text(content));
            rest = after;
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            found.push(Token::Word(word.to_owned()));
            rest = after;
        } else {
            found.push(Token::Sign(first));
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            let (content, after) = text.split_at_checked(at).unwrap_or((text, ""));
            return Ok((content.to_owned(), after.get(1..).unwrap_or_default()));
        }
    }
    Err("a text in quotes does not end".to_owned())
}
