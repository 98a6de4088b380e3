//! `${env:NAME}` and `${file:path:key}`, Kafka's way to keep secrets out of configs, resolved when a plant is read.

use crate::plant::Registry;
use crate::section::Mistakes;
use crate::source::{Unreadable, read_text};
use crate::text::{By, Fill, Text};
use millstream_model::{Diagnostic, nearest};
use std::ops::Range;
use std::path::Path;

/// Resolves every reference in `text`; one that cannot be resolved stays and is a mistake.
pub(crate) fn resolve(text: &Text, folder: &Path, registry: &Registry, out: &mut Mistakes) -> Text {
    if !text.as_str().contains("${") {
        return text.clone();
    }
    text.fill(|rest, place| {
        let mut from = 0;
        while let Some(range) = reference(rest, from) {
            from = range.end;
            match value(&rest[range.clone()], folder, registry) {
                Ok(secret) => return Some(Fill { range, by: By::Secret(secret) }),
                Err(mut mistake) => {
                    mistake.span = Some(place(range));
                    out.push_root(mistake, text.span.clone());
                }
            }
        }
        None
    })
}

/// The next `${…}` from `from` on.
fn reference(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + text.get(from..)?.find("${")?;
    let end = start + text[start..].find('}')? + 1;
    Some(start..end)
}

fn value(reference: &str, folder: &Path, registry: &Registry) -> Result<String, Diagnostic> {
    let inner = &reference[2..reference.len() - 1];
    let malformed = || {
        Diagnostic::error("secret", format!("`{reference}` is no reference to a secret"))
            .label("expected `${env:NAME}` or `${file:path:key}`")
    };
    let (provider, rest) = inner
        .split_once(':')
        .ok_or_else(|| malformed().help(format!("for an environment variable: `${{env:{inner}}}`")))?;
    match provider {
        "env" => registry.environment(rest).ok_or_else(|| {
            Diagnostic::error("missing-secret", format!("the environment variable `{rest}` is not set"))
                .label("needed here")
                .help(format!("set it where Millstream is started: `export {rest}=…`"))
        }),
        "file" => {
            let (path, key) = rest.rsplit_once(':').ok_or_else(|| {
                malformed().help(format!("name the key in the file: `${{file:{rest}:password}}`"))
            })?;
            from_file(&folder.join(path), key)
        }
        other => Err(malformed().help(match nearest(other, ["env", "file"]) {
            Some(right) => format!("did you mean `${{{right}:{rest}}}`?"),
            None => "put the secret into an environment variable or a file".to_owned(),
        })),
    }
}

/// A key of a `.properties` file.
fn from_file(path: &Path, key: &str) -> Result<String, Diagnostic> {
    let text = read_text(path).map_err(|(Unreadable::Whole(mistake) | Unreadable::Inside(mistake, _))| {
        Diagnostic { code: "missing-secret", ..mistake }.label("needed here")
    })?;
    let pairs = || {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.starts_with(['#', '!']))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
    };
    if let Some((_, value)) = pairs().find(|(name, _)| *name == key) {
        return Ok(value.to_owned());
    }
    let message = format!("`{}` has no key `{key}`", path.display());
    let mistake = Diagnostic::error("missing-secret", message).label("needed here");
    Err(match nearest(key, pairs().map(|(name, _)| name)) {
        Some(right) => mistake.help(format!("did you mean `{right}`?")),
        None => mistake.help(format!("add a line `{key}=…` to the file")),
    })
}
