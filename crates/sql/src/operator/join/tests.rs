//! Goal: joins give what their definition says.
