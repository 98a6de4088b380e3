//! Who a client is: principals, and the rules that make one of a certificate's subject.

use crate::wire::security::SecurityError;
use regex_lite::Regex;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Who a client is (Kafka's `KafkaPrincipal` of type `User`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Principal(Arc<str>);

/// A client that did not sign in.
pub(crate) const ANONYMOUS: &str = "ANONYMOUS";
/// Characters of a user's name, at most.
const NAME_CHARACTERS: usize = 255;

impl Principal {
    /// A user that signed in. `None` for a name that no user may have, because ACLs give it another meaning.
    pub(crate) fn user(name: &str) -> Option<Self> {
        is_user_name(name).then(|| Self(name.into()))
    }

    /// Anyone.
    pub(crate) fn anonymous() -> Self {
        Self(ANONYMOUS.into())
    }

    /// The name without its type.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "User:{}", self.0)
    }
}

/// Whether a user may be called so: `*` means everyone in ACLs, and `ANONYMOUS` those who did not sign in.
pub fn is_user_name(name: &str) -> bool {
    let is_long = name.chars().nth(NAME_CHARACTERS).is_some();
    !name.is_empty() && !is_long && name != "*" && name != ANONYMOUS && !name.chars().any(char::is_control)
}

/// How the distinguished name of a certificate becomes the name of a user: Kafka's `ssl.principal.mapping.rules`
/// (`RULE:pattern/replacement/[LU]` and `DEFAULT`, separated by commas or line ends; the first that matches counts).
#[derive(Debug, Clone)]
pub struct PrincipalRules {
    text: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    /// The distinguished name as it is.
    Default,
    Mapping {
        pattern: Regex,
        replacement: Vec<Piece>,
        case: Case,
    },
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// What a group of the pattern has matched.
    Group(usize),
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl Default for PrincipalRules {
    fn default() -> Self {
        Self { text: "DEFAULT".to_owned(), rules: vec![Rule::Default] }
    }
}

impl PartialEq for PrincipalRules {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PrincipalRules {}

impl FromStr for PrincipalRules {
    type Err = SecurityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: &str| {
            SecurityError::Setting(format!(
                "the principal mapping {text:?} {what}: write `RULE:pattern/replacement/` (and L or U behind it) or `DEFAULT`, \
                 with commas between several"
            ))
        };
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (rule, behind) = if let Some(behind) = rest.strip_prefix("DEFAULT") {
                (Rule::Default, behind)
            } else {
                let body = rest.strip_prefix("RULE:").ok_or_else(|| wrong("has a part that is no rule"))?;
                mapping(body).map_err(wrong)?
            };
            rules.push(rule);
            let behind = behind.trim_start_matches([' ', '\t', '\r']);
            rest = match behind.strip_prefix([',', '\n']) {
                Some(next) => next.trim_start(),
                None if behind.is_empty() => "",
                None => return Err(wrong("has something behind a rule")),
            };
        }
        if rules.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { text: text.to_owned(), rules })
    }
}

impl PrincipalRules {
    /// The name of the user; `None` where no rule matches, and then the client is not let in.
    pub(crate) fn apply(&self, distinguished_name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| rule.apply(distinguished_name))
    }
}

impl Rule {
    fn apply(&self, distinguished_name: &str) -> Option<String> {
        let Self::Mapping { pattern, replacement, case } = self else {
            return Some(distinguished_name.to_owned());
        };
        let captures = pattern.captures(distinguished_name)?;
        let mut name = String::new();
        for piece in replacement {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Group(group) => name.push_str(captures.get(*group).map_or("", |group| group.as_str())),
            }
        }
        Some(match case {
            Case::Kept => name,
            Case::Lower => name.to_lowercase(),
            Case::Upper => name.to_uppercase(),
        })
    }
}

/// `pattern/replacement/[LU]`, and what follows. A slash that belongs to the pattern or the replacement has a backslash before it.
fn mapping(body: &str) -> Result<(Rule, &str), &'static str> {
    let (pattern, body) = until_slash(body).ok_or("has a rule without a slash behind its pattern")?;
    let (replacement, body) = until_slash(body).ok_or("has a rule without a slash behind its replacement")?;
    let (case, behind) = match body.as_bytes().first() {
        Some(b'L') => (Case::Lower, &body[1..]),
        Some(b'U') => (Case::Upper, &body[1..]),
        _ => (Case::Kept, body),
    };
    // The whole name must match, as in Kafka.
    let pattern =
        Regex::new(&format!("^(?:{pattern})$")).map_err(|_| "has a pattern that is no regular expression")?;
    let replacement = pieces(replacement, pattern.captures_len());
    Ok((Rule::Mapping { pattern, replacement, case }, behind))
}

fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if character == '/' && !escaped {
            return Some((&text[..at], &text[at + 1..]));
        }
        escaped = character == '\\' && !escaped;
    }
    None
}

/// `$1` is a group if the pattern has so many, and text otherwise; a backslash takes the next character as it is.
fn pieces(replacement: &str, groups: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut characters = replacement.chars().peekable();
    while let Some(character) = characters.next() {
        let digit = characters
            .peek()
            .and_then(|next| next.to_digit(10))
            .and_then(|digit| usize::try_from(digit).ok());
        match (character, digit) {
            ('$', Some(group)) if group < groups => {
                characters.next();
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Group(group));
            }
            ('\\', _) => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

#[cfg(test)]
mod tests;
