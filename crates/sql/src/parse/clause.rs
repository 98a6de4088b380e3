//! `SELECT` with its clauses, and `WITH (…)`.

use super::ast::{Emit, Name, Query, SelectItem, Source, WindowClause, WindowKind, WithOption};
use super::token::TokenKind;
use super::{Mistake, Parser, not_yet};
use millstream_model::Diagnostic;

/// Units of `SIZE`, `RETENTION` and `GRACE PERIOD` in milliseconds, singular.
const UNITS: &[(&str, i64)] =
    &[("MILLISECOND", 1), ("SECOND", 1_000), ("MINUTE", 60_000), ("HOUR", 3_600_000), ("DAY", 86_400_000)];

impl Parser {
    pub(super) fn query(&mut self) -> Result<Query, Mistake> {
        let first = self.at;
        self.expect_word("SELECT")?;
        if self.peek().is_word("DISTINCT") {
            return Err(not_yet("`SELECT DISTINCT`", self.peek().place.clone(), "use GROUP BY"));
        }
        let items = self.comma_separated(Self::select_item)?;
        self.expect_word("FROM")?;
        let name = self.name("a stream or table")?;
        let alias = if self.take_word("AS") { Some(self.name("an alias")?) } else { self.bare_alias()? };
        let (from, joins) = (Source { name, alias }, Vec::new());
        for word in ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER"] {
            if self.peek().is_word(word) {
                let place = self.peek().place.clone();
                return Err(not_yet("a join", place, "put the columns into one stream at its source"));
            }
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

    fn limit(&mut self) -> Result<Option<(u64, super::Place)>, Mistake> {
        if !self.take_word("LIMIT") {
            return Ok(None);
        }
        let token = self.peek().clone();
        let TokenKind::Integer(text) = &token.kind else { return Err(self.unexpected(&["a whole number"])) };
        let Ok(rows) = text.parse() else { return Err(self.unexpected(&["a smaller number"])) };
        self.advance();
        Ok(Some((rows, token.place)))
    }

    fn window(&mut self) -> Result<WindowClause, Mistake> {
        let first = self.at;
        if self.peek().is_word("HOPPING") || self.peek().is_word("SESSION") {
            return Err(not_yet(
                "this window",
                self.peek().place.clone(),
                "use WINDOW TUMBLING (SIZE 10 SECONDS)",
            ));
        }
        self.expect_word("TUMBLING")?;
        self.expect_symbol("(")?;
        self.expect_word("SIZE")?;
        let size_ms = self.duration()?;
        let (mut retention_ms, mut grace_ms) = (None, None);
        while self.take_symbol(",") {
            if self.take_word("RETENTION") {
                retention_ms = Some(self.duration()?);
            } else if self.take_words(&["GRACE", "PERIOD"]) {
                grace_ms = Some(self.duration()?);
            } else {
                return Err(self.unexpected(&["RETENTION", "GRACE PERIOD"]));
            }
        }
        self.expect_symbol(")")?;
        let place = self.place_from(first);
        if size_ms == 0 {
            return Err(Box::new(
                Diagnostic::error("sql-window", "a window needs a length")
                    .label("SIZE is zero")
                    .help("for example SIZE 10 SECONDS")
                    .at(place),
            ));
        }
        Ok(WindowClause { kind: WindowKind::Tumbling { size_ms }, retention_ms, grace_ms, place })
    }

    /// `10 SECONDS`, in milliseconds.
    fn duration(&mut self) -> Result<i64, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Integer(text) = &token.kind else {
            return Err(self.unexpected(&["a whole number and a unit, such as 10 SECONDS"]));
        };
        self.advance();
        let unit = self.peek().clone();
        let factor = match &unit.kind {
            TokenKind::Word(word) => {
                let singular = word.strip_suffix('S').unwrap_or(word);
                UNITS.iter().find(|(name, _)| *name == singular).map(|(_, factor)| *factor)
            }
            _ => None,
        };
        let Some(factor) = factor else {
            return Err(self.unexpected(&["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"]));
        };
        self.advance();
        let value = text.parse::<i64>().ok().and_then(|n| n.checked_mul(factor));
        value.filter(|ms| *ms <= 10_000 * 86_400_000).ok_or_else(|| {
            Box::new(
                Diagnostic::error("sql-duration", format!("{text} of this unit is too long"))
                    .label("at most 10000 DAYS")
                    .at(token.place.start..unit.place.end),
            )
        })
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
        let mut name = match &self.peek().kind {
            TokenKind::Text(_) => self.text("an option")?,
            _ => self.name("an option such as KAFKA_TOPIC")?,
        };
        name.text = name.text.to_uppercase();
        self.expect_symbol("=")?;
        let token = self.peek().clone();
        let (TokenKind::Text(value)
        | TokenKind::Integer(value)
        | TokenKind::Decimal(value)
        | TokenKind::Quoted(value)
        | TokenKind::Word(value)) = token.kind
        else {
            return Err(self.unexpected(&["a value, such as 'JSON' or 4"]));
        };
        self.advance();
        Ok(WithOption { name, value, place: token.place })
    }
}
