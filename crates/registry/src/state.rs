//! What the records of `_schemas` amount to.

use crate::Level;
use crate::limits::{SUBJECT_BYTES_MAX, SUBJECTS_MAX, VERSIONS_MAX};
use crate::record::{Entry, canonical};
use millstream_format::registry::{REFERENCES_MAX, RegistryError, SchemaText, SchemaVersion};
use millstream_format::sql::{ParsedSchema, incompatibilities};
use std::collections::BTreeMap;

/// Every schema, subject and level.
#[derive(Debug, Default)]
pub(crate) struct State {
    schemas: BTreeMap<i32, SchemaText>,
    subjects: BTreeMap<String, BTreeMap<i32, Version>>,
    level: Level,
    levels: BTreeMap<String, Level>,
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    id: i32,
    deleted: bool,
}

impl State {
    /// Takes in one record.
    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Schema(version, deleted) => {
                // The text of an id never changes.
                self.schemas.entry(version.id).or_insert(version.schema);
                let versions = self.subjects.entry(version.subject).or_default();
                versions.insert(version.version, Version { id: version.id, deleted });
            }
            Entry::Gone { subject, version } => {
                if let Some(versions) = self.subjects.get_mut(&subject) {
                    versions.remove(&version);
                    if versions.is_empty() {
                        self.subjects.remove(&subject);
                    }
                }
            }
            Entry::Deleted { subject, version } => {
                let versions = self.subjects.get_mut(&subject).into_iter().flatten();
                versions
                    .filter(|(number, _)| **number <= version)
                    .for_each(|(_, version)| version.deleted = true);
            }
            Entry::Level { subject: None, level } => self.level = level.unwrap_or_default(),
            Entry::Level { subject: Some(subject), level: Some(level) } => {
                self.levels.insert(subject, level);
            }
            Entry::Level { subject: Some(subject), level: None } => {
                self.levels.remove(&subject);
            }
        }
    }

    pub(crate) fn schema(&self, id: i32) -> Result<&SchemaText, RegistryError> {
        self.schemas.get(&id).ok_or(RegistryError::UnknownId(id))
    }

    /// Subjects, those that are deleted among them where `deleted`.
    pub(crate) fn subjects(&self, deleted: bool) -> Vec<String> {
        let is_there =
            |versions: &BTreeMap<i32, Version>| versions.values().any(|version| deleted || !version.deleted);
        self.subjects
            .iter()
            .filter(|(_, versions)| is_there(versions))
            .map(|(subject, _)| subject.clone())
            .collect()
    }

    /// The versions of a subject, ascending.
    pub(crate) fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<i32>, RegistryError> {
        let all = self.subjects.get(subject).into_iter().flatten();
        let found: Vec<i32> =
            all.filter(|(_, version)| deleted || !version.deleted).map(|(number, _)| *number).collect();
        if found.is_empty() { Err(RegistryError::UnknownSubject(subject.to_owned())) } else { Ok(found) }
    }

    /// One version, or the newest.
    pub(crate) fn version(
        &self,
        subject: &str,
        version: Option<i32>,
        deleted: bool,
    ) -> Result<SchemaVersion, RegistryError> {
        let newest = self.versions(subject, deleted)?.last().copied().unwrap_or(0);
        let number = version.unwrap_or(newest);
        let found = self.subjects.get(subject).and_then(|versions| versions.get(&number));
        let found = found.filter(|version| deleted || !version.deleted);
        let unknown = || RegistryError::UnknownVersion { subject: subject.to_owned(), version: number };
        let id = found.ok_or_else(unknown)?.id;
        Ok(SchemaVersion {
            subject: subject.to_owned(),
            version: number,
            id,
            schema: self.schema(id)?.clone(),
        })
    }

    /// Where a schema stands under a subject.
    pub(crate) fn find(&self, subject: &str, schema: &SchemaText, deleted: bool) -> Option<SchemaVersion> {
        let schema = canonical(schema);
        let versions = self.subjects.get(subject)?;
        let same = |id: i32| self.schemas.get(&id).is_some_and(|known| canonical(known) == schema);
        let (number, _) = versions.iter().rev().find(|(_, v)| (deleted || !v.deleted) && same(v.id))?;
        self.version(subject, Some(*number), true).ok()
    }

    /// Every subject and version that has a schema of this id.
    pub(crate) fn places(&self, id: i32, deleted: bool) -> Vec<(String, i32)> {
        let mut found = Vec::new();
        for (subject, versions) in &self.subjects {
            let here = versions.iter().filter(|(_, v)| v.id == id && (deleted || !v.deleted));
            found.extend(here.map(|(number, _)| (subject.clone(), *number)));
        }
        found
    }

    /// Ids of the schemas that refer to a version.
    pub(crate) fn users(&self, subject: &str, version: i32) -> Vec<i32> {
        let uses = |schema: &SchemaText| {
            schema.references.iter().any(|r| r.subject == subject && r.version == version)
        };
        let ids = self.schemas.iter().filter(|(_, schema)| uses(schema)).map(|(id, _)| *id);
        ids.filter(|id| !self.places(*id, false).is_empty()).collect()
    }

    /// A subject's level; `None` where it has none of its own and `own` is asked.
    pub(crate) fn level(&self, subject: Option<&str>, own: bool) -> Option<Level> {
        match subject.and_then(|subject| self.levels.get(subject)) {
            Some(level) => Some(*level),
            None if own && subject.is_some() => None,
            None => Some(self.level),
        }
    }

    /// The texts of what a schema uses.
    fn used(&self, schema: &SchemaText) -> Result<Vec<(String, SchemaText)>, RegistryError> {
        let mut found: Vec<(String, SchemaText)> = Vec::new();
        let mut wanted = schema.references.clone();
        while let Some(reference) = wanted.pop() {
            if found.iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            if found.len() >= REFERENCES_MAX {
                return Err(RegistryError::Invalid(format!(
                    "it uses more than {REFERENCES_MAX} other schemas"
                )));
            }
            let used = self.version(&reference.subject, Some(reference.version), true)?.schema;
            wanted.extend(used.references.iter().cloned());
            found.push((reference.name, used));
        }
        found.reverse();
        Ok(found)
    }

    fn parsed(&self, schema: &SchemaText) -> Result<ParsedSchema, RegistryError> {
        let parsed = ParsedSchema::new(schema, &self.used(schema)?);
        match parsed.error() {
            Some(error) => Err(RegistryError::Invalid(error.to_owned())),
            None => Ok(parsed),
        }
    }

    /// Why a schema is not compatible with `against`, by a level's rules.
    pub(crate) fn incompatibilities(
        &self,
        schema: &SchemaText,
        against: &[SchemaVersion],
        level: Level,
    ) -> Result<Vec<String>, RegistryError> {
        let new = self.parsed(schema)?;
        let mut reasons = Vec::new();
        for version in against {
            let old = ParsedSchema::new(&version.schema, &self.used(&version.schema)?);
            let mut told = |found: Vec<String>| {
                reasons
                    .extend(found.into_iter().map(|reason| format!("version {}: {reason}", version.version)));
            };
            if level.is_backward() {
                told(incompatibilities(&new, &old));
            }
            if level.is_forward() {
                told(incompatibilities(&old, &new));
            }
        }
        Ok(reasons)
    }

    /// The versions that a new schema of a subject is compared with.
    pub(crate) fn compared(&self, subject: &str) -> Vec<SchemaVersion> {
        let numbers = self.versions(subject, false).unwrap_or_default();
        let level = self.level(Some(subject), false).unwrap_or_default();
        let from = match level {
            Level::None => numbers.len(),
            level if level.is_transitive() => 0,
            _ => numbers.len().saturating_sub(1),
        };
        let kept = numbers.into_iter().skip(from);
        kept.filter_map(|number| self.version(subject, Some(number), false).ok()).collect()
    }

    /// What registering a schema appends: the version that it gets, or the one that it has already.
    pub(crate) fn register(&self, subject: &str, schema: &SchemaText) -> Result<Registration, RegistryError> {
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(RegistryError::Invalid(format!(
                "a subject's name has 1 to {SUBJECT_BYTES_MAX} bytes"
            )));
        }
        self.parsed(schema)?;
        let schema = canonical(schema);
        if let Some(known) = self.find(subject, &schema, false) {
            return Ok(Registration::Known(known.id));
        }
        let level = self.level(Some(subject), false).unwrap_or_default();
        let reasons = self.incompatibilities(&schema, &self.compared(subject), level)?;
        if !reasons.is_empty() {
            return Err(RegistryError::Incompatible { subject: subject.to_owned(), reasons });
        }
        if self.subjects.len() >= SUBJECTS_MAX && !self.subjects.contains_key(subject) {
            return Err(RegistryError::Refused(format!("it has {SUBJECTS_MAX} subjects already")));
        }
        let versions = self.subjects.get(subject);
        if versions.is_some_and(|versions| versions.len() >= VERSIONS_MAX) {
            return Err(RegistryError::Refused(format!(
                "subject `{subject}` has {VERSIONS_MAX} versions already"
            )));
        }
        let last = versions.and_then(|versions| versions.last_key_value()).map_or(0, |(number, _)| *number);
        let same = self.schemas.iter().find(|(_, known)| canonical(known) == schema).map(|(id, _)| *id);
        let highest = self.schemas.last_key_value().map_or(0, |(id, _)| *id);
        let id = same.unwrap_or_else(|| highest.saturating_add(1));
        let version = last.saturating_add(1);
        Ok(Registration::New(SchemaVersion { subject: subject.to_owned(), version, id, schema }))
    }
}

/// What registering a schema comes to.
#[derive(Debug)]
pub(crate) enum Registration {
    /// It stands there already.
    Known(i32),
    /// It becomes this version.
    New(SchemaVersion),
}
