//! Statements.

use super::ast::{
    ColumnDeclaration, CreateAs, Declare, KeyWord, Name, OnExisting, RelationKind, Show, Statement,
    StatementKind,
};
use super::token::TokenKind;
use super::{Mistake, Parser, not_yet};

const STATEMENTS: &[&str] = &[
    "CREATE",
    "INSERT",
    "SELECT",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "DROP",
    "TERMINATE",
    "EXPLAIN",
    "SET",
    "UNSET",
];
/// ksqlDB's statements that are not there yet.
const LATER: &[&str] = &["PRINT", "PAUSE", "RESUME", "ALTER", "DEFINE", "UNDEFINE", "RUN", "ASSERT"];

impl Parser {
    pub(super) fn statement(&mut self) -> Result<Statement, Mistake> {
        let first = self.at;
        let kind = self.statement_kind()?;
        let place = self.place_from(first);
        if !self.at_end() && !self.take_symbol(";") {
            let query = match &kind {
                StatementKind::Select(query) | StatementKind::InsertSelect { query, .. } => Some(query),
                StatementKind::CreateAs(create) => Some(&create.query),
                _ => None,
            };
            return Err(self.unexpected(if query.is_some_and(|query| query.emit.is_none()) {
                &["WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "EMIT", "LIMIT", ";"]
            } else {
                &[";"]
            }));
        }
        Ok(Statement { kind, place })
    }

    fn statement_kind(&mut self) -> Result<StatementKind, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Word(word) = &token.kind else { return Err(self.unexpected(STATEMENTS)) };
        if word == "SELECT" {
            return Ok(StatementKind::Select(self.query()?));
        }
        if LATER.contains(&word.as_str()) {
            return Err(not_yet(&format!("`{word}`"), token.place, "leave this statement out"));
        }
        if !STATEMENTS.contains(&word.as_str()) {
            return Err(self.unexpected(STATEMENTS));
        }
        self.advance();
        match word.as_str() {
            "CREATE" => self.create(),
            "INSERT" => self.insert(),
            "SHOW" | "LIST" => self.show(),
            "DESCRIBE" => self.describe(),
            "DROP" => self.drop_relation(),
            "TERMINATE" => {
                self.take_word("QUERY");
                let all = self.take_word("ALL");
                Ok(StatementKind::Terminate(if all {
                    None
                } else {
                    Some(self.name("a query's id, or `ALL`")?)
                }))
            }
            "EXPLAIN" => self.explain(),
            _ => self.set(word == "SET"),
        }
    }

    fn create(&mut self) -> Result<StatementKind, Mistake> {
        let mut on_existing = OnExisting::Refuse;
        if self.take_words(&["OR", "REPLACE"]) {
            on_existing = OnExisting::Replace;
        }
        if self.peek().is_word("SOURCE") {
            return Err(not_yet("`SOURCE`", self.peek().place.clone(), "leave it out"));
        }
        let kind = self.relation_kind()?;
        if self.take_words(&["IF", "NOT", "EXISTS"]) {
            on_existing = OnExisting::Keep;
        }
        let name = self.name("a name")?;
        let columns = if self.peek().is_symbol("(") {
            self.advance();
            let columns = self.comma_separated(Self::column_declaration)?;
            self.expect_symbol(")")?;
            columns
        } else {
            Vec::new()
        };
        let options = self.with_options()?;
        if columns.is_empty() && self.take_word("AS") {
            let query = self.query()?;
            return Ok(StatementKind::CreateAs(CreateAs { kind, on_existing, name, options, query }));
        }
        if options.is_empty() {
            let expected: &[&str] = if columns.is_empty() { &["(", "WITH", "AS"] } else { &["WITH"] };
            return Err(self.unexpected(expected));
        }
        Ok(StatementKind::Declare(Declare { kind, source: false, on_existing, name, columns, options }))
    }

    fn relation_kind(&mut self) -> Result<RelationKind, Mistake> {
        if self.take_word("STREAM") {
            Ok(RelationKind::Stream)
        } else if self.take_word("TABLE") {
            Ok(RelationKind::Table)
        } else if self.peek().is_word("TYPE") {
            Err(not_yet("`CREATE TYPE`", self.peek().place.clone(), "use flat columns"))
        } else {
            Err(self.unexpected(&["STREAM", "TABLE"]))
        }
    }

    fn column_declaration(&mut self) -> Result<ColumnDeclaration, Mistake> {
        let name = self.name("a column's name")?;
        let sql_type = self.sql_type()?;
        let key = if self.take_words(&["PRIMARY", "KEY"]) {
            KeyWord::PrimaryKey
        } else if self.take_word("KEY") {
            KeyWord::Key
        } else if self.peek().is_word("HEADERS") || self.peek().is_word("HEADER") {
            return Err(not_yet("a column over headers", self.peek().place.clone(), "leave it out"));
        } else {
            KeyWord::Value
        };
        Ok(ColumnDeclaration { name, sql_type, key })
    }

    fn insert(&mut self) -> Result<StatementKind, Mistake> {
        self.expect_word("INTO")?;
        let target = self.name("a stream")?;
        let options = self.with_options()?;
        if options.is_empty() && (self.peek().is_symbol("(") || self.peek().is_word("VALUES")) {
            let mut columns = Vec::new();
            if self.take_symbol("(") {
                columns = self.comma_separated(|parser| parser.name("a column"))?;
                self.expect_symbol(")")?;
            }
            self.expect_word("VALUES")?;
            self.expect_symbol("(")?;
            let values = self.comma_separated(Self::expr)?;
            self.expect_symbol(")")?;
            return Ok(StatementKind::InsertValues { target, columns, values });
        }
        let query = self.query()?;
        Ok(StatementKind::InsertSelect { target, options, query })
    }

    fn show(&mut self) -> Result<StatementKind, Mistake> {
        let all = self.take_word("ALL");
        let extended = self.ahead(1).is_word("EXTENDED");
        let kinds = [
            ("STREAMS", Show::Streams { extended }),
            ("TABLES", Show::Tables { extended }),
            ("QUERIES", Show::Queries { extended }),
            ("TOPICS", Show::Topics { all, extended }),
            ("FUNCTIONS", Show::Functions),
        ];
        for (word, show) in kinds {
            if self.take_word(word) {
                self.take_word("EXTENDED");
                return Ok(StatementKind::Show(show));
            }
        }
        Err(self.unexpected(&kinds.map(|(word, _)| word)))
    }

    fn describe(&mut self) -> Result<StatementKind, Mistake> {
        if self.take_word("FUNCTION") {
            return Ok(StatementKind::DescribeFunction(self.name("a function")?));
        }
        self.take_word("EXTENDED");
        let name = self.name("a stream or table")?;
        self.take_word("EXTENDED");
        Ok(StatementKind::Describe { name, extended: false })
    }

    fn drop_relation(&mut self) -> Result<StatementKind, Mistake> {
        let kind = self.relation_kind()?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.name("a name")?;
        let delete_topic = self.take_words(&["DELETE", "TOPIC"]);
        Ok(StatementKind::Drop { kind, if_exists, name, delete_topic })
    }

    fn explain(&mut self) -> Result<StatementKind, Mistake> {
        let is_statement = ["SELECT", "CREATE", "INSERT"].iter().any(|word| self.peek().is_word(word));
        if !is_statement {
            return Ok(StatementKind::ExplainQuery(self.name("a query's id or a statement")?));
        }
        let first = self.at;
        let kind = self.statement_kind()?;
        Ok(StatementKind::Explain(Box::new(Statement { kind, place: self.place_from(first) })))
    }

    fn set(&mut self, with_value: bool) -> Result<StatementKind, Mistake> {
        let Name { text: name, place } = self.text("a property in single quotes")?;
        let mut value = None;
        if with_value {
            self.expect_symbol("=")?;
            value = Some(self.text("a value in single quotes")?.text);
        }
        Ok(StatementKind::Set { name, value, place })
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<Name, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Text(text) = token.kind else { return Err(self.unexpected(&[what])) };
        self.advance();
        Ok(Name { text, place: token.place })
    }
}
