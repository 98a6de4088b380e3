//! Source text into tokens.

use super::token::{SYMBOLS, Token, TokenKind};
use crate::limits::SOURCE_BYTES_MAX;
use millstream_model::Diagnostic;

/// All tokens of `source`, the last of them [`TokenKind::End`], and what could not be read.
pub(crate) fn tokens(source: &str) -> (Vec<Token>, Vec<Diagnostic>) {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new(), mistakes: Vec::new() };
    if source.len() > SOURCE_BYTES_MAX {
        lexer.mistakes.push(
            Diagnostic::error("sql-too-long", format!("the text has {} bytes", source.len()))
                .label(format!("at most {SOURCE_BYTES_MAX} bytes"))
                .help("split it into several files")
                .at(0..0),
        );
    } else {
        while lexer.next() {}
    }
    let end = source.len();
    lexer.tokens.push(Token { kind: TokenKind::End, place: end..end, written: String::new() });
    (lexer.tokens, lexer.mistakes)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    tokens: Vec<Token>,
    mistakes: Vec<Diagnostic>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        let place = self.at..self.at + length;
        self.at += length;
        let is_word = matches!(kind, TokenKind::Word(_));
        let written = self.source.get(place.clone()).filter(|_| is_word).unwrap_or_default().to_owned();
        self.tokens.push(Token { kind, place, written });
    }

    /// Reads one token or one piece of nothing; `false` at the end.
    fn next(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        if first.is_whitespace() {
            self.at += first.len_utf8();
        } else if rest.starts_with("--") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.comment(rest);
        } else if first.is_alphabetic() || first == '_' || first == '@' {
            let length = length_while(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '@'));
            self.push(TokenKind::Word(rest[..length].to_uppercase()), length);
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            self.number(rest);
        } else if let Some(name) = variable(rest) {
            self.push(TokenKind::Variable(name.to_owned()), name.len() + 3);
        } else if matches!(first, '\'' | '"' | '`') {
            self.quoted(rest, first);
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.push(TokenKind::Symbol(symbol), symbol.len());
        } else {
            self.mistakes.push(
                Diagnostic::error(
                    "sql-character",
                    format!("`{}` means nothing here", first.escape_default()),
                )
                .label("not part of SQL")
                .help("text stands in single quotes: 'like this'")
                .at(self.at..self.at + first.len_utf8()),
            );
            self.at += first.len_utf8();
        }
        true
    }

    fn comment(&mut self, rest: &str) {
        if let Some(end) = rest.find("*/") {
            self.at += end + 2;
        } else {
            self.mistakes.push(
                Diagnostic::error("sql-unclosed", "a comment is not closed")
                    .label("it starts here")
                    .help("close it with `*/`")
                    .at(self.at..self.at + 2),
            );
            self.at = self.source.len();
        }
    }

    fn number(&mut self, rest: &str) {
        let digits = |text: &str| length_while(text, |c| c.is_ascii_digit());
        let mut length = digits(rest);
        let (mut whole, mut double) = (true, false);
        if rest[length..].starts_with('.') {
            whole = false;
            length += 1;
            length += digits(&rest[length..]);
        }
        let exponent = rest[length..].strip_prefix(['e', 'E']);
        if let Some(exponent) = exponent {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let power = digits(&exponent[sign..]);
            if power > 0 {
                double = true;
                length += 1 + sign + power;
            }
        }
        let text = rest[..length].to_owned();
        let kind = match (double, whole) {
            (true, _) => TokenKind::Double(text),
            (false, true) => TokenKind::Integer(text),
            (false, false) => TokenKind::Decimal(text),
        };
        self.push(kind, length);
    }

    fn quoted(&mut self, rest: &str, quote: char) {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((index, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.next_if(|(_, c)| *c == quote).is_some() {
                text.push(quote);
            } else {
                let kind = if quote == '\'' { TokenKind::Text(text) } else { TokenKind::Quoted(text) };
                self.push(kind, index + 1);
                return;
            }
        }
        let what = if quote == '\'' { "a text" } else { "a quoted name" };
        self.mistakes.push(
            Diagnostic::error("sql-unclosed", format!("{what} is not closed"))
                .label("it starts here")
                .help(format!("close it with {quote}; write {quote}{quote} for the character itself"))
                .at(self.at..self.at + 1),
        );
        self.at = self.source.len();
    }
}

/// The name in `${name}`, where the text begins so.
pub(super) fn variable(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let fits = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    (fits && !name.is_empty()).then_some(name)
}

fn length_while(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c| !accept(c)).unwrap_or(text.len())
}
