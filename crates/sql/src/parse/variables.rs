//! Session variables: what `DEFINE` made, and `${name}` in statements.

use super::Mistake;
use super::lexer::{self, variable};
use super::token::{Place, Token, TokenKind};
use millstream_model::{Diagnostic, nearest};
use std::collections::BTreeMap;

/// The variables of a session. Their names count in any letter case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Names as they were written, and values, by the names in upper case.
    defined: BTreeMap<String, (String, String)>,
    /// Whether `${name}` stays as it is (`SET 'ksql.variable.substitution.enable' = 'false'`).
    pub off: bool,
}

impl Variables {
    /// No variables, for statements that have them put in already.
    pub fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// Defines a variable, or changes it.
    pub fn define(&mut self, name: &str, value: &str) {
        self.defined.insert(name.to_uppercase(), (name.to_owned(), value.to_owned()));
    }

    /// Forgets a variable; `false` where there is none.
    pub fn undefine(&mut self, name: &str) -> bool {
        self.defined.remove(&name.to_uppercase()).is_some()
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.defined.get(&name.to_uppercase()).map(|(_, value)| value.as_str())
    }

    /// Names and values, sorted by the names.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.defined.values().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What stands for `${name}` outside of quotes: one name, number or text, so that a value can never become a part of
    /// the statement's own words.
    pub(super) fn token(&self, name: &str, place: &Place) -> Result<Vec<Token>, Mistake> {
        let Some(value) = self.value(name) else {
            let mistake = Diagnostic::error("sql-variable", format!("there is no variable `{name}`"))
                .label("not defined")
                .at(place.clone());
            return Err(Box::new(match nearest(name, self.all().map(|(known, _)| known)) {
                Some(near) => mistake.help(format!("did you mean ${{{near}}}?")),
                None => mistake.help(format!("DEFINE {name} = '…';")),
            }));
        };
        let (mut tokens, mistakes) = lexer::tokens(value);
        tokens.retain(|token| token.kind != TokenKind::End);
        let fits = match tokens.as_slice() {
            [one] => !matches!(one.kind, TokenKind::Symbol(_) | TokenKind::Variable(_)),
            [sign, number] => {
                (sign.is_symbol("-") || sign.is_symbol("+"))
                    && matches!(
                        number.kind,
                        TokenKind::Integer(_) | TokenKind::Decimal(_) | TokenKind::Double(_)
                    )
            }
            _ => false,
        };
        if !fits || !mistakes.is_empty() {
            return Err(Box::new(
                Diagnostic::error(
                    "sql-variable",
                    format!("the value of ${{{name}}} cannot stand here: {value}"),
                )
                .label("expected one name, number or text")
                .help(format!("a text has quotes of its own: DEFINE {name} = '''…''';"))
                .at(place.clone()),
            ));
        }
        for token in &mut tokens {
            token.place = place.clone();
        }
        Ok(tokens)
    }

    /// `text` with every known `${name}` replaced; `$${name}` is `${name}` itself, and unknown ones stay.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            if let Some(name) = from.strip_prefix('$').and_then(variable) {
                filled.push_str("${");
                filled.push_str(name);
                filled.push('}');
                rest = from.get(name.len() + 4..).unwrap_or_default();
            } else if let Some((name, value)) =
                variable(from).and_then(|name| Some((name, self.value(name)?)))
            {
                filled.push_str(value);
                rest = from.get(name.len() + 3..).unwrap_or_default();
            } else {
                filled.push('$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// A part of the text that variables changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Puts the variables into the tokens from `first` up to the next semicolon; says what changed, and what is wrong.
pub(super) fn expand(
    tokens: &mut Vec<Token>,
    first: usize,
    variables: &Variables,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut at = first;
    while let Some(token) = tokens.get_mut(at) {
        at += 1;
        match &mut token.kind {
            TokenKind::End | TokenKind::Symbol(";") => break,
            TokenKind::Variable(name) => {
                let (name, place) = (name.clone(), token.place.clone());
                match variables.token(&name, &place) {
                    Ok(new) => {
                        let text = variables.value(&name).unwrap_or_default().to_owned();
                        let count = new.len();
                        tokens.splice(at - 1..at, new);
                        at = at - 1 + count;
                        changes.push(Change { place, text });
                    }
                    Err(mistake) => mistakes.push(*mistake),
                }
            }
            TokenKind::Text(text) | TokenKind::Quoted(text) if text.contains('$') => {
                let filled = variables.fill(text);
                if filled != *text {
                    let quote = if matches!(token.kind, TokenKind::Text(_)) { "'" } else { "`" };
                    let written = filled.replace(quote, &quote.repeat(2));
                    changes.push(Change {
                        place: token.place.clone(),
                        text: format!("{quote}{written}{quote}"),
                    });
                    match &mut token.kind {
                        TokenKind::Text(text) | TokenKind::Quoted(text) => *text = filled,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    changes
}

/// The text of a statement with the changes in it.
pub(super) fn changed(source: &str, place: &Place, changes: &[Change]) -> String {
    let mut text = String::new();
    let mut at = place.start;
    for change in changes {
        text.push_str(source.get(at..change.place.start).unwrap_or_default());
        text.push_str(&change.text);
        at = change.place.end;
    }
    text.push_str(source.get(at..place.end).unwrap_or_default());
    text
}
