//! Names of devices, groups, tags and topics: what may stand in them, because they go on into topics, keys and SQL.

use crate::limits;
use crate::section::{Mistakes, Said};
use crate::text::Text;
use millstream_model::Diagnostic;

/// Checks the name of a device, a scan group or a template.
pub(crate) fn check(name: &Text, key: &str, what: &str, out: &mut Mistakes) -> bool {
    let text = name.as_str();
    let wrong = text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    let mistake = |message: String| {
        Diagnostic::error("name", message)
            .label(format!("expected 1 to {} letters, digits, `_` and `-`", limits::NAME_CHARS))
    };
    let mistake = if text.is_empty() {
        mistake(format!("the name of {what} is empty")).help("for example `press1`")
    } else if let Some((at, c)) = wrong {
        let right: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        mistake(format!("`{}` may not stand in the name of {what}", c.escape_debug()))
            .help(format!("for example `{right}`"))
            .at(at..at + c.len_utf8())
    } else if text.len() > limits::NAME_CHARS {
        mistake(format!("the name of {what} has {} characters", text.len())).help("shorten it")
    } else {
        return true;
    };
    out.push(name.locate(mistake.key(key)));
    false
}

/// Checks the name of a tag: it is a column, a JSON field and the end of a key.
pub(crate) fn check_tag(name: &Said<Text>, out: &mut Mistakes) -> bool {
    let text = name.as_str();
    let wrong = text.char_indices().find(|(_, c)| c.is_control() || matches!(c, '/' | '+' | '#' | '`' | '"'));
    let mistake = |message: String| Diagnostic::error("name", message);
    let mistake = if text.trim().is_empty() {
        mistake("the name of a tag is empty".to_owned())
            .label("expected a name")
            .help("for example `temperature`")
    } else if text.trim() != text {
        mistake(format!("the tag's name `{text}` begins or ends with a space"))
            .label("expected no space around it")
            .help(format!("`{}`", text.trim()))
    } else if let Some((at, c)) = wrong {
        mistake(format!("`{}` may not stand in the name of a tag", c.escape_debug()))
            .label("expected any characters but `/`, `+`, `#`, quotes and control characters")
            .help("use `_` instead")
            .at(at..at + c.len_utf8())
    } else if ["_bad", "asset"].iter().any(|reserved| text.eq_ignore_ascii_case(reserved)) {
        mistake(format!("a tag cannot be called `{text}`"))
            .label("this name has a meaning of its own in every record")
            .help(format!("for example `{text}_1`"))
    } else if text.chars().count() > limits::TAG_NAME_CHARS {
        mistake(format!("the name of a tag has {} characters", text.chars().count()))
            .label(format!("expected {} at most", limits::TAG_NAME_CHARS))
            .help("shorten it")
    } else {
        return true;
    };
    out.push(name.locate(mistake));
    false
}

/// Checks the name of a topic that a user gave.
pub(crate) fn check_topic(topic: &Said<Text>, out: &mut Mistakes) -> bool {
    let text = topic.as_str();
    let wrong =
        text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')));
    let mistake = |message: String| {
        Diagnostic::error("topic", message)
            .label(format!("expected 1 to {} letters, digits, `.`, `_` and `-`", limits::TOPIC_CHARS))
    };
    let mistake = if text.is_empty() || matches!(text, "." | "..") {
        mistake(format!("`{text}` is no name for a topic")).help("for example `\"machine.telemetry\"`")
    } else if let Some((at, c)) = wrong {
        let right: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
            .collect();
        mistake(format!("`{}` may not stand in the name of a topic", c.escape_debug()))
            .help(format!("for example `\"{right}\"`"))
            .at(at..at + c.len_utf8())
    } else if text.len() > limits::TOPIC_CHARS {
        mistake(format!("the topic's name has {} characters", text.len())).help("shorten it")
    } else if text.starts_with("millstream.") || text.starts_with("__") {
        Diagnostic::error("topic", format!("`{text}` is one of Millstream's own topics"))
            .label("expected a name that does not begin with `millstream.` or `__`")
            .help(format!(
                "for example `\"plant.{}\"`",
                text.trim_start_matches("millstream.").trim_start_matches('_')
            ))
    } else {
        return true;
    };
    out.push(topic.locate(mistake));
    false
}
