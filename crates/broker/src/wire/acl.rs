//! Access control lists: the bindings, their filters, and the decision, by the rules of Kafka's `StandardAuthorizer`.

use crate::wire::authorize::{Operation, Resource, ResourceType};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for every name, every host.
pub(crate) const WILDCARD: &str = "*";
/// Stands for every principal.
const EVERYONE: &str = "User:*";

/// How the name of a binding names things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pattern {
    /// Exactly so, or everything where the name is `*`.
    Literal,
    /// Whatever begins so.
    Prefixed,
}

impl Pattern {
    /// Its number in the protocol.
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::Literal => 3,
            Self::Prefixed => 4,
        }
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [Self::Literal, Self::Prefixed].into_iter().find(|pattern| pattern.code() == code)
    }
}

/// Whether a binding allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Permission {
    Deny,
    Allow,
}

impl Permission {
    /// Its number in the protocol.
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::Deny => 2,
            Self::Allow => 3,
        }
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [Self::Deny, Self::Allow].into_iter().find(|permission| permission.code() == code)
    }
}

/// `ALL`, or one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operations {
    All,
    One(Operation),
}

impl Operations {
    /// Its number in the protocol.
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::All => 2,
            Self::One(operation) => operation.code(),
        }
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::All),
            code => Operation::from_code(code).map(Self::One),
        }
    }
}

/// One binding: on these things, this principal from this host may, or may not, do this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Acl {
    pub(crate) resource_type: ResourceType,
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operations: Operations,
    pub(crate) permission: Permission,
}

/// A binding as it is kept: the numbers of the protocol.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    resource_type: i8,
    name: String,
    pattern: i8,
    principal: String,
    host: String,
    operation: i8,
    permission: i8,
}

impl Acl {
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        let kept = Kept {
            resource_type: self.resource_type.code(),
            name: self.name.clone(),
            pattern: self.pattern.code(),
            principal: self.principal.clone(),
            host: self.host.clone(),
            operation: self.operations.code(),
            permission: self.permission.code(),
        };
        serde_json::to_value(kept).ok()
    }

    /// `None` where it is not one of ours.
    pub(crate) fn from_json(value: serde_json::Value) -> Option<Self> {
        let kept: Kept = serde_json::from_value(value).ok()?;
        Some(Self {
            resource_type: ResourceType::from_code(kept.resource_type)?,
            name: kept.name,
            pattern: Pattern::from_code(kept.pattern)?,
            principal: kept.principal,
            host: kept.host,
            operations: Operations::from_code(kept.operation)?,
            permission: Permission::from_code(kept.permission)?,
        })
    }

    fn concerns(&self, asked: &Question<'_>) -> bool {
        (self.principal == EVERYONE || self.principal == asked.principal)
            && (self.host == WILDCARD || self.host == asked.host)
            && covers(self.operations, self.permission, asked.operation)
    }
}

/// Whether a binding for `operations` speaks of `asked`. What allows to change or use a thing allows to see it; what denies
/// that does not.
fn covers(operations: Operations, permission: Permission, asked: Operation) -> bool {
    use Operation::{Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
    let Operations::One(operation) = operations else { return true };
    match (permission, asked) {
        (Permission::Allow, Describe) => matches!(operation, Describe | Read | Write | Delete | Alter),
        (Permission::Allow, DescribeConfigs) => matches!(operation, DescribeConfigs | AlterConfigs),
        _ => operation == asked,
    }
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `User:name`.
    pub(crate) principal: &'a str,
    /// The client's address as text.
    pub(crate) host: &'a str,
    pub(crate) operation: Operation,
}

/// All bindings, found by what they protect: a decision looks up as many names as there are lengths of prefixes, and no more.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    by_id: BTreeMap<String, Acl>,
    literal: FxHashMap<ResourceType, FxHashMap<String, Vec<Acl>>>,
    prefixed: FxHashMap<ResourceType, FxHashMap<String, Vec<Acl>>>,
    prefix_lengths: FxHashMap<ResourceType, BTreeSet<usize>>,
    /// Everyone may use what no binding speaks of.
    allow_unprotected: bool,
}

impl Acls {
    /// Bindings by the ids that they are kept under.
    pub(crate) fn new(by_id: BTreeMap<String, Acl>, allow_unprotected: bool) -> Self {
        let mut acls = Self { allow_unprotected, ..Self::default() };
        for acl in by_id.values() {
            let names = match acl.pattern {
                Pattern::Literal => &mut acls.literal,
                Pattern::Prefixed => {
                    acls.prefix_lengths.entry(acl.resource_type).or_default().insert(acl.name.len());
                    &mut acls.prefixed
                }
            };
            let of_type = names.entry(acl.resource_type).or_default();
            of_type.entry(acl.name.clone()).or_default().push(acl.clone());
        }
        acls.by_id = by_id;
        acls
    }

    /// The bindings with their ids.
    pub(crate) fn by_id(&self) -> &BTreeMap<String, Acl> {
        &self.by_id
    }

    /// Whether it is allowed: a denial counts more than what allows, and what nothing allows is denied.
    pub(crate) fn allow(&self, asked: &Question<'_>, resource: Resource<'_>) -> bool {
        let (mut is_protected, mut is_allowed) = (false, false);
        for acl in self.protecting(resource) {
            is_protected = true;
            if acl.concerns(asked) {
                match acl.permission {
                    Permission::Deny => return false,
                    Permission::Allow => is_allowed = true,
                }
            }
        }
        is_allowed || (!is_protected && self.allow_unprotected)
    }

    fn protecting<'a>(&'a self, resource: Resource<'a>) -> impl Iterator<Item = &'a Acl> {
        let (resource_type, name) = (resource.resource_type(), resource.name());
        let literal = self.literal.get(&resource_type);
        let exact = literal.and_then(|names| names.get(name));
        let any = literal.filter(|_| name != WILDCARD).and_then(|names| names.get(WILDCARD));
        let lengths = self.prefix_lengths.get(&resource_type).into_iter().flatten();
        let prefixes = lengths.filter_map(move |length| name.get(..*length));
        let prefixed = self.prefixed.get(&resource_type);
        let prefixed = prefixes.filter_map(move |prefix| prefixed.and_then(|names| names.get(prefix)));
        exact.into_iter().chain(any).chain(prefixed).flatten()
    }

    /// Whether there can be a thing of this kind to which it is allowed (Kafka's `authorizeByResourceType`).
    pub(crate) fn allow_on_any(&self, asked: &Question<'_>, resource_type: ResourceType) -> bool {
        // As in Kafka, only the operation itself and `ALL` count here, not what implies it.
        let concerned = |acl: &&Acl| {
            let is_meant =
                acl.operations == Operations::All || acl.operations == Operations::One(asked.operation);
            is_meant && acl.concerns(asked)
        };
        let of = |names: &FxHashMap<ResourceType, FxHashMap<String, Vec<Acl>>>, permission| {
            let acls = names.get(&resource_type).into_iter().flat_map(FxHashMap::values).flatten();
            let meant = acls.filter(concerned).filter(|acl| acl.permission == permission);
            meant.map(|acl| acl.name.clone()).collect::<BTreeSet<String>>()
        };
        let (denied, denied_prefixes) =
            (of(&self.literal, Permission::Deny), of(&self.prefixed, Permission::Deny));
        let (allowed, allowed_prefixes) =
            (of(&self.literal, Permission::Allow), of(&self.prefixed, Permission::Allow));
        if denied.contains(WILDCARD) {
            return false;
        }
        let is_open = |name: &String| !denied_prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        allowed.contains(WILDCARD)
            || allowed.difference(&denied).any(is_open)
            || allowed_prefixes.iter().any(is_open)
            || (self.allow_unprotected && !self.has_any(resource_type))
    }

    fn has_any(&self, resource_type: ResourceType) -> bool {
        self.literal.contains_key(&resource_type) || self.prefixed.contains_key(&resource_type)
    }
}

/// Which bindings are meant: `None` means each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) resource_type: Option<ResourceType>,
    pub(crate) name: Option<String>,
    pub(crate) pattern: PatternFilter,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operations: Option<Operations>,
    pub(crate) permission: Option<Permission>,
}

/// Which patterns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternFilter {
    /// Whatever the pattern, the name is this.
    Any,
    /// Those that protect the thing of the name.
    Match,
    /// Of this pattern, the name is this.
    Is(Pattern),
}

impl Filter {
    pub(crate) fn matches(&self, acl: &Acl) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        is(self.resource_type.as_ref(), &acl.resource_type)
            && self.matches_name(acl)
            && is(self.principal.as_ref(), &acl.principal)
            && is(self.host.as_ref(), &acl.host)
            && is(self.operations.as_ref(), &acl.operations)
            && is(self.permission.as_ref(), &acl.permission)
    }

    fn matches_name(&self, acl: &Acl) -> bool {
        if matches!(self.pattern, PatternFilter::Is(pattern) if pattern != acl.pattern) {
            return false;
        }
        let Some(name) = &self.name else { return true };
        match (self.pattern, acl.pattern) {
            (PatternFilter::Any | PatternFilter::Is(_), _) => *name == acl.name,
            (PatternFilter::Match, Pattern::Literal) => *name == acl.name || acl.name == WILDCARD,
            (PatternFilter::Match, Pattern::Prefixed) => name.starts_with(&acl.name),
        }
    }
}

#[cfg(test)]
mod tests;
