//! What every engine must do, as one suite of named behaviours.
