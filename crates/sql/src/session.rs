//! What lasts from statement to statement of whoever asks: what `SET` and `DEFINE` said.

use crate::Format;
use std::collections::BTreeMap;

/// Properties and variables of one list of statements. The engine keeps no sessions: a client brings its own along with each
/// request, and gets it back as the statements left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// `SET 'name' = 'value'`, by name as written.
    pub properties: BTreeMap<String, String>,
    /// `DEFINE name = 'value'`, by name as written; letter case does not count where one is used as `${name}`.
    pub variables: BTreeMap<String, String>,
}

/// The property that says the format of keys that are declared without one.
pub(crate) const KEY_FORMAT: &str = "ksql.persistence.default.format.key";
/// The property that says the format of values that are declared without one.
pub(crate) const VALUE_FORMAT: &str = "ksql.persistence.default.format.value";

/// The formats of declarations that name none; `None` for those of this dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefaultFormats {
    /// Of keys.
    pub key: Option<Format>,
    /// Of values.
    pub value: Option<Format>,
}

impl DefaultFormats {
    /// Those of a session.
    pub(crate) fn of(session: &Session) -> Self {
        let mut formats = Self::default();
        for (name, value) in &session.properties {
            formats.set(name, Some(value));
        }
        formats
    }

    /// Follows `SET` and `UNSET`; other properties and unknown formats change nothing.
    pub(crate) fn set(&mut self, property: &str, value: Option<&str>) {
        match property {
            KEY_FORMAT => self.key = value.and_then(Format::from_name),
            VALUE_FORMAT => self.value = value.and_then(Format::from_name),
            _ => {}
        }
    }

    /// The statements that say so, for whoever keeps a statement that relies on them.
    pub(crate) fn statements(self) -> String {
        let set = |(name, format): (&str, Option<Format>)| {
            format.map(|format| format!("SET '{name}' = '{format}';\n"))
        };
        [(KEY_FORMAT, self.key), (VALUE_FORMAT, self.value)].into_iter().filter_map(set).collect()
    }
}
