//! Tokens with their places.

use std::ops::Range;

/// A place in the source text, in bytes.
pub type Place = Range<usize>;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) place: Place,
    /// A word as it stands in the text; empty for what is no word.
    pub(crate) written: String,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// A bare word, in upper case: a keyword or a name.
    Word(String),
    /// `${name}` outside of quotes.
    Variable(String),
    /// A name in backticks or double quotes, as written.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A whole number.
    Integer(String),
    /// A number with a point and without an exponent.
    Decimal(String),
    /// A number with an exponent.
    Double(String),
    /// A symbol such as `<=`.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// Whether it is this keyword.
    pub(crate) fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word == keyword)
    }

    /// Whether it is this symbol.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.kind, TokenKind::Symbol(found) if *found == symbol)
    }
}

/// Symbols, longer ones first.
pub(crate) const SYMBOLS: &[&str] = &[
    "<>", "!=", "<=", ">=", "->", "=>", ":=", "||", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",",
    ".", ";", "[", "]", "{", "}", ":", "?",
];
