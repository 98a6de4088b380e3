//! Reads `.proto` texts, of syntax proto2 and proto3, into messages and enums. Options other than those that change how a
//! field is read are passed over, services and extensions too.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Enum, Field, Kind, Message, ProtobufFiles};
use super::lexer::{Token, tokens};
use crate::sql::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};

/// Protobuf's highest field number.
const NUMBER_MAX: u32 = 536_870_911;

/// Reads one text into a set of files.
#[derive(Debug)]
pub(super) struct Parser<'f> {
    files: &'f mut ProtobufFiles,
    tokens: Vec<Token>,
    at: usize,
    is_proto3: bool,
    package: String,
}

/// What stands in brackets behind a field.
#[derive(Debug, Default)]
struct Options {
    digits: Option<(u8, u8)>,
    default: Option<String>,
}

impl<'f> Parser<'f> {
    pub(super) const fn new(files: &'f mut ProtobufFiles) -> Self {
        Self { files, tokens: Vec::new(), at: 0, is_proto3: false, package: String::new() }
    }

    /// Reads a text; what it has at the top becomes roots.
    pub(super) fn file(&mut self, text: &str) -> Result<(), String> {
        self.tokens = tokens(text)?;
        while let Some(word) = self.next() {
            let Token::Word(word) = word else {
                if word == Token::Sign(';') {
                    continue;
                }
                return Err(format!("{word:?} where a definition should begin"));
            };
            match word.as_str() {
                "syntax" | "edition" => {
                    self.sign('=')?;
                    let syntax = self.text()?;
                    self.is_proto3 = syntax == "proto3";
                    if word == "edition" {
                        return Err("it has editions; proto2 and proto3 can be read".to_owned());
                    }
                    self.sign(';')?;
                }
                "package" => {
                    self.package = self.word()?;
                    self.sign(';')?;
                }
                "message" => {
                    let scope = self.package.clone();
                    let id = self.message(&scope, 0)?;
                    self.files.roots.push(id);
                }
                "enum" => {
                    let scope = self.package.clone();
                    self.one_enum(&scope)?;
                }
                _ => self.pass_over()?,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at = self.at.saturating_add(1);
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        match self.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            other => Err(format!("{} where `{sign}` should stand", name_of(other.as_ref()))),
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("{} where a name should stand", name_of(other.as_ref()))),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(format!("{} where a text should stand", name_of(other.as_ref()))),
        }
    }

    /// Passes over a statement: to its `;`, or over its block.
    fn pass_over(&mut self) -> Result<(), String> {
        let mut open = 0_usize;
        loop {
            match self.next() {
                Some(Token::Sign('{')) => open = open.saturating_add(1),
                Some(Token::Sign('}')) => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        // An option with a block has a `;` behind it.
                        self.takes(';');
                        return Ok(());
                    }
                }
                Some(Token::Sign(';')) if open == 0 => return Ok(()),
                Some(_) => {}
                None => return Err("it ends inside a definition".to_owned()),
            }
        }
    }

    fn message(&mut self, scope: &str, depth: usize) -> Result<usize, String> {
        if depth > SCHEMA_DEPTH_MAX || self.files.messages.len() >= SCHEMA_NODES_MAX {
            return Err("it has too many messages".to_owned());
        }
        let simple = self.word()?;
        let name = join(scope, &simple);
        if self.files.messages.iter().any(|known| known.name == name) {
            return Err(format!("message `{name}` stands twice"));
        }
        let id = self.files.messages.len();
        let empty =
            Message { name: name.clone(), fields: Vec::new(), nested: Vec::new(), oneofs: Vec::new() };
        self.files.messages.push(empty.clone());
        let mut message = empty;
        self.sign('{')?;
        while !self.takes('}') {
            self.member(&mut message, None, depth)?;
        }
        let mut numbers: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() != message.fields.len() {
            return Err(format!("message `{name}` has two fields of one number"));
        }
        if let Some(place) = self.files.messages.get_mut(id) {
            *place = message;
        }
        Ok(id)
    }

    fn member(&mut self, message: &mut Message, oneof: Option<usize>, depth: usize) -> Result<(), String> {
        if self.takes(';') {
            return Ok(());
        }
        let scope = message.name.clone();
        let word = self.word()?;
        let is_field = matches!(self.peek(), Some(Token::Word(_))) || self.peek() == Some(&Token::Sign('<'));
        match (word.as_str(), is_field) {
            ("message", true) => {
                let id = self.message(&scope, depth.saturating_add(1))?;
                message.nested.push(id);
                Ok(())
            }
            ("enum", true) => self.one_enum(&scope),
            ("oneof", true) if oneof.is_none() => {
                let place = message.oneofs.len();
                let name = self.word()?;
                message.oneofs.push(name);
                self.sign('{')?;
                while !self.takes('}') {
                    self.member(message, Some(place), depth)?;
                }
                Ok(())
            }
            ("option" | "extensions" | "extend" | "reserved", _) => self.pass_over(),
            ("map", _) if self.takes('<') => self.map(message),
            (label @ ("optional" | "required" | "repeated"), true) => {
                let kind = self.word()?;
                self.field(message, &kind, Some(label), oneof)
            }
            (kind, _) => {
                let kind = kind.to_owned();
                self.field(message, &kind, None, oneof)
            }
        }
    }

    fn map(&mut self, message: &mut Message) -> Result<(), String> {
        let key = self.word()?;
        self.sign(',')?;
        let value = self.word()?;
        self.sign('>')?;
        let name = self.word()?;
        let scope = message.name.clone();
        let part = |name: &str, number: u32, kind: &str| Field {
            name: name.to_owned(),
            number,
            kind: kind_of(kind, &scope),
            is_repeated: false,
            has_presence: false,
            is_required: false,
            oneof: None,
            digits: None,
            default: None,
        };
        let id = self.files.messages.len();
        if id >= SCHEMA_NODES_MAX {
            return Err("it has too many messages".to_owned());
        }
        self.files.messages.push(Message {
            name: format!("{scope}.{name}.Entry"),
            fields: vec![part("key", 1, &key), part("value", 2, &value)],
            nested: Vec::new(),
            oneofs: Vec::new(),
        });
        let number = self.number()?;
        self.options()?;
        let mut field = part(&name, number, "bytes");
        field.kind = Kind::Message(id);
        field.is_repeated = true;
        message.fields.push(field);
        Ok(())
    }

    /// `= 5`.
    fn number(&mut self) -> Result<u32, String> {
        self.sign('=')?;
        let word = self.word()?;
        let number = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        };
        number
            .filter(|number| (1..=NUMBER_MAX).contains(number))
            .ok_or_else(|| format!("`{word}` is no number of a field"))
    }

    fn field(
        &mut self,
        message: &mut Message,
        kind: &str,
        label: Option<&str>,
        oneof: Option<usize>,
    ) -> Result<(), String> {
        if kind == "group" {
            return Err("it has a group; say message instead".to_owned());
        }
        let name = self.word()?;
        let number = self.number()?;
        let options = self.options()?;
        let is_repeated = label == Some("repeated");
        message.fields.push(Field {
            name,
            number,
            kind: kind_of(kind, &message.name),
            is_repeated,
            has_presence: !is_repeated && (oneof.is_some() || label.is_some() || !self.is_proto3),
            is_required: label == Some("required"),
            oneof,
            digits: options.digits,
            default: options.default,
        });
        if self.peek() == Some(&Token::Sign(';')) {
            self.at = self.at.saturating_add(1);
        }
        Ok(())
    }

    /// `[deprecated = true, (confluent.field_meta) = {…}]`, and the `;` behind it.
    fn options(&mut self) -> Result<Options, String> {
        let mut options = Options::default();
        if !self.takes('[') {
            self.takes(';');
            return Ok(options);
        }
        let start = self.at;
        let mut open = 1_usize;
        while open > 0 {
            match self.next() {
                Some(Token::Sign('[')) => open = open.saturating_add(1),
                Some(Token::Sign(']')) => open = open.saturating_sub(1),
                Some(_) => {}
                None => return Err("it ends inside the options of a field".to_owned()),
            }
        }
        let inside = self.tokens.get(start..self.at).unwrap_or_default();
        options.default = inside.windows(3).find_map(|three| match three {
            [Token::Word(name), Token::Sign('='), Token::Word(value) | Token::Text(value)]
                if name == "default" =>
            {
                Some(value.clone())
            }
            _ => None,
        });
        options.digits = digits(inside);
        self.takes(';');
        Ok(options)
    }

    fn one_enum(&mut self, scope: &str) -> Result<(), String> {
        let name = join(scope, &self.word()?);
        let mut values = Vec::new();
        self.sign('{')?;
        while !self.takes('}') {
            if self.takes(';') {
                continue;
            }
            let word = self.word()?;
            if self.peek() != Some(&Token::Sign('=')) {
                self.pass_over()?;
                continue;
            }
            self.sign('=')?;
            let negative = self.takes('-');
            let digits = self.word()?;
            let value: i64 = match digits.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).map_err(|_| digits.clone()),
                None => digits.parse().map_err(|_| digits.clone()),
            }
            .map_err(|digits| format!("`{digits}` is no number of enum `{name}`"))?;
            let value = if negative { value.saturating_neg() } else { value };
            let value =
                i32::try_from(value).map_err(|_| format!("enum `{name}`: {value} has more than 32 bits"))?;
            values.push((value, word));
            self.options()?;
        }
        self.files.enums.push(Enum { name, values });
        Ok(())
    }
}

/// `precision` and `scale` among the `params` of `(confluent.field_meta)`, each as `{ value: "4", key: "precision" }`.
fn digits(tokens: &[Token]) -> Option<(u8, u8)> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let (mut key, mut value) = (None, None);
    for three in tokens.windows(3) {
        if let [Token::Word(name), Token::Sign(':'), Token::Text(text)] = three {
            match name.as_str() {
                "key" => key = Some(text.as_str()),
                "value" => value = Some(text.as_str()),
                _ => {}
            }
        }
        if let (Some(k), Some(v)) = (key, value) {
            pairs.push((k, v));
            (key, value) = (None, None);
        }
    }
    let find =
        |name: &str| pairs.iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok());
    Some((find("precision")?, find("scale").unwrap_or(0)))
}

fn kind_of(name: &str, scope: &str) -> Kind {
    Kind::scalar(name).unwrap_or_else(|| Kind::Named(name.to_owned(), scope.to_owned()))
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn name_of(token: Option<&Token>) -> String {
    match token {
        Some(Token::Word(word)) => format!("`{word}`"),
        Some(Token::Text(text)) => format!("\"{text}\""),
        Some(Token::Sign(sign)) => format!("`{sign}`"),
        None => "the end".to_owned(),
    }
}
