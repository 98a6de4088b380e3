//! Statements that ask: `SHOW`, `DESCRIBE`, `PRINT`, `ASSERT`.

use super::ast::{Assertion, ConnectorKind, Name, RelationKind, Show, StatementKind};
use super::{Mistake, Parser};
use crate::limits::ASSERT_WAIT_MS;

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Result<StatementKind, Mistake> {
        const KINDS: [&str; 11] = [
            "STREAMS",
            "TABLES",
            "QUERIES",
            "TOPICS",
            "FUNCTIONS",
            "TYPES",
            "VARIABLES",
            "PROPERTIES",
            "CONNECTORS",
            "CONNECTOR",
            "ALL",
        ];
        let all = self.take_word("ALL");
        if all && !self.peek().is_word("TOPICS") {
            return Err(self.unexpected(&["TOPICS"]));
        }
        let connectors = if self.take_word("SOURCE") {
            Some(ConnectorKind::Source)
        } else if self.take_word("SINK") {
            Some(ConnectorKind::Sink)
        } else {
            None
        };
        if connectors.is_some() {
            self.expect_word("CONNECTORS")?;
            return Ok(StatementKind::Show(Show::Connectors(connectors)));
        }
        let Some(word) = KINDS.iter().find(|word| self.peek().is_word(word)) else {
            return Err(self.unexpected(&KINDS));
        };
        self.advance();
        if *word == "CONNECTOR" {
            self.expect_word("PLUGINS")?;
        }
        let may_extend = matches!(*word, "STREAMS" | "TABLES" | "QUERIES" | "TOPICS");
        let extended = may_extend && self.take_word("EXTENDED");
        Ok(StatementKind::Show(match *word {
            "STREAMS" => Show::Streams { extended },
            "TABLES" => Show::Tables { extended },
            "QUERIES" => Show::Queries { extended },
            "TOPICS" => Show::Topics { all, extended },
            "FUNCTIONS" => Show::Functions,
            "TYPES" => Show::Types,
            "VARIABLES" => Show::Variables,
            "PROPERTIES" => Show::Properties,
            "CONNECTORS" => Show::Connectors(None),
            _ => Show::ConnectorPlugins,
        }))
    }

    pub(super) fn describe(&mut self) -> Result<StatementKind, Mistake> {
        if self.take_word("FUNCTION") {
            return Ok(StatementKind::DescribeFunction(self.name("a function")?));
        }
        if self.peek().is_word("CONNECTOR")
            && !self.ahead(1).is_word("EXTENDED")
            && !self.ahead(1).is_symbol(";")
        {
            self.advance();
            return Ok(StatementKind::DescribeConnector(self.name_as_written("a connector")?));
        }
        // The older place of the word, which ksqlDB still takes.
        let early = self.take_word("EXTENDED");
        let kind = if self.take_word("STREAMS") {
            Some(RelationKind::Stream)
        } else if self.take_word("TABLES") {
            Some(RelationKind::Table)
        } else {
            None
        };
        if let Some(kind) = kind {
            let extended = self.take_word("EXTENDED") || early;
            return Ok(StatementKind::DescribeAll { kind, extended });
        }
        let name = self.name("a stream or table")?;
        let extended = self.take_word("EXTENDED") || early;
        Ok(StatementKind::Describe { name, extended })
    }

    pub(super) fn print_topic(&mut self) -> Result<StatementKind, Mistake> {
        let mut topic = self.name_as_written("a topic, in quotes where its name has points")?;
        // `PRINT my.topic` without quotes.
        while self.peek().is_symbol(".") || self.peek().is_symbol("-") {
            let symbol = if self.peek().is_symbol(".") { '.' } else { '-' };
            self.advance();
            let Name { text, place } = self.name_as_written("the rest of the topic's name")?;
            topic.text.push(symbol);
            topic.text.push_str(&text);
            topic.place.end = place.end;
        }
        let from_beginning = self.take_word("FROM");
        if from_beginning {
            self.expect_word("BEGINNING")?;
        }
        let interval = if self.take_word("INTERVAL") || self.take_word("SAMPLE") {
            Some(self.whole_number("every how many records")?)
        } else {
            None
        };
        let limit = self.limit()?;
        Ok(StatementKind::Print { topic, from_beginning, interval, limit })
    }

    pub(super) fn assert(&mut self) -> Result<StatementKind, Mistake> {
        let exists = !self.take_words(&["NOT", "EXISTS"]);
        let what = if self.take_word("TOPIC") {
            let name = self.name_as_written("a topic")?;
            Assertion::Topic { name, options: self.with_options()? }
        } else if self.take_word("SCHEMA") {
            let subject =
                if self.take_word("SUBJECT") { Some(self.name_as_written("a subject")?) } else { None };
            let mut id = None;
            if self.take_word("ID") {
                let (number, place) = self.whole_number("a schema's id")?;
                let Ok(number) = u32::try_from(number) else {
                    return Err(self.unexpected(&["a smaller number"]));
                };
                id = Some((number, place));
            }
            if subject.is_none() && id.is_none() {
                return Err(self.unexpected(&["SUBJECT", "ID"]));
            }
            Assertion::Schema { subject, id }
        } else {
            return Err(self.unexpected(&["TOPIC", "SCHEMA"]));
        };
        let timeout_ms = if self.take_word("TIMEOUT") { self.duration()? } else { ASSERT_WAIT_MS };
        Ok(StatementKind::Assert { exists, what, timeout_ms })
    }
}
