//! What the guard lets through and what it refuses.
