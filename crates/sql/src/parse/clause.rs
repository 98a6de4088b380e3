//! `SELECT` with its clauses, and `WITH (…)`.

use super::ast::{Emit, Join, JoinKind, Name, Query, SelectItem, Source, WithOption};
use super::token::TokenKind;
use super::{Mistake, Parser};
use crate::limits::JOINS_MAX;
use millstream_model::Diagnostic;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query, Mistake> {
        let first = self.at;
        self.expect_word("SELECT")?;
        if self.peek().is_word("DISTINCT") {
            return Err(Box::new(
                Diagnostic::error("sql-unsupported", "there is no SELECT DISTINCT")
                    .label("not in ksqlDB's dialect")
                    .help("GROUP BY the columns in a CREATE TABLE … AS SELECT: a table has every key once")
                    .at(self.peek().place.clone()),
            ));
        }
        let items = self.comma_separated(Self::select_item)?;
        self.expect_word("FROM")?;
        let from = self.source()?;
        let mut joins = Vec::new();
        while let Some(join) = self.join()? {
            if joins.len() == JOINS_MAX {
                return Err(Box::new(
                    Diagnostic::error("sql-too-long", format!("there are more than {JOINS_MAX} joins"))
                        .label("one too many")
                        .help("join some of them into a stream or table of its own first")
                        .at(join.source.name.place),
                ));
            }
            joins.push(join);
        }
        if self.peek().is_symbol(",") {
            return Err(Box::new(
                Diagnostic::error("sql-join", "sources are joined in words")
                    .label("expected JOIN")
                    .help("FROM a JOIN b WITHIN 10 SECONDS ON a.id = b.id")
                    .at(self.peek().place.clone()),
            ));
        }
        let window = if self.take_word("WINDOW") { Some(self.window()?) } else { None };
        let filter = if self.take_word("WHERE") { Some(self.expr()?) } else { None };
        let group_by = self.expressions_after(&["GROUP", "BY"])?;
        let partition_by = self.expressions_after(&["PARTITION", "BY"])?;
        let having = if self.take_word("HAVING") { Some(self.expr()?) } else { None };
        let emit = self.emit()?;
        let limit = self.limit()?;
        let place = self.place_from(first);
        Ok(Query { items, from, joins, window, filter, group_by, partition_by, having, emit, limit, place })
    }

    fn source(&mut self) -> Result<Source, Mistake> {
        if self.peek().is_symbol("(") {
            return Err(Box::new(
                Diagnostic::error("sql-subquery", "a query cannot stand inside another one")
                    .label("expected a stream or table")
                    .help("CREATE STREAM … AS SELECT … makes a stream of the inner one; select from that")
                    .at(self.peek().place.clone()),
            ));
        }
        let name = self.name("a stream or table")?;
        let alias = if self.take_word("AS") { Some(self.name("an alias")?) } else { self.bare_alias()? };
        Ok(Source { name, alias })
    }

    fn join(&mut self) -> Result<Option<Join>, Mistake> {
        let first = self.at;
        let kind = if self.take_word("JOIN") {
            JoinKind::Inner
        } else {
            let kind = match &self.peek().kind {
                TokenKind::Word(word) => match word.as_str() {
                    "INNER" => JoinKind::Inner,
                    "LEFT" => JoinKind::Left,
                    "RIGHT" => JoinKind::Right,
                    "FULL" => JoinKind::Full,
                    "OUTER" | "CROSS" | "NATURAL" => {
                        return Err(self.unexpected(&["JOIN", "LEFT", "RIGHT", "FULL", "INNER"]));
                    }
                    _ => return Ok(None),
                },
                _ => return Ok(None),
            };
            self.advance();
            if kind != JoinKind::Inner {
                self.take_word("OUTER");
            }
            self.expect_word("JOIN")?;
            kind
        };
        let source = self.source()?;
        let within = if self.take_word("WITHIN") { Some(self.within()?) } else { None };
        if !self.take_word("ON") {
            return Err(self.unexpected(if within.is_some() { &["ON"] } else { &["WITHIN", "ON"] }));
        }
        let on = self.expr()?;
        Ok(Some(Join { kind, source, within, on, place: self.place_from(first) }))
    }

    fn bare_alias(&mut self) -> Result<Option<Name>, Mistake> {
        let is_name = match &self.peek().kind {
            TokenKind::Quoted(_) => true,
            TokenKind::Word(word) => !super::RESERVED.contains(&word.as_str()),
            _ => false,
        };
        if is_name { self.name("an alias").map(Some) } else { Ok(None) }
    }

    fn expressions_after(&mut self, words: &[&str]) -> Result<Vec<super::ast::Expr>, Mistake> {
        if !self.take_words(words) {
            return Ok(Vec::new());
        }
        // `GROUP BY (a, b)` is the same as `GROUP BY a, b`.
        let start = self.at;
        if self.take_symbol("(")
            && let Ok(all) = self.comma_separated(Self::expr)
            && all.len() > 1
            && self.take_symbol(")")
        {
            return Ok(all);
        }
        self.at = start;
        self.comma_separated(Self::expr)
    }

    fn select_item(&mut self) -> Result<SelectItem, Mistake> {
        let first = self.at;
        if self.take_symbol("*") {
            return Ok(SelectItem::All { qualifier: None, place: self.place_from(first) });
        }
        if self.ahead(1).is_symbol(".") && self.ahead(2).is_symbol("*") {
            let qualifier = Some(self.name("a stream or table")?);
            self.advance();
            self.advance();
            return Ok(SelectItem::All { qualifier, place: self.place_from(first) });
        }
        let expr = self.expr()?;
        if self.peek().is_symbol("->") && self.ahead(1).is_symbol("*") {
            self.advance();
            self.advance();
            return Ok(SelectItem::Fields { expr });
        }
        let alias = if self.take_word("AS") { Some(self.name("an alias")?) } else { self.bare_alias()? };
        Ok(SelectItem::Expr { expr, alias })
    }

    fn emit(&mut self) -> Result<Option<(Emit, super::Place)>, Mistake> {
        let first = self.at;
        if !self.take_word("EMIT") {
            return Ok(None);
        }
        let emit = if self.take_word("CHANGES") {
            Emit::Changes
        } else if self.take_word("FINAL") {
            Emit::Final
        } else {
            return Err(self.unexpected(&["CHANGES", "FINAL"]));
        };
        Ok(Some((emit, self.place_from(first))))
    }

    pub(super) fn limit(&mut self) -> Result<Option<(u64, super::Place)>, Mistake> {
        if self.take_word("LIMIT") { self.whole_number("how many rows").map(Some) } else { Ok(None) }
    }

    /// `WITH (NAME = value, …)`; empty where there is none.
    pub(super) fn with_options(&mut self) -> Result<Vec<WithOption>, Mistake> {
        if !self.take_word("WITH") {
            return Ok(Vec::new());
        }
        self.expect_symbol("(")?;
        if self.take_symbol(")") {
            return Ok(Vec::new());
        }
        let options = self.comma_separated(Self::with_option)?;
        self.expect_symbol(")")?;
        Ok(options)
    }

    fn with_option(&mut self) -> Result<WithOption, Mistake> {
        let mut option = self.property()?;
        option.name.text = option.name.text.to_uppercase();
        Ok(option)
    }

    /// `NAME = value`, the name as it is written.
    pub(super) fn property(&mut self) -> Result<WithOption, Mistake> {
        let written = self.peek().written.clone();
        let mut name = match &self.peek().kind {
            TokenKind::Text(_) => self.text("an option")?,
            _ => self.name("an option such as KAFKA_TOPIC")?,
        };
        if !written.is_empty() {
            name.text = written;
        }
        self.expect_symbol("=")?;
        let first = self.at;
        let sign = if self.take_symbol("-") { "-" } else { "" };
        let token = self.peek().clone();
        let (TokenKind::Text(value)
        | TokenKind::Integer(value)
        | TokenKind::Decimal(value)
        | TokenKind::Double(value)
        | TokenKind::Quoted(value)
        | TokenKind::Word(value)) = token.kind
        else {
            return Err(self.unexpected(&["a value, such as 'JSON' or 4"]));
        };
        self.advance();
        Ok(WithOption { name, value: format!("{sign}{value}"), place: self.place_from(first) })
    }
}
