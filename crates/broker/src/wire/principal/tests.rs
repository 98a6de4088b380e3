//! Kafka's own examples of mapping rules, and names that no user may have.

use super::*;

fn map(rules: &str, distinguished_name: &str) -> Option<String> {
    rules.parse::<PrincipalRules>().unwrap().apply(distinguished_name)
}

const KAFKA_DOCS: &str = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, \
    RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
    RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L, \
    DEFAULT";

#[test]
fn the_examples_of_kafkas_documentation_map_as_it_says() {
    let service = "CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown";
    assert_eq!(map(KAFKA_DOCS, service).as_deref(), Some("serviceuser"));
    let admin = "CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown";
    assert_eq!(map(KAFKA_DOCS, admin).as_deref(), Some("adminuser@admin"));
    assert_eq!(map(KAFKA_DOCS, "OU=Else,cn=Press.One,O=Acme").as_deref(), Some("press.one"));
    assert_eq!(map(KAFKA_DOCS, "OU=JavaTeam").as_deref(), Some("OU=JavaTeam"));
}

#[test]
fn the_first_rule_that_matches_wholly_counts() {
    let rules = "RULE:^CN=([^,ADEFLTU,]+)(,.*|$)/$1/";
    assert_eq!(map(rules, "CN=MILL,OU=x"), None);
    assert_eq!(map("RULE:CN=(a)/$1/", "CN=ab"), None, "no part of a name is enough");
    assert_eq!(map("RULE:CN=(a+)/x/U,DEFAULT", "CN=aa").as_deref(), Some("X"));
    assert_eq!(map("RULE:CN=(a)/$1$2/", "CN=a").as_deref(), Some("a$2"), "a group that is not there is text");
    assert_eq!(map(r"RULE:CN=(.*)\/(.*)/$1\/$2/", "CN=a/b").as_deref(), Some("a/b"));
    assert_eq!(map("DEFAULT\nRULE:x/y/", "CN=a").as_deref(), Some("CN=a"));
}

#[test]
fn rules_that_kafka_refuses_are_refused() {
    let wrong = [
        "default",
        "DEFAUL",
        "DEFAULT/L",
        "DEFAULT/",
        "RULE:CN=(.*?),OU=ServiceUsers.*/$1",
        "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/L",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/U",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/LU",
        "RULE:^CN=((.*?)$/$1/",
    ];
    for rules in wrong {
        rules.parse::<PrincipalRules>().expect_err(rules);
    }
}

#[test]
fn nobody_is_called_everyone_or_anyone() {
    for name in ["*", "ANONYMOUS", "", "a\0b", "a\nb", &"x".repeat(256)] {
        assert_eq!(Principal::user(name), None, "{name:?}");
    }
    assert_eq!(Principal::user("CN=müller,O=a b").unwrap().to_string(), "User:CN=müller,O=a b");
    assert_eq!(Principal::anonymous().to_string(), "User:ANONYMOUS");
}
