//! What lasts from statement to statement of whoever asks: what `SET` and `DEFINE` said.

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
