//! Windows, `WITHIN`, and lengths of time.

use super::ast::{WindowClause, WindowKind, Within};
use super::token::TokenKind;
use super::{Mistake, Parser};
use millstream_model::Diagnostic;

/// Units of time in milliseconds, singular.
const UNITS: &[(&str, i64)] =
    &[("MILLISECOND", 1), ("SECOND", 1_000), ("MINUTE", 60_000), ("HOUR", 3_600_000), ("DAY", 86_400_000)];

/// How many milliseconds a unit has, singular or plural, in upper case.
pub(crate) fn unit_ms(word: &str) -> Option<i64> {
    let singular = word.strip_suffix('S').unwrap_or(word);
    UNITS.iter().find(|(name, _)| *name == singular).map(|(_, factor)| *factor)
}

impl Parser<'_> {
    /// What comes behind `WINDOW`.
    pub(super) fn window(&mut self) -> Result<WindowClause, Mistake> {
        const KINDS: [&str; 3] = ["TUMBLING", "HOPPING", "SESSION"];
        // ksqlDB lets a window have a name, and makes nothing of it.
        if !KINDS.iter().any(|kind| self.peek().is_word(kind))
            && KINDS.iter().any(|kind| self.ahead(1).is_word(kind))
        {
            self.name("a window's name")?;
        }
        let first = self.at;
        let kind = if self.take_word("TUMBLING") {
            self.expect_symbol("(")?;
            self.expect_word("SIZE")?;
            WindowKind::Tumbling { size_ms: self.length("SIZE")? }
        } else if self.take_word("HOPPING") {
            self.expect_symbol("(")?;
            self.expect_word("SIZE")?;
            let size_ms = self.length("SIZE")?;
            self.expect_symbol(",")?;
            self.expect_word("ADVANCE")?;
            self.expect_word("BY")?;
            let at = self.at;
            let advance_ms = self.length("ADVANCE BY")?;
            if advance_ms > size_ms {
                return Err(Box::new(
                    Diagnostic::error("sql-window", "a window cannot advance by more than its size")
                        .label("longer than SIZE")
                        .help("rows between two windows would be lost; make ADVANCE BY at most SIZE")
                        .at(self.place_from(at)),
                ));
            }
            WindowKind::Hopping { size_ms, advance_ms }
        } else if self.take_word("SESSION") {
            self.expect_symbol("(")?;
            WindowKind::Session { gap_ms: self.length("the gap")? }
        } else {
            return Err(self.unexpected(&KINDS));
        };
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
        Ok(WindowClause { kind, retention_ms, grace_ms, place: self.place_from(first) })
    }

    /// A duration of more than nothing.
    fn length(&mut self, what: &str) -> Result<i64, Mistake> {
        let first = self.at;
        let ms = self.duration()?;
        if ms > 0 {
            return Ok(ms);
        }
        Err(Box::new(
            Diagnostic::error("sql-window", "a window needs a length")
                .label(format!("{what} is zero"))
                .help("for example 10 SECONDS")
                .at(self.place_from(first)),
        ))
    }

    /// What comes behind `WITHIN`.
    pub(super) fn within(&mut self) -> Result<Within, Mistake> {
        let first = self.at;
        let (before_ms, after_ms) = if self.take_symbol("(") {
            let before_ms = self.duration()?;
            self.expect_symbol(",")?;
            let after_ms = self.duration()?;
            self.expect_symbol(")")?;
            (before_ms, after_ms)
        } else {
            let both_ms = self.duration()?;
            (both_ms, both_ms)
        };
        let grace_ms = if self.take_words(&["GRACE", "PERIOD"]) { Some(self.duration()?) } else { None };
        Ok(Within { before_ms, after_ms, grace_ms, place: self.place_from(first) })
    }

    /// `10 SECONDS`, in milliseconds.
    pub(super) fn duration(&mut self) -> Result<i64, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Integer(text) = &token.kind else {
            return Err(self.unexpected(&["a whole number and a unit, such as 10 SECONDS"]));
        };
        self.advance();
        let unit = self.peek().clone();
        let factor = match &unit.kind {
            TokenKind::Word(word) => unit_ms(word),
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
}
