//! What a stream or table may become without its readers noticing: `CREATE OR REPLACE` and `ALTER`.

use super::Action;
use super::query::Mistakes;
use crate::parse::ast::{ColumnDeclaration, Name};
use crate::{Catalog, ColumnSpec, Origin, Relation, RelationKind, SqlType};
use millstream_model::Diagnostic;
use std::sync::Arc;

/// Whether `new` may stand in the place of `old`: columns may only be added behind the others, and all that says how rows
/// stand in the topic stays.
pub(super) fn check(old: &Relation, new: &Relation, name: &Name, mistakes: &mut Mistakes) {
    let mut refuse = |what: &str, help: String| {
        mistakes.push(
            Diagnostic::error("sql-replace", format!("`{}` cannot be replaced: {what}", old.name))
                .label("not compatible with what is there")
                .help(help)
                .at(name.place.clone()),
        );
    };
    let anew = || format!("DROP {} {}; and create it anew", old.kind.word().to_uppercase(), old.name);
    if old.origin == Origin::ScanGroup {
        return refuse("it is the stream of a scan group", "choose another name".to_owned());
    }
    if old.source || new.source {
        return refuse("it is a SOURCE", anew());
    }
    if old.kind != new.kind {
        return refuse(&format!("it is a {}", old.kind.word()), anew());
    }
    if old.topic != new.topic {
        return refuse(&format!("its topic is `{}`", old.topic), anew());
    }
    if old.key.format != new.key.format || old.value.format != new.value.format {
        let formats = format!("its formats are {} and {}", old.key.format, old.value.format);
        return refuse(&formats, anew());
    }
    if (old.window_ms, old.session) != (new.window_ms, new.session) {
        return refuse("its windows are others", anew());
    }
    let same = |old: &&ColumnSpec, new: &&ColumnSpec| {
        old.name == new.name && old.sql_type == new.sql_type && old.key == new.key && old.header == new.header
    };
    for key in [true, false] {
        let of = |relation: &'_ Relation| {
            relation.columns.iter().filter(|column| column.key == key).cloned().collect::<Vec<_>>()
        };
        let (before, after) = (of(old), of(new));
        let changed = before
            .iter()
            .enumerate()
            .find(|(index, column)| !after.get(*index).is_some_and(|new| same(column, &new)));
        if let Some((_, column)) = changed {
            let what = format!(
                "column `{} {}` is changed, missing or in another place",
                column.name, column.sql_type
            );
            return refuse(&what, "columns may only be added at the end".to_owned());
        }
        if key && after.len() > before.len() {
            return refuse("its key has other columns", anew());
        }
    }
}

/// `ALTER STREAM|TABLE name ADD COLUMN …`.
pub(super) fn alter(
    catalog: &mut Catalog,
    kind: RelationKind,
    name: &Name,
    columns: &[ColumnDeclaration],
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let Some(known) = catalog.find(&name.text) else {
        mistakes.push(super::query::no_relation(catalog, name));
        return None;
    };
    let mut refuse = |message: String, help: String, place: &std::ops::Range<usize>| {
        mistakes.push(
            Diagnostic::error("sql-alter", message).label("cannot be altered").help(help).at(place.clone()),
        );
    };
    if known.kind != kind {
        let word = known.kind.word();
        let help = format!("write ALTER {} {}", word.to_uppercase(), known.name);
        refuse(format!("`{}` is a {word}", known.name), help, &name.place);
        return None;
    }
    let help = match &known.origin {
        _ if known.source => Some("DROP it and create it anew: a SOURCE cannot be altered".to_owned()),
        Origin::ScanGroup => Some("its columns are the tags of the scan group; add a tag there".to_owned()),
        Origin::Query(_) => Some(format!(
            "its columns are those of its query: CREATE OR REPLACE {} {} AS SELECT …",
            kind.word().to_uppercase(),
            known.name
        )),
        Origin::Declared => None,
    };
    if let Some(help) = help {
        refuse(format!("`{}` is not declared over a topic", known.name), help, &name.place);
        return None;
    }
    let mut altered = (**known).clone();
    let mut right = true;
    for column in columns {
        if altered.columns.iter().any(|known| *known.name == *column.name.text) {
            let message = format!("`{}` has a column `{}` already", altered.name, column.name.text);
            refuse(message, "give the new one another name".to_owned(), &column.name.place);
            right = false;
        } else if super::scope::is_reserved(&column.name.text) {
            let message = format!("a column cannot be called {}", column.name.text);
            refuse(message, "every row has one of this name".to_owned(), &column.name.place);
            right = false;
        } else {
            let sql_type = column.sql_type.resolve().unwrap_or(SqlType::Varchar);
            altered.columns.push(ColumnSpec::new(column.name.text.as_str().into(), sql_type, false));
        }
    }
    if let Err(error) = altered.value_layout().check() {
        refuse(error.message, error.help.unwrap_or_default(), &name.place);
        right = false;
    }
    if !right {
        return None;
    }
    catalog.insert(altered.clone());
    Some(Action::Alter(Arc::new(altered)))
}
