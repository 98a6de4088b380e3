//! Types: `DECIMAL(10, 2)`, `ARRAY<STRUCT<a INT>>`, names that `CREATE TYPE` made.

use super::ast::{Name, TypeKind, TypeName};
use super::token::TokenKind;
use super::{Mistake, Parser};
use crate::SqlType;
use crate::limits::EXPRESSION_DEPTH_MAX;
use millstream_format::sql::Decimal;
use millstream_model::Diagnostic;

impl Parser<'_> {
    pub(super) fn type_name(&mut self) -> Result<TypeName, Mistake> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(super::too_deep(self.peek().place.clone()));
        }
        let first = self.at;
        let mut found = self.plain_type()?;
        // `INT ARRAY` is an older way to write `ARRAY<INT>`.
        while self.take_word("ARRAY") {
            let kind = TypeKind::Array(Box::new(found));
            found = TypeName { kind, place: self.place_from(first) };
        }
        self.depth -= 1;
        Ok(found)
    }

    fn plain_type(&mut self) -> Result<TypeName, Mistake> {
        let first = self.at;
        let token = self.peek().clone();
        let word = match &token.kind {
            TokenKind::Word(word) if !super::RESERVED.contains(&word.as_str()) => word.as_str(),
            TokenKind::Quoted(_) => "",
            _ => return Err(self.unexpected(&["a type, such as INT or VARCHAR"])),
        };
        let kind = match word {
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal_type()?,
            "ARRAY" if self.ahead(1).is_symbol("<") => {
                self.advance();
                self.expect_symbol("<")?;
                let element = self.type_name()?;
                self.expect_symbol(">")?;
                TypeKind::Array(Box::new(element))
            }
            "MAP" if self.ahead(1).is_symbol("<") => {
                self.advance();
                self.expect_symbol("<")?;
                let key = self.type_name()?;
                self.expect_symbol(",")?;
                let value = self.type_name()?;
                self.expect_symbol(">")?;
                TypeKind::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" if self.ahead(1).is_symbol("<") || self.ahead(1).is_symbol("<>") => {
                self.struct_type()?
            }
            "ARRAY" | "MAP" | "STRUCT" => {
                self.advance();
                return Err(self.unexpected(&["<"]));
            }
            _ => match SqlType::from_name(word) {
                Some(sql_type) => {
                    self.advance();
                    // `VARCHAR(20)` is accepted and the length ignored, as in ksqlDB.
                    if self.take_symbol("(") {
                        self.whole_number("a length")?;
                        self.expect_symbol(")")?;
                    }
                    TypeKind::Simple(sql_type)
                }
                None => TypeKind::Named(self.name("a type")?),
            },
        };
        Ok(TypeName { kind, place: self.place_from(first) })
    }

    fn struct_type(&mut self) -> Result<TypeKind, Mistake> {
        self.advance();
        if self.take_symbol("<>") {
            return Ok(TypeKind::Struct(Vec::new()));
        }
        self.expect_symbol("<")?;
        let fields = self.comma_separated(|parser| -> Result<(Name, TypeName), Mistake> {
            Ok((parser.name("a field's name")?, parser.type_name()?))
        })?;
        self.expect_symbol(">")?;
        Ok(TypeKind::Struct(fields))
    }

    fn decimal_type(&mut self) -> Result<TypeKind, Mistake> {
        let first = self.at;
        self.advance();
        self.expect_symbol("(")?;
        let (precision, _) = self.whole_number("how many digits it has")?;
        let mut scale = 0;
        if self.take_symbol(",") {
            scale = self.whole_number("how many of them stand behind the point")?.0;
        }
        self.expect_symbol(")")?;
        let max = u64::from(Decimal::PRECISION_MAX);
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale))
                if precision >= 1 && u64::from(precision) <= max && scale <= precision =>
            {
                Ok(TypeKind::Simple(SqlType::Decimal { precision, scale }))
            }
            _ => Err(Box::new(
                Diagnostic::error("sql-type", format!("there is no DECIMAL({precision}, {scale})"))
                    .label(format!("1 to {max} digits, and no more of them behind the point"))
                    .help("for example DECIMAL(10, 2), which holds 12345678.90")
                    .at(self.place_from(first)),
            )),
        }
    }

    /// A whole number with its place.
    pub(super) fn whole_number(&mut self, what: &'static str) -> Result<(u64, super::Place), Mistake> {
        let token = self.peek().clone();
        let TokenKind::Integer(text) = &token.kind else {
            return Err(self.unexpected(&["a whole number", what]));
        };
        let Ok(number) = text.parse() else { return Err(self.unexpected(&["a smaller number"])) };
        self.advance();
        Ok((number, token.place))
    }
}
