//! Goal: queries are right.
