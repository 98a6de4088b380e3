//! What lasts from statement to statement of a shell: `SET` and `DEFINE`.

use super::script::{Local, local};
use serde_json::{Map, Value, json};

/// Properties and variables. The instance knows no sessions: each request brings them along.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// By name, as `SET` wrote it.
    properties: Map<String, Value>,
    /// By name in the letter case of its last `DEFINE`; letter case does not count.
    variables: Map<String, Value>,
}

impl Session {
    /// The body of a request that runs `sql` in this session.
    pub(crate) fn request(&self, sql: &str) -> Value {
        json!({ "sql": sql, "properties": self.properties, "variables": self.variables })
    }

    /// Remembers what a statement that was done has set.
    pub(crate) fn done(&mut self, statement: &str) {
        match local(statement) {
            Some(Local::Define(name, value)) => {
                self.forget(&name);
                self.variables.insert(name, value.into());
            }
            Some(Local::Undefine(name)) => self.forget(&name),
            Some(Local::Set(name, value)) => {
                self.properties.insert(name, value.into());
            }
            Some(Local::Unset(name)) => {
                self.properties.shift_remove(&name);
            }
            Some(Local::Run(_)) | None => {}
        }
    }

    fn forget(&mut self, name: &str) {
        self.variables.retain(|known, _| !known.eq_ignore_ascii_case(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_remembers_until_it_is_told_otherwise() {
        let mut session = Session::default();
        for statement in ["DEFINE Size = '3';", "SET 'auto.offset.reset'='earliest';", "SHOW TABLES;"] {
            session.done(statement);
        }
        let request = session.request("X;");
        assert_eq!(request["variables"], json!({ "Size": "3" }));
        assert_eq!(request["properties"], json!({ "auto.offset.reset": "earliest" }));
        session.done("DEFINE SIZE = '4';");
        assert_eq!(session.request("X;")["variables"], json!({ "SIZE": "4" }));
        session.done("UNDEFINE size;");
        session.done("UNSET 'auto.offset.reset';");
        assert_eq!(session.request("X;"), json!({ "sql": "X;", "properties": {}, "variables": {} }));
    }
}
