//! Session variables: what `DEFINE` made, and `${name}` in statements.

use super::Mistake;
use super::lexer::{self, variable};
use super::token::{Place, Token, TokenKind};
use crate::limits::SOURCE_BYTES_MAX;
use crate::session::DefaultFormats;
use millstream_model::{Diagnostic, nearest};
use std::collections::BTreeMap;

/// The variables of a session. Their names count in any letter case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Names as they were written, and values, by the names in upper case.
    defined: BTreeMap<String, (String, String)>,
    /// Whether `${name}` stays as it is (`SET 'ksql.variable.substitution.enable' = 'false'`).
    pub off: bool,
    /// What `SET` said of formats, before these statements.
    pub formats: DefaultFormats,
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

    /// `text` with every known `${name}` replaced; `$${name}` is `${name}` itself, and unknown ones stay. Values count against
    /// `room`; `None` where it is not enough.
    fn fill(&self, text: &str, room: &mut usize) -> Option<String> {
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
                *room = room.checked_sub(value.len())?;
                filled.push_str(value);
                rest = from.get(name.len() + 3..).unwrap_or_default();
            } else {
                filled.push('$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        filled.push_str(rest);
        Some(filled)
    }
}

/// A part of the text that variables changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) text: String,
}

/// "The statements become too long": variables in variables grow without end.
fn too_long(place: Place) -> Diagnostic {
    Diagnostic::error("sql-variable", "with the values of its variables the text becomes too long")
        .label(format!("the values have more than {SOURCE_BYTES_MAX} bytes together"))
        .help("define shorter values, or send the statements one by one")
        .at(place)
}

fn ends(token: &Token) -> bool {
    matches!(token.kind, TokenKind::End | TokenKind::Symbol(";"))
}

/// Puts the variables into the tokens from `first` up to the next semicolon; says what changed, and what is wrong. Values
/// count against `room`.
pub(super) fn expand(
    tokens: &mut Vec<Token>,
    first: usize,
    variables: &Variables,
    room: &mut usize,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Change> {
    let (mut changes, mut made) = (Vec::new(), Vec::new());
    let end = tokens.iter().skip(first).position(ends).map_or(tokens.len(), |length| first + length);
    let part = tokens.get_mut(first..end).unwrap_or_default();
    let grows = part.iter().any(|token| matches!(token.kind, TokenKind::Variable(_)));
    for token in part {
        let place = token.place.clone();
        match &mut token.kind {
            TokenKind::Variable(name) => {
                let value = variables.value(name).unwrap_or_default();
                let Some(left) = room.checked_sub(value.len()) else {
                    mistakes.push(too_long(place));
                    return changes;
                };
                *room = left;
                match variables.token(name, &place) {
                    Ok(new) => {
                        changes.push(Change { place, text: value.to_owned() });
                        made.extend(new);
                    }
                    Err(mistake) => mistakes.push(*mistake),
                }
                continue;
            }
            TokenKind::Text(text) | TokenKind::Quoted(text) if text.contains('$') => {
                let Some(filled) = variables.fill(text, room) else {
                    mistakes.push(too_long(place));
                    return changes;
                };
                if filled != *text {
                    text.clone_from(&filled);
                    let quote = if matches!(token.kind, TokenKind::Text(_)) { "'" } else { "`" };
                    let written = filled.replace(quote, &quote.repeat(2));
                    changes.push(Change { place, text: format!("{quote}{written}{quote}") });
                }
            }
            _ => {}
        }
        if grows {
            made.push(token.clone());
        }
    }
    if grows && mistakes.is_empty() {
        tokens.splice(first..end, made);
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
