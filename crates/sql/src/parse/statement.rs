//! Statements that make, change and end things.

use super::ast::{
    ColumnDeclaration, ConnectorKind, CreateAs, Declare, KeyWord, Name, OnExisting, RelationKind, Statement,
    StatementKind,
};
use super::token::TokenKind;
use super::{Mistake, Parser};
use millstream_model::Diagnostic;

const STATEMENTS: &[&str] = &[
    "CREATE",
    "INSERT",
    "SELECT",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "DROP",
    "ALTER",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "EXPLAIN",
    "SET",
    "UNSET",
    "DEFINE",
    "UNDEFINE",
    "PRINT",
    "ASSERT",
    "RUN",
];

impl Parser<'_> {
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
                &["JOIN", "WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "EMIT", "LIMIT", ";"]
            } else {
                &[";"]
            }));
        }
        Ok(Statement { kind, place, text: None })
    }

    fn statement_kind(&mut self) -> Result<StatementKind, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Word(word) = &token.kind else { return Err(self.unexpected(STATEMENTS)) };
        if word == "SELECT" {
            return Ok(StatementKind::Select(self.query()?));
        }
        if word == "SPOOL" {
            return Err(Box::new(
                Diagnostic::error("sql-unsupported", "SPOOL is a word of ksqlDB's console")
                    .label("there is none here")
                    .help("write what is shown into a file: millstream sql FILE > OUTPUT")
                    .at(token.place),
            ));
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
            "DROP" => self.drop_something(),
            "ALTER" => self.alter(),
            "TERMINATE" => Ok(StatementKind::Terminate(self.query_or_all()?)),
            "PAUSE" => Ok(StatementKind::Pause(self.query_or_all()?)),
            "RESUME" => Ok(StatementKind::Resume(self.query_or_all()?)),
            "EXPLAIN" => self.explain(),
            "DEFINE" => self.define(),
            "UNDEFINE" => self.undefine(),
            "PRINT" => self.print_topic(),
            "ASSERT" => self.assert(),
            "RUN" => {
                self.expect_word("SCRIPT")?;
                Ok(StatementKind::RunScript(self.text("a file's name in single quotes")?))
            }
            _ => self.set(word == "SET"),
        }
    }

    fn query_or_all(&mut self) -> Result<Option<Name>, Mistake> {
        self.take_word("QUERY");
        if self.take_word("ALL") { Ok(None) } else { self.name("a query's id, or `ALL`").map(Some) }
    }

    fn create(&mut self) -> Result<StatementKind, Mistake> {
        let mut on_existing = OnExisting::Refuse;
        if self.take_words(&["OR", "REPLACE"]) {
            on_existing = OnExisting::Replace;
        }
        if self.peek().is_word("SINK") || self.peek().is_word("SOURCE") && self.ahead(1).is_word("CONNECTOR")
        {
            return self.create_connector(on_existing);
        }
        if on_existing == OnExisting::Refuse && self.take_word("TYPE") {
            let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.name("a type's name")?;
            self.expect_word("AS")?;
            return Ok(StatementKind::CreateType { name, if_not_exists, sql_type: self.type_name()? });
        }
        let source_place = self.peek().place.clone();
        let source = self.take_word("SOURCE");
        let kind = self.relation_kind(&["STREAM", "TABLE", "TYPE", "SOURCE", "SINK"])?;
        if self.take_words(&["IF", "NOT", "EXISTS"]) {
            on_existing = OnExisting::Keep;
        }
        let name = self.name("a name")?;
        let mut columns = Vec::new();
        let listed = self.take_symbol("(");
        if listed && !self.take_symbol(")") {
            columns = self.comma_separated(Self::column_declaration)?;
            self.expect_symbol(")")?;
        }
        let options = self.with_options()?;
        if !listed && self.peek().is_word("AS") {
            if source {
                return Err(Box::new(
                    Diagnostic::error("sql-source", "a SOURCE stands over a topic, not over a query")
                        .label("not with AS SELECT")
                        .help("leave SOURCE out")
                        .at(source_place),
                ));
            }
            self.advance();
            let query = self.query()?;
            return Ok(StatementKind::CreateAs(CreateAs { kind, on_existing, name, options, query }));
        }
        if options.is_empty() {
            let expected: &[&str] = if listed { &["WITH"] } else { &["(", "WITH", "AS"] };
            return Err(self.unexpected(expected));
        }
        Ok(StatementKind::Declare(Declare { kind, source, on_existing, name, columns, options }))
    }

    pub(super) fn relation_kind(&mut self, expected: &[&'static str]) -> Result<RelationKind, Mistake> {
        if self.take_word("STREAM") {
            Ok(RelationKind::Stream)
        } else if self.take_word("TABLE") {
            Ok(RelationKind::Table)
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn column_declaration(&mut self) -> Result<ColumnDeclaration, Mistake> {
        let name = self.name("a column's name")?;
        let sql_type = self.type_name()?;
        let key = if self.take_words(&["PRIMARY", "KEY"]) {
            KeyWord::PrimaryKey
        } else if self.take_word("KEY") {
            KeyWord::Key
        } else if self.take_word("HEADERS") {
            KeyWord::Headers
        } else if self.take_word("HEADER") {
            self.expect_symbol("(")?;
            let header = self.text("a header's name in single quotes")?;
            self.expect_symbol(")")?;
            KeyWord::Header(header.text)
        } else if self.peek().is_symbol(",") || self.peek().is_symbol(")") {
            KeyWord::Value
        } else {
            return Err(self.unexpected(&["KEY", "PRIMARY KEY", "HEADERS", "HEADER", ",", ")"]));
        };
        Ok(ColumnDeclaration { name, sql_type, key })
    }

    fn create_connector(&mut self, on_existing: OnExisting) -> Result<StatementKind, Mistake> {
        if on_existing == OnExisting::Replace {
            return Err(self.unexpected(&["STREAM", "TABLE"]));
        }
        let kind = if self.take_word("SINK") { ConnectorKind::Sink } else { ConnectorKind::Source };
        if kind == ConnectorKind::Source {
            self.advance();
        }
        self.expect_word("CONNECTOR")?;
        let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
        let name = self.name_as_written("a connector's name")?;
        self.expect_word("WITH")?;
        self.expect_symbol("(")?;
        let options = self.comma_separated(Self::property)?;
        self.expect_symbol(")")?;
        Ok(StatementKind::CreateConnector { kind, name, if_not_exists, options })
    }

    fn insert(&mut self) -> Result<StatementKind, Mistake> {
        self.expect_word("INTO")?;
        let target = self.name("a stream or table")?;
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
            if self.peek().is_symbol(",") {
                return Err(Box::new(
                    Diagnostic::error("sql-insert", "INSERT … VALUES takes one row")
                        .label("expected `;`")
                        .help("write one INSERT for each row")
                        .at(self.peek().place.clone()),
                ));
            }
            return Ok(StatementKind::InsertValues { target, columns, values });
        }
        if !self.peek().is_word("SELECT") {
            return Err(self.unexpected(&["SELECT", "VALUES", "WITH", "("]));
        }
        let query = self.query()?;
        Ok(StatementKind::InsertSelect { target, options, query })
    }

    fn drop_something(&mut self) -> Result<StatementKind, Mistake> {
        if self.take_word("TYPE") {
            let if_exists = self.take_words(&["IF", "EXISTS"]);
            return Ok(StatementKind::DropType { name: self.name("a type")?, if_exists });
        }
        if self.take_word("CONNECTOR") {
            let if_exists = self.take_words(&["IF", "EXISTS"]);
            return Ok(StatementKind::DropConnector {
                name: self.name_as_written("a connector")?,
                if_exists,
            });
        }
        let kind = self.relation_kind(&["STREAM", "TABLE", "TYPE", "CONNECTOR"])?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.name("a name")?;
        let delete_topic = self.take_word("DELETE");
        if delete_topic {
            self.expect_word("TOPIC")?;
        }
        Ok(StatementKind::Drop { kind, if_exists, name, delete_topic })
    }

    fn alter(&mut self) -> Result<StatementKind, Mistake> {
        if self.peek().is_word("SYSTEM") {
            return Err(Box::new(
                Diagnostic::error("sql-unsupported", "there is no ALTER SYSTEM here")
                    .label("it belongs to Confluent Cloud")
                    .help("SET 'name' = 'value'; changes a property of this session")
                    .at(self.peek().place.clone()),
            ));
        }
        let kind = self.relation_kind(&["STREAM", "TABLE"])?;
        let name = self.name("a name")?;
        let columns = self.comma_separated(|parser| {
            parser.expect_word("ADD")?;
            parser.take_word("COLUMN");
            let name = parser.name("a column's name")?;
            Ok(ColumnDeclaration { name, sql_type: parser.type_name()?, key: KeyWord::Value })
        })?;
        Ok(StatementKind::Alter { kind, name, columns })
    }

    fn explain(&mut self) -> Result<StatementKind, Mistake> {
        let is_statement = STATEMENTS.iter().any(|word| self.peek().is_word(word))
            && !matches!(self.ahead(1).kind, TokenKind::End | TokenKind::Symbol(";"));
        if !is_statement {
            return Ok(StatementKind::ExplainQuery(self.name("a query's id or a statement")?));
        }
        self.depth += 1;
        if self.depth > 2 {
            return Err(self.unexpected(&["a query's id or a statement"]));
        }
        let first = self.at;
        let kind = self.statement_kind()?;
        self.depth -= 1;
        Ok(StatementKind::Explain(Box::new(Statement { kind, place: self.place_from(first), text: None })))
    }

    fn set(&mut self, with_value: bool) -> Result<StatementKind, Mistake> {
        let Name { text: name, place } = self.text("a property in single quotes")?;
        let mut value = None;
        if with_value {
            self.expect_symbol("=")?;
            value = Some(self.text("a value in single quotes")?.text);
        }
        if name == "ksql.variable.substitution.enable" {
            self.variables.off = value.as_ref().is_some_and(|value| value.eq_ignore_ascii_case("false"));
        }
        Ok(StatementKind::Set { name, value, place })
    }

    fn define(&mut self) -> Result<StatementKind, Mistake> {
        let name = self.name_as_written("a variable's name")?;
        let fits = name.text.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !name.text.starts_with(|c: char| c.is_ascii_digit());
        if !fits {
            return Err(Box::new(
                Diagnostic::error("sql-variable", format!("a variable cannot be called `{}`", name.text))
                    .label("expected letters, digits and `_`")
                    .at(name.place),
            ));
        }
        self.expect_symbol("=")?;
        let value = self.text("a value in single quotes")?.text;
        self.variables.define(&name.text, &value);
        Ok(StatementKind::Define { name, value })
    }

    fn undefine(&mut self) -> Result<StatementKind, Mistake> {
        let name = self.name_as_written("a variable's name")?;
        if self.variables.undefine(&name.text) {
            return Ok(StatementKind::Undefine(name));
        }
        let mistake = Diagnostic::error("sql-variable", format!("there is no variable `{}`", name.text))
            .label("not defined")
            .at(name.place);
        Err(Box::new(mistake.help("SHOW VARIABLES lists what there is")))
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<Name, Mistake> {
        let token = self.peek().clone();
        let TokenKind::Text(text) = token.kind else { return Err(self.unexpected(&[what])) };
        self.advance();
        Ok(Name { text, place: token.place })
    }

    /// A name in the letter case of the text, or in quotes of any kind.
    pub(super) fn name_as_written(&mut self, what: &'static str) -> Result<Name, Mistake> {
        if matches!(self.peek().kind, TokenKind::Text(_)) {
            return self.text(what);
        }
        let written = self.peek().written.clone();
        let mut name = self.name(what)?;
        if !written.is_empty() {
            name.text = written;
        }
        Ok(name)
    }
}
