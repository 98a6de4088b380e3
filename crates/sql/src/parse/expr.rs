//! Expressions, by binding power.

use super::ast::{BinaryOp, Expr, ExprKind, Literal, Name, TypeName};
use super::token::TokenKind;
use super::{Mistake, Parser, Place, too_deep};
use crate::limits::{EXPRESSION_DEPTH_MAX, LIST_MAX};
use millstream_format::sql::Decimal;
use millstream_model::Diagnostic;

/// Binding powers, loosest first.
mod power {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const PREDICATE: u8 = 4;
    pub(super) const SUM: u8 = 5;
    pub(super) const PRODUCT: u8 = 6;
    pub(super) const SIGN: u8 = 7;
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, Mistake> {
        self.expr_above(0)
    }

    /// An expression whose operators bind tighter than `floor`.
    fn expr_above(&mut self, floor: u8) -> Result<Expr, Mistake> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(too_deep(self.peek().place.clone()));
        }
        let first = self.at;
        let prefix = self.prefix()?;
        let mut left = self.postfix(prefix, first)?;
        while let Some((op, power)) = self.infix() {
            if power <= floor {
                break;
            }
            left = self.continue_with(&op, power, left, first)?;
            if left.height > EXPRESSION_DEPTH_MAX {
                return Err(too_deep(left.place));
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that comes next, without taking it.
    fn infix(&self) -> Option<(Infix, u8)> {
        use BinaryOp as B;
        let binary = |op, power| Some((Infix::Binary(op), power));
        match &self.peek().kind {
            TokenKind::Symbol(symbol) => match *symbol {
                "=" => binary(B::Equal, power::PREDICATE),
                "<>" | "!=" => binary(B::NotEqual, power::PREDICATE),
                "<" => binary(B::Less, power::PREDICATE),
                "<=" => binary(B::LessOrEqual, power::PREDICATE),
                ">" => binary(B::Greater, power::PREDICATE),
                ">=" => binary(B::GreaterOrEqual, power::PREDICATE),
                "+" => binary(B::Add, power::SUM),
                "||" => Some((Infix::Concat, power::SUM)),
                "-" => binary(B::Subtract, power::SUM),
                "*" => binary(B::Multiply, power::PRODUCT),
                "/" => binary(B::Divide, power::PRODUCT),
                "%" => binary(B::Modulo, power::PRODUCT),
                _ => None,
            },
            TokenKind::Word(word) => match word.as_str() {
                "OR" => binary(B::Or, power::OR),
                "AND" => binary(B::And, power::AND),
                "IS" => Some((Infix::Is, power::PREDICATE)),
                "BETWEEN" | "IN" | "LIKE" => Some((Infix::Predicate, power::PREDICATE)),
                "NOT" if ["BETWEEN", "IN", "LIKE"].iter().any(|word| self.ahead(1).is_word(word)) => {
                    Some((Infix::Predicate, power::PREDICATE))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn continue_with(&mut self, op: &Infix, power: u8, left: Expr, first: usize) -> Result<Expr, Mistake> {
        let left = Box::new(left);
        let kind = match op {
            Infix::Binary(op) => {
                self.advance();
                let right = Box::new(self.expr_above(power)?);
                ExprKind::Binary { op: *op, left, right }
            }
            Infix::Concat => {
                let name = Name { text: "CONCAT".to_owned(), place: self.advance().place };
                let right = self.expr_above(power)?;
                ExprKind::Call { name, args: vec![*left, right], star: false }
            }
            Infix::Is => {
                self.advance();
                let negated = self.take_word("NOT");
                if self.take_words(&["DISTINCT", "FROM"]) {
                    let op = if negated { BinaryOp::NotDistinct } else { BinaryOp::Distinct };
                    let right = Box::new(self.expr_above(power::PREDICATE)?);
                    ExprKind::Binary { op, left, right }
                } else {
                    self.expect_word("NULL")?;
                    ExprKind::IsNull { operand: left, negated }
                }
            }
            Infix::Predicate => self.predicate(left)?,
        };
        Ok(Expr::new(kind, self.place_from(first)))
    }

    fn predicate(&mut self, operand: Box<Expr>) -> Result<ExprKind, Mistake> {
        let negated = self.take_word("NOT");
        if self.take_word("BETWEEN") {
            let low = Box::new(self.expr_above(power::PREDICATE)?);
            self.expect_word("AND")?;
            let high = Box::new(self.expr_above(power::PREDICATE)?);
            return Ok(ExprKind::Between { operand, low, high, negated });
        }
        if self.take_word("IN") {
            self.expect_symbol("(")?;
            let list = self.comma_separated(Self::expr)?;
            self.expect_symbol(")")?;
            return Ok(ExprKind::In { operand, list, negated });
        }
        self.expect_word("LIKE")?;
        let pattern = Box::new(self.expr_above(power::PREDICATE)?);
        let mut escape = None;
        if self.take_word("ESCAPE") {
            let token = self.peek().clone();
            let TokenKind::Text(text) = &token.kind else { return Err(self.unexpected(&["a text"])) };
            let mut chars = text.chars();
            escape = chars.next().filter(|_| chars.next().is_none());
            if escape.is_none() {
                return Err(Box::new(
                    Diagnostic::error("sql-escape", format!("'{text}' cannot be an escape character"))
                        .label("expected one character")
                        .help("for example ESCAPE '!'")
                        .at(token.place),
                ));
            }
            self.advance();
        }
        Ok(ExprKind::Like { operand, pattern, escape, negated })
    }

    fn prefix(&mut self) -> Result<Expr, Mistake> {
        let first = self.at;
        let token = self.peek().clone();
        let kind = match token.kind {
            TokenKind::Integer(text) => {
                self.advance();
                ExprKind::Literal(integer(&text, &token.place)?)
            }
            TokenKind::Decimal(text) => {
                self.advance();
                ExprKind::Literal(decimal(&text, &token.place)?)
            }
            TokenKind::Double(text) => {
                self.advance();
                ExprKind::Literal(Literal::Double(text.parse().unwrap_or(f64::INFINITY)))
            }
            TokenKind::Text(text) => {
                self.advance();
                ExprKind::Literal(Literal::Text(text))
            }
            TokenKind::Symbol("(") => {
                self.advance();
                let mut inner = self.expr()?;
                self.expect_symbol(")")?;
                inner.place = self.place_from(first);
                return Ok(inner);
            }
            TokenKind::Symbol("-") => {
                self.advance();
                match self.negative_literal()? {
                    Some(literal) => ExprKind::Literal(literal),
                    None => ExprKind::Negate(Box::new(self.expr_above(power::SIGN)?)),
                }
            }
            TokenKind::Symbol("+") => {
                self.advance();
                return self.expr_above(power::SIGN);
            }
            TokenKind::Word(ref word) => match word.as_str() {
                "NOT" => {
                    self.advance();
                    ExprKind::Not(Box::new(self.expr_above(power::NOT)?))
                }
                "CASE" => self.case()?,
                "CAST" => self.cast()?,
                "NULL" => self.literal(Literal::Null),
                "TRUE" => self.literal(Literal::Boolean(true)),
                "FALSE" => self.literal(Literal::Boolean(false)),
                "ARRAY" if self.ahead(1).is_symbol("[") => self.array()?,
                "MAP" if self.ahead(1).is_symbol("(") => self.map()?,
                "STRUCT" if self.ahead(1).is_symbol("(") => self.structure()?,
                // `TIMESTAMP '2024-01-01T00:00:00'` is a cast of what is written down.
                _ if matches!(self.ahead(1).kind, TokenKind::Text(_)) => self.typed_literal()?,
                _ => self.column_or_call()?,
            },
            TokenKind::Quoted(_) => self.column_or_call()?,
            _ => return Err(self.unexpected(&["an expression"])),
        };
        Ok(Expr::new(kind, self.place_from(first)))
    }

    fn literal(&mut self, literal: Literal) -> ExprKind {
        self.advance();
        ExprKind::Literal(literal)
    }

    /// A number right after a minus sign, so that the smallest integers can be written.
    fn negative_literal(&mut self) -> Result<Option<Literal>, Mistake> {
        let token = self.peek().clone();
        let literal = match &token.kind {
            TokenKind::Integer(text) => integer(&format!("-{text}"), &token.place)?,
            TokenKind::Decimal(text) => decimal(&format!("-{text}"), &token.place)?,
            TokenKind::Double(text) => Literal::Double(-text.parse::<f64>().unwrap_or(f64::INFINITY)),
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(literal))
    }

    fn case(&mut self) -> Result<ExprKind, Mistake> {
        self.expect_word("CASE")?;
        let operand = if self.peek().is_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        while self.take_word("WHEN") {
            let when = self.expr()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected(&["WHEN"]));
        }
        let otherwise = if self.take_word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if self.take_word("END") {
            Ok(ExprKind::Case { operand, branches, otherwise })
        } else {
            Err(self.unexpected(&["WHEN", "ELSE", "END"]))
        }
    }

    fn cast(&mut self) -> Result<ExprKind, Mistake> {
        self.expect_word("CAST")?;
        self.expect_symbol("(")?;
        let operand = Box::new(self.expr()?);
        self.expect_word("AS")?;
        let to = self.type_name()?;
        self.expect_symbol(")")?;
        Ok(ExprKind::Cast { operand, to })
    }

    /// `x->field` and `x[index]`, as often as they come.
    fn postfix(&mut self, mut operand: Expr, first: usize) -> Result<Expr, Mistake> {
        loop {
            let kind = if self.peek().is_symbol("->") && !self.ahead(1).is_symbol("*") {
                self.advance();
                ExprKind::Field { operand: Box::new(operand), name: self.name("a field")? }
            } else if self.take_symbol("[") {
                let index = Box::new(self.expr()?);
                self.expect_symbol("]")?;
                ExprKind::Index { operand: Box::new(operand), index }
            } else {
                return Ok(operand);
            };
            operand = Expr::new(kind, self.place_from(first));
            if operand.height > EXPRESSION_DEPTH_MAX {
                return Err(too_deep(operand.place));
            }
        }
    }

    fn array(&mut self) -> Result<ExprKind, Mistake> {
        self.advance();
        self.advance();
        if self.take_symbol("]") {
            return Ok(ExprKind::Array(Vec::new()));
        }
        let items = self.comma_separated(Self::expr)?;
        self.expect_symbol("]")?;
        Ok(ExprKind::Array(items))
    }

    fn map(&mut self) -> Result<ExprKind, Mistake> {
        self.advance();
        self.advance();
        if self.take_symbol(")") {
            return Ok(ExprKind::Map(Vec::new()));
        }
        let entries = self.comma_separated(|parser| {
            let key = parser.expr()?;
            parser.expect_symbol(":=")?;
            Ok((key, parser.expr()?))
        })?;
        self.expect_symbol(")")?;
        Ok(ExprKind::Map(entries))
    }

    fn structure(&mut self) -> Result<ExprKind, Mistake> {
        self.advance();
        self.advance();
        if self.take_symbol(")") {
            return Ok(ExprKind::Struct(Vec::new()));
        }
        let fields = self.comma_separated(|parser| {
            let name = parser.name("a field's name")?;
            parser.expect_symbol(":=")?;
            Ok((name, parser.expr()?))
        })?;
        self.expect_symbol(")")?;
        Ok(ExprKind::Struct(fields))
    }

    fn typed_literal(&mut self) -> Result<ExprKind, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Word(word) = &token.kind else { return Err(self.unexpected(&["an expression"])) };
        let known = crate::SqlType::from_name(word);
        if known.is_none() && word != "DECIMAL" {
            self.advance();
            return Err(self.unexpected(&["an operator", ","]));
        }
        self.advance();
        let text = self.text("a text")?;
        match known {
            Some(sql_type) => {
                let operand = Expr::new(ExprKind::Literal(Literal::Text(text.text)), text.place);
                Ok(ExprKind::Cast { operand: Box::new(operand), to: TypeName::simple(sql_type, token.place) })
            }
            None => decimal(&text.text, &text.place).map(ExprKind::Literal),
        }
    }

    fn column_or_call(&mut self) -> Result<ExprKind, Mistake> {
        let name = self.name("an expression")?;
        if self.take_symbol("(") {
            let star = self.take_symbol("*");
            let args = if star || self.peek().is_symbol(")") {
                Vec::new()
            } else {
                if self.peek().is_word("DISTINCT") {
                    return Err(Box::new(
                        Diagnostic::error("sql-unsupported", "there is no DISTINCT in a function")
                            .label("not in ksqlDB's dialect")
                            .help("COUNT_DISTINCT(x) counts different values, COLLECT_SET(x) collects them")
                            .at(self.peek().place.clone()),
                    ));
                }
                self.comma_separated(Self::argument)?
            };
            self.expect_symbol(")")?;
            return Ok(ExprKind::Call { name, args, star });
        }
        if self.take_symbol(".") {
            let column = self.name("a column")?;
            return Ok(ExprKind::Column { qualifier: Some(name), name: column });
        }
        Ok(ExprKind::Column { qualifier: None, name })
    }

    /// An argument of a function: an expression, or a lambda.
    fn argument(&mut self) -> Result<Expr, Mistake> {
        let first = self.at;
        let mut params = Vec::new();
        if self.ahead(1).is_symbol("=>") {
            params.push(self.name("a name")?);
        } else if self.peek().is_symbol("(") {
            // `(a, b) =>`, which looks like an expression until the arrow comes.
            let mut parser_at = 1;
            while !matches!(self.ahead(parser_at).kind, TokenKind::Symbol(_) | TokenKind::End) {
                parser_at += if self.ahead(parser_at + 1).is_symbol(",") { 2 } else { 1 };
            }
            if self.ahead(parser_at).is_symbol(")") && self.ahead(parser_at + 1).is_symbol("=>") {
                self.advance();
                params = self.comma_separated(|parser| parser.name("a name"))?;
                self.expect_symbol(")")?;
            }
        }
        if params.is_empty() {
            return self.expr();
        }
        self.expect_symbol("=>")?;
        self.depth += 1;
        let body = Box::new(self.expr()?);
        self.depth -= 1;
        let lambda = Expr::new(ExprKind::Lambda { params, body }, self.place_from(first));
        if lambda.height > EXPRESSION_DEPTH_MAX { Err(too_deep(lambda.place)) } else { Ok(lambda) }
    }

    pub(super) fn comma_separated<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Mistake>,
    ) -> Result<Vec<T>, Mistake> {
        let mut all = vec![one(self)?];
        while self.take_symbol(",") {
            if all.len() == LIST_MAX {
                return Err(Box::new(
                    Diagnostic::error("sql-too-long", format!("the list has more than {LIST_MAX} parts"))
                        .label("too many")
                        .help("split it over several statements, or hold what it lists in a table and join with it")
                        .at(self.peek().place.clone()),
                ));
            }
            all.push(one(self)?);
        }
        Ok(all)
    }
}

enum Infix {
    Binary(BinaryOp),
    /// `||`, which is the function CONCAT.
    Concat,
    Is,
    /// `[NOT] BETWEEN`, `IN`, `LIKE`.
    Predicate,
}

fn integer(text: &str, place: &Place) -> Result<Literal, Mistake> {
    let value: i64 = text.parse().map_err(|_| {
        Diagnostic::error("sql-number", format!("`{text}` is too large for BIGINT"))
            .label("at most 9223372036854775807")
            .help("write it with a point to make it a DECIMAL")
            .at(place.clone())
    })?;
    Ok(i32::try_from(value).map_or(Literal::BigInt(value), Literal::Int))
}

/// A number with a point: so many digits, so many of them behind the point.
fn decimal(text: &str, place: &Place) -> Result<Literal, Mistake> {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    let scale = text.split_once('.').map_or(0, |(_, behind)| behind.len());
    let count = digits.trim_start_matches(['-', '0']).len().max(scale);
    let fits = count <= usize::from(Decimal::PRECISION_MAX);
    match (digits.parse::<i128>(), u8::try_from(scale)) {
        (Ok(unscaled), Ok(scale)) if fits => Ok(Literal::Decimal(Decimal::new(unscaled, scale))),
        _ => Err(Box::new(
            Diagnostic::error("sql-number", format!("`{text}` is no DECIMAL"))
                .label(format!("at most {} digits and one point", Decimal::PRECISION_MAX))
                .help("write it with an exponent to make it a DOUBLE: 1.5E0")
                .at(place.clone()),
        )),
    }
}
