//! What the tests of this crate share: a registry with a driver and an environment, and diagnostics as lines of text.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

use millstream_modbus::Modbus;
use millstream_model::{Diagnostic, Severity};
use millstream_plant::{Registry, Sources};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// The drivers and the environment of every test.
pub(crate) fn registry() -> Registry {
    Registry::new(vec![Arc::new(Modbus)]).with_environment(|name| match name {
        "PLC_HOST" => Some("10.0.0.9".to_owned()),
        "KAFKA_PASSWORD" => Some("hunter2".to_owned()),
        "WRONG_OPTION" => Some("topsecret".to_owned()),
        _ => None,
    })
}

/// Diagnostics as lines: `file:line:column: error[code] key: message | label | help: … | also file:line:column …`.
pub(crate) fn lines(diagnostics: &[Diagnostic], sources: &Sources, root: &Path) -> String {
    let root = format!("{}/", root.display());
    let mut text = String::new();
    for diagnostic in diagnostics {
        let place = diagnostic.span.as_ref().map_or_else(|| "nowhere".to_owned(), |span| sources.place(span));
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(text, "{place}: {severity}[{}]", diagnostic.code);
        if let Some(key) = &diagnostic.key {
            let _ = write!(text, " {key}");
        }
        let _ = write!(text, ": {} | {}", diagnostic.message, diagnostic.label);
        if let Some(help) = &diagnostic.help {
            let _ = write!(text, " | help: {help}");
        }
        for (span, words) in &diagnostic.also {
            let _ = write!(text, " | also {} {words}", sources.place(span));
        }
        text.push('\n');
    }
    text.replace(&root, "").replace(root.trim_end_matches('/'), ".")
}
