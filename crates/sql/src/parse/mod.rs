//! Source text into statements: lexer, statement parser, expressions by binding power.
//!
//! Names are upper case unless they stand in backticks or double quotes. Every mistake is a diagnostic with its place;
//! after one, parsing goes on behind the next semicolon, so that all are found at once.

pub mod ast;
mod clause;
mod expr;
mod lexer;
mod print;
mod show;
mod statement;
#[cfg(test)]
mod tests;
mod token;
mod types;
mod variables;
mod window;

pub use token::Place;
pub use variables::Variables;
pub(crate) use window::unit_ms;

use crate::limits::{DIAGNOSTICS_MAX, EXPRESSION_DEPTH_MAX, SOURCE_BYTES_MAX};
use ast::{Name, Statement};
use millstream_model::{Diagnostic, nearest};
use token::{Token, TokenKind};

/// All statements of `source`, and all mistakes. Places are bytes in `source`.
pub fn parse(source: &str) -> (Vec<Statement>, Vec<Diagnostic>) {
    parse_with(source, &mut Variables::default())
}

/// [`parse`], with the variables of a session: `${name}` stands for its value, and `DEFINE` and `UNDEFINE` change them for
/// the statements behind.
pub fn parse_with(source: &str, variables: &mut Variables) -> (Vec<Statement>, Vec<Diagnostic>) {
    let (tokens, mut mistakes) = lexer::tokens(source);
    let unreadable = !mistakes.is_empty();
    let mut parser = Parser { tokens, at: 0, depth: 0, variables, room: SOURCE_BYTES_MAX };
    let mut statements = Vec::new();
    while !parser.at_end() && mistakes.len() < DIAGNOSTICS_MAX {
        if parser.take_symbol(";") {
            continue;
        }
        let (found, changes) = parser.put_variables();
        if !found.is_empty() {
            mistakes.extend(found);
            parser.skip_statement();
            continue;
        }
        match parser.statement() {
            Ok(mut statement) => {
                if !changes.is_empty() {
                    statement.text = Some(variables::changed(source, &statement.place, &changes));
                }
                statements.push(statement);
            }
            Err(mistake) => {
                // Behind what could not be read, that the text ends is no second mistake.
                if !(unreadable && parser.at_end()) {
                    mistakes.push(*mistake);
                }
                parser.skip_statement();
            }
        }
    }
    mistakes.sort_by_key(|mistake| mistake.span.as_ref().map_or(0, |span| span.range.start));
    (statements, mistakes)
}

/// A mistake, boxed because results of the parser are passed up many levels.
type Mistake = Box<Diagnostic>;

struct Parser<'v> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    variables: &'v mut Variables,
    /// How many bytes the values of variables may still have.
    room: usize,
}

/// Words that are never names unless they are quoted.
const RESERVED: &[&str] = &[
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CREATE",
    "DESCRIBE",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "ESCAPE",
    "EXPLAIN",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "OUTER",
    "PARTITION",
    "RIGHT",
    "SELECT",
    "THEN",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
    "TRUE",
    "FALSE",
    "DISTINCT",
];

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> &Token {
        // The list ends with `End`, which is never passed.
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)]
    }

    /// Puts the session's variables into the statement that comes next.
    fn put_variables(&mut self) -> (Vec<Diagnostic>, Vec<variables::Change>) {
        let mut mistakes = Vec::new();
        if self.variables.off {
            return (mistakes, Vec::new());
        }
        let changes =
            variables::expand(&mut self.tokens, self.at, self.variables, &mut self.room, &mut mistakes);
        (mistakes, changes)
    }

    fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.peek().is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_word(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Takes all of `keywords` where they come next in order, else none.
    fn take_words(&mut self, keywords: &[&str]) -> bool {
        let found = keywords.iter().enumerate().all(|(by, keyword)| self.ahead(by).is_word(keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    fn expect_word(&mut self, keyword: &'static str) -> Result<(), Mistake> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.unexpected(&[keyword])) }
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Result<(), Mistake> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&[symbol])) }
    }

    fn name(&mut self, what: &'static str) -> Result<Name, Mistake> {
        let token = self.peek();
        let text = match &token.kind {
            TokenKind::Quoted(text) if !text.is_empty() => text.clone(),
            TokenKind::Word(word) if !RESERVED.contains(&word.as_str()) => word.clone(),
            TokenKind::Word(word) => {
                let help = format!("write `{word}` in backticks to use it as a name");
                return Err(Box::new(self.unexpected(&[what]).help(help)));
            }
            _ => return Err(self.unexpected(&[what])),
        };
        let place = self.advance().place;
        Ok(Name { text, place })
    }

    /// "Found this, expected that" at the next token, with the nearest expected keyword.
    fn unexpected(&self, expected: &[&str]) -> Mistake {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::Word(text)
            | TokenKind::Quoted(text)
            | TokenKind::Integer(text)
            | TokenKind::Decimal(text)
            | TokenKind::Double(text) => {
                format!("`{text}`")
            }
            TokenKind::Variable(name) => format!("`${{{name}}}`"),
            TokenKind::Text(text) => format!("'{text}'"),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::End => "the end of the text".to_owned(),
        };
        let is_keyword = |text: &&str| text.bytes().all(|byte| byte.is_ascii_uppercase());
        let list: Vec<String> =
            expected
                .iter()
                .map(|text| {
                    if is_keyword(text) || text.len() <= 2 { format!("`{text}`") } else { (*text).to_owned() }
                })
                .collect();
        let mut mistake = Diagnostic::error("sql-syntax", format!("{found} cannot stand here"))
            .label(format!("expected {}", list.join(", ")))
            .at(token.place.clone());
        if let TokenKind::Word(word) = &token.kind
            && let Some(near) = nearest(word, expected.iter().copied().filter(is_keyword))
        {
            mistake = mistake.help(format!("did you mean `{near}`?"));
        }
        Box::new(mistake)
    }

    /// Goes behind the next semicolon.
    fn skip_statement(&mut self) {
        self.depth = 0;
        while !self.at_end() && !self.take_symbol(";") {
            self.advance();
        }
    }

    /// From the start of the token at index `first` to the end of the last one taken.
    fn place_from(&self, first: usize) -> Place {
        let start = self.tokens[first.min(self.tokens.len() - 1)].place.start;
        let last = self.at.saturating_sub(1).max(first.min(self.tokens.len() - 1));
        start..self.tokens[last].place.end.max(start)
    }
}

fn too_deep(place: Place) -> Mistake {
    Box::new(
        Diagnostic::error(
            "sql-too-deep",
            format!("the expression has more than {EXPRESSION_DEPTH_MAX} levels"),
        )
        .label("too many levels")
        .help("use IN for lists, or split it over several streams")
        .at(place),
    )
}
