//! The rules of Kafka's authorizer, and the index against a plain walk through all bindings.

use super::*;
use proptest::prelude::*;

const READ: Operations = Operations::One(Operation::Read);

fn acl(name: &str, pattern: Pattern, principal: &str, operations: Operations, permission: Permission) -> Acl {
    Acl {
        resource_type: ResourceType::Topic,
        name: name.to_owned(),
        pattern,
        principal: principal.to_owned(),
        host: WILDCARD.to_owned(),
        operations,
        permission,
    }
}

fn allow(name: &str, operations: Operations) -> Acl {
    acl(name, Pattern::Literal, "User:a", operations, Permission::Allow)
}

fn acls(acls: &[Acl]) -> Acls {
    let by_id = acls.iter().enumerate().map(|(id, acl)| (id.to_string(), acl.clone()));
    Acls::new(by_id.collect(), false)
}

fn asks(operation: Operation) -> Question<'static> {
    Question { principal: "User:a", host: "10.0.0.1", operation }
}

fn may(acls: &Acls, operation: Operation, topic: &str) -> bool {
    acls.allow(&asks(operation), Resource::Topic(topic))
}

#[test]
fn what_nothing_allows_is_denied() {
    let acls = acls(&[allow("t", READ)]);
    assert!(may(&acls, Operation::Read, "t"));
    assert!(!may(&acls, Operation::Write, "t"));
    assert!(!may(&acls, Operation::Read, "t2"));
    assert!(!acls.allow(&asks(Operation::Read), Resource::Group("t")), "another kind of thing");
    let other = Question { principal: "User:b", ..asks(Operation::Read) };
    assert!(!acls.allow(&other, Resource::Topic("t")));
    let unprotected = Acls::new(acls.by_id().clone(), true);
    assert!(may(&unprotected, Operation::Read, "t2"), "nothing speaks of it");
    assert!(!unprotected.allow(&other, Resource::Topic("t")), "something speaks of it");
}

#[test]
fn using_a_thing_allows_to_see_it_and_denying_the_use_does_not_hide_it() {
    use Operation::{
        Alter, AlterConfigs, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read, Write,
    };
    for operation in Operation::ALL {
        let acls = acls(&[allow("t", Operations::One(operation))]);
        let seen = matches!(operation, Describe | Read | Write | Delete | Alter);
        assert_eq!(may(&acls, Describe, "t"), seen, "{operation:?}");
        let configs = matches!(operation, DescribeConfigs | AlterConfigs);
        assert_eq!(may(&acls, DescribeConfigs, "t"), configs, "{operation:?}");
    }
    let everything = allow("t", Operations::All);
    let no_read = acl("t", Pattern::Literal, "User:a", READ, Permission::Deny);
    let acls = acls(&[everything, no_read]);
    assert!(!may(&acls, Read, "t"));
    for operation in [Describe, Write, Create, IdempotentWrite] {
        assert!(may(&acls, operation, "t"), "{operation:?}");
    }
}

#[test]
fn a_denial_counts_more_wherever_it_stands() {
    let allowed = allow("press.1", READ);
    for denied in [
        acl("press.1", Pattern::Literal, "User:*", READ, Permission::Deny),
        acl("press.", Pattern::Prefixed, "User:a", READ, Permission::Deny),
        acl("*", Pattern::Literal, "User:a", Operations::All, Permission::Deny),
    ] {
        assert!(!may(&acls(&[allowed.clone(), denied.clone()]), Operation::Read, "press.1"), "{denied:?}");
    }
}

#[test]
fn a_literal_star_is_everything_and_a_prefixed_one_is_not() {
    let literal = acls(&[allow("*", READ)]);
    assert!(may(&literal, Operation::Read, "anything"));
    let prefixed = acls(&[acl("*", Pattern::Prefixed, "User:a", READ, Permission::Allow)]);
    assert!(!may(&prefixed, Operation::Read, "anything"));
    assert!(may(&prefixed, Operation::Read, "*x"));
}

#[test]
fn hosts_are_compared_as_they_are_written() {
    let mut here = allow("t", READ);
    here.host = "10.0.0.1".to_owned();
    let acls = acls(&[here]);
    assert!(may(&acls, Operation::Read, "t"));
    let there = Question { host: "10.0.0.10", ..asks(Operation::Read) };
    assert!(!acls.allow(&there, Resource::Topic("t")));
}

#[test]
fn a_prefix_ends_where_it_ends_even_inside_a_character() {
    let acls = acls(&[acl("ü", Pattern::Prefixed, "User:a", READ, Permission::Allow)]);
    assert!(may(&acls, Operation::Read, "über"));
    assert!(!may(&acls, Operation::Read, "aüber"));
    assert!(!may(&acls, Operation::Read, "€"));
}

#[test]
fn something_can_be_allowed_unless_all_that_is_allowed_is_denied() {
    let any = |bindings: &[Acl]| acls(bindings).allow_on_any(&asks(Operation::Write), ResourceType::Topic);
    let write = Operations::One(Operation::Write);
    let bind = |name: &str, pattern, permission| acl(name, pattern, "User:a", write, permission);
    let (literal, prefixed) = (Pattern::Literal, Pattern::Prefixed);
    let (yes, no) = (Permission::Allow, Permission::Deny);
    assert!(!any(&[]));
    assert!(any(&[bind("t", literal, yes)]));
    assert!(any(&[bind("t", prefixed, yes), bind("u", literal, no)]));
    assert!(any(&[bind("*", literal, yes), bind("u", prefixed, no)]));
    assert!(!any(&[bind("t", literal, yes), bind("t", literal, no)]));
    assert!(!any(&[bind("team", prefixed, yes), bind("te", prefixed, no)]));
    assert!(any(&[bind("te", prefixed, yes), bind("team", prefixed, no)]));
    assert!(!any(&[bind("*", literal, yes), bind("*", literal, no)]));
    assert!(!any(&[allow("t", READ)]));
}

#[test]
fn bindings_are_kept_and_read_back() {
    let bound = acl("t", Pattern::Prefixed, "User:a", Operations::All, Permission::Deny);
    assert_eq!(Acl::from_json(bound.to_json().unwrap()), Some(bound.clone()));
    let mut damaged = bound.to_json().unwrap();
    damaged["permission"] = 9.into();
    assert_eq!(Acl::from_json(damaged), None);
}

#[test]
fn filters_match_as_kafkas_do() {
    let every = Filter {
        resource_type: None,
        name: None,
        pattern: PatternFilter::Any,
        principal: None,
        host: None,
        operations: None,
        permission: None,
    };
    let literal = allow("team.a", READ);
    let star = allow("*", READ);
    let prefix = acl("team.", Pattern::Prefixed, "User:a", READ, Permission::Allow);
    let matched = |filter: &Filter| [&literal, &star, &prefix].map(|acl| filter.matches(acl));
    assert_eq!(matched(&every), [true; 3]);
    let named = |pattern, name: &str| Filter { pattern, name: Some(name.to_owned()), ..every.clone() };
    assert_eq!(matched(&named(PatternFilter::Any, "team.a")), [true, false, false]);
    assert_eq!(matched(&named(PatternFilter::Match, "team.a")), [true, true, true]);
    assert_eq!(matched(&named(PatternFilter::Match, "x")), [false, true, false]);
    assert_eq!(matched(&named(PatternFilter::Is(Pattern::Prefixed), "team.")), [false, false, true]);
    assert_eq!(matched(&named(PatternFilter::Is(Pattern::Literal), "team.")), [false, false, false]);
    assert!(!Filter { host: Some("h".to_owned()), ..every.clone() }.matches(&literal));
    assert!(!Filter { operations: Some(Operations::All), ..every.clone() }.matches(&literal));
    assert!(!Filter { resource_type: Some(ResourceType::Group), ..every }.matches(&literal));
}

/// Kafka's rules as they are written down, one binding after the other.
fn naive(bindings: &[Acl], asked: &Question<'_>, resource: Resource<'_>) -> bool {
    let speaks = |acl: &&Acl| {
        let name = resource.name();
        let named = match acl.pattern {
            Pattern::Literal => acl.name == name || acl.name == "*",
            Pattern::Prefixed => name.starts_with(&acl.name),
        };
        named && acl.resource_type == resource.resource_type()
    };
    let theirs = |acl: &&Acl| {
        (acl.principal == asked.principal || acl.principal == "User:*")
            && (acl.host == "*" || acl.host == asked.host)
    };
    let concerned: Vec<&Acl> = bindings.iter().filter(speaks).filter(theirs).collect();
    let of = |permission| concerned.iter().filter(move |acl| acl.permission == permission);
    let is_denied = of(Permission::Deny).any(|acl| match acl.operations {
        Operations::All => true,
        Operations::One(operation) => operation == asked.operation,
    });
    let is_allowed = of(Permission::Allow).any(|acl| match acl.operations {
        Operations::All => true,
        Operations::One(operation) if operation == asked.operation => true,
        Operations::One(operation) => match asked.operation {
            Operation::Describe => {
                [Operation::Read, Operation::Write, Operation::Delete, Operation::Alter].contains(&operation)
            }
            Operation::DescribeConfigs => operation == Operation::AlterConfigs,
            _ => false,
        },
    });
    is_allowed && !is_denied
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), "[ab]{1,3}", "[aü]{1,2}"]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop::sample::select(Operation::ALL.to_vec())
}

fn binding() -> impl Strategy<Value = Acl> {
    let principal = prop::sample::select(vec!["User:a", "User:b", "User:*"]);
    let host = prop::sample::select(vec!["*", "10.0.0.1", "10.0.0.2"]);
    let pattern = prop::sample::select(vec![Pattern::Literal, Pattern::Prefixed]);
    let permission = prop::sample::select(vec![Permission::Allow, Permission::Allow, Permission::Deny]);
    let kind = prop::sample::select(vec![ResourceType::Topic, ResourceType::Group]);
    let operations = prop_oneof![Just(Operations::All), operation().prop_map(Operations::One)];
    (kind, name(), pattern, principal, host, operations, permission).prop_map(
        |(resource_type, name, pattern, principal, host, operations, permission)| Acl {
            resource_type,
            name,
            pattern,
            principal: principal.to_owned(),
            host: host.to_owned(),
            operations,
            permission,
        },
    )
}

proptest! {
    #[test]
    fn the_index_decides_as_the_rules_say(
        bindings in prop::collection::vec(binding(), 0..12),
        name in name(),
        operation in operation(),
        principal in prop::sample::select(vec!["User:a", "User:b", "User:c"]),
        is_group in any::<bool>(),
    ) {
        let asked = Question { principal, host: "10.0.0.1", operation };
        let resource = if is_group { Resource::Group(&name) } else { Resource::Topic(&name) };
        prop_assert_eq!(acls(&bindings).allow(&asked, resource), naive(&bindings, &asked, resource));
    }

    /// What may be done to one thing may be done to any of its kind, seen from the names that bindings can tell apart.
    #[test]
    fn what_is_allowed_somewhere_is_allowed_on_any(bindings in prop::collection::vec(binding(), 0..8), operation in operation()) {
        let found = acls(&bindings);
        let asked = asks(operation);
        let meant = |acl: &Acl| {
            acl.operations == Operations::All || acl.operations == Operations::One(operation)
        };
        let direct: Vec<Acl> = bindings.iter().filter(|acl| meant(acl)).cloned().collect();
        let names: Vec<String> = direct.iter().map(|acl| acl.name.clone()).filter(|name| name != "*").collect();
        let somewhere = names.iter().any(|name| naive(&direct, &asked, Resource::Topic(name)));
        if somewhere {
            prop_assert!(found.allow_on_any(&asked, ResourceType::Topic));
        }
        if !found.allow_on_any(&asked, ResourceType::Topic) {
            prop_assert!(!naive(&direct, &asked, Resource::Topic("zzz")));
        }
    }
}
