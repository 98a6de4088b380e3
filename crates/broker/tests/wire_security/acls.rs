//! ACLs over the wire.

use crate::actors::{ADMIN, ALICE, BOB, client_of, sasl_config, sasl_server, security, serve};
use crate::support::client::{Client, Server};
use crate::support::fresh_dir;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateTopicsRequest, DeleteAclsRequest, DescribeAclsRequest, FindCoordinatorRequest,
    MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{SecurityConfig, WireConfig};

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const USER: i8 = 7;
const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const ALL: i8 = 2;
const READ: i8 = 3;
const CREATE: i8 = 5;
const DESCRIBE: i8 = 8;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn acl(kind: i8, name: &str, pattern: i8, principal: &str, operation: i8, permission: i8) -> AclCreation {
    AclCreation::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_resource_pattern_type(pattern)
        .with_principal(text(principal))
        .with_host(text("*"))
        .with_operation(operation)
        .with_permission_type(permission)
}

async fn create(client: &mut Client, creations: Vec<AclCreation>) -> Vec<i16> {
    let response = client.send(3, &CreateAclsRequest::default().with_creations(creations)).await;
    response.results.iter().map(|result| result.error_code).collect()
}

fn filter(kind: i8, name: Option<&str>, pattern: i8) -> DeleteAclsFilter {
    DeleteAclsFilter::default()
        .with_resource_type_filter(kind)
        .with_resource_name_filter(name.map(text))
        .with_pattern_type_filter(pattern)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY)
}

async fn described(client: &mut Client, kind: i8, name: Option<&str>, pattern: i8) -> Vec<(String, usize)> {
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(kind)
        .with_resource_name_filter(name.map(text))
        .with_pattern_type_filter(pattern)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let response = client.send(3, &request).await;
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    let resources = response.resources.iter();
    resources.map(|resource| (resource.resource_name.to_string(), resource.acls.len())).collect()
}

async fn create_topic(client: &mut Client, name: &str) -> i16 {
    let topic = CreatableTopic::default().with_name(TopicName(text(name)));
    let topic = topic.with_num_partitions(1).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    client.send(7, &request).await.topics[0].error_code
}

/// The topics that a client sees, the broker's own ones aside.
async fn seen(client: &mut Client) -> Vec<String> {
    let response = client.send(12, &MetadataRequest::default().with_topics(None)).await;
    let mut names: Vec<String> =
        response.topics.iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect();
    names.retain(|name| !name.starts_with("__"));
    names.sort();
    names
}

#[tokio::test]
async fn what_no_acl_allows_is_denied_and_hidden() {
    let server = sasl_server(security()).await;
    let (mut admin, mut alice) = (client_of(&server, ADMIN).await, client_of(&server, ALICE).await);
    for name in ["press.1", "press.2", "secret"] {
        assert_eq!(create_topic(&mut admin, name).await, 0);
    }
    assert_eq!(create_topic(&mut alice, "mine").await, ResponseError::TopicAuthorizationFailed.code());
    assert!(seen(&mut alice).await.is_empty());
    assert_eq!(seen(&mut admin).await, ["press.1", "press.2", "secret"]);
    let coordinator = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    let found = alice.send(4, &coordinator).await;
    assert_eq!(found.coordinators[0].error_code, ResponseError::GroupAuthorizationFailed.code());

    let prefixed = acl(TOPIC, "press.", PREFIXED, "User:alice", READ, ALLOW);
    let denied = acl(TOPIC, "press.2", LITERAL, "User:*", ALL, DENY);
    let group = acl(GROUP, "*", LITERAL, "User:alice", DESCRIBE, ALLOW);
    let own = acl(TOPIC, "mine", LITERAL, "User:alice", CREATE, ALLOW);
    assert_eq!(create(&mut admin, vec![prefixed, denied, group, own]).await, [0; 4]);
    assert_eq!(seen(&mut alice).await, ["press.1"], "it counts at once");
    assert_eq!(alice.send(4, &coordinator).await.coordinators[0].error_code, 0);
    assert_eq!(create_topic(&mut alice, "mine").await, 0);
    assert_eq!(create_topic(&mut alice, "other").await, ResponseError::TopicAuthorizationFailed.code());
}

#[tokio::test]
async fn acls_survive_a_restart_and_go_when_they_are_deleted() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    create_topic(&mut admin, "t").await;
    let read = acl(TOPIC, "t", LITERAL, "User:bob", READ, ALLOW);
    assert_eq!(create(&mut admin, vec![read.clone(), read.clone()]).await, [0, 0]);
    assert_eq!(create(&mut admin, vec![read]).await, [0]);
    assert_eq!(described(&mut admin, TOPIC, Some("t"), LITERAL).await, [("t".to_owned(), 1)]);
    drop(admin);
    let dir = server.stop().await;
    let server = serve(&dir, sasl_config(security())).await;
    let (mut admin, mut bob) = (client_of(&server, ADMIN).await, client_of(&server, BOB).await);
    assert_eq!(seen(&mut bob).await, ["t"]);
    let request = DeleteAclsRequest::default().with_filters(vec![
        filter(TOPIC, Some("t"), MATCH),
        filter(GROUP, None, ANY),
        filter(9, None, ANY),
    ]);
    let response = admin.send(3, &request).await;
    let counts: Vec<(i16, usize)> = response
        .filter_results
        .iter()
        .map(|result| (result.error_code, result.matching_acls.len()))
        .collect();
    assert_eq!(counts, [(0, 1), (0, 0), (ResponseError::InvalidRequest.code(), 0)]);
    let gone = &response.filter_results[0].matching_acls[0];
    assert_eq!((gone.principal.as_str(), gone.operation, gone.pattern_type), ("User:bob", READ, LITERAL));
    assert!(seen(&mut bob).await.is_empty(), "it counts at once");
    drop((admin, bob));
    let dir = server.stop().await;
    let server = serve(&dir, sasl_config(security())).await;
    assert!(described(&mut client_of(&server, ADMIN).await, ANY, None, ANY).await.is_empty());
}

#[tokio::test]
async fn filters_find_what_protects_a_thing() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    let acls = vec![
        acl(TOPIC, "team.a", LITERAL, "User:a", READ, ALLOW),
        acl(TOPIC, "team.", PREFIXED, "User:a", READ, ALLOW),
        acl(TOPIC, "team.", PREFIXED, "User:b", READ, ALLOW),
        acl(TOPIC, "*", LITERAL, "User:c", DESCRIBE, DENY),
        acl(GROUP, "team.a", LITERAL, "User:a", READ, ALLOW),
        acl(USER, "team.a", LITERAL, "User:a", DESCRIBE, ALLOW),
        acl(CLUSTER, "kafka-cluster", LITERAL, "User:a", DESCRIBE, ALLOW),
    ];
    assert_eq!(create(&mut admin, acls).await, [0; 7]);
    let found = async |admin: &mut Client, kind, name, pattern| -> usize {
        described(admin, kind, name, pattern).await.iter().map(|(_, acls)| acls).sum()
    };
    assert_eq!(found(&mut admin, ANY, None, ANY).await, 7);
    assert_eq!(found(&mut admin, TOPIC, Some("team.a"), MATCH).await, 4);
    assert_eq!(found(&mut admin, TOPIC, Some("team.a"), ANY).await, 1);
    assert_eq!(found(&mut admin, ANY, Some("team.a"), LITERAL).await, 3);
    assert_eq!(found(&mut admin, TOPIC, None, PREFIXED).await, 2);
}

#[tokio::test]
async fn acls_that_mean_nothing_are_refused() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    let good = acl(TOPIC, "t", LITERAL, "User:a", READ, ALLOW);
    let wrong = vec![
        good.clone().with_resource_type(ANY),
        good.clone().with_resource_type(8),
        good.clone().with_resource_pattern_type(MATCH),
        good.clone().with_resource_pattern_type(ANY),
        good.clone().with_operation(ANY),
        good.clone().with_operation(16),
        good.clone().with_permission_type(ANY),
        good.clone().with_resource_name(StrBytes::default()),
        good.clone().with_principal(text("alice")),
        acl(CLUSTER, "other", LITERAL, "User:a", READ, ALLOW),
        good,
    ];
    let errors = create(&mut admin, wrong).await;
    let invalid = ResponseError::InvalidRequest.code();
    assert_eq!(
        errors,
        [invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, 0]
    );
    assert_eq!(described(&mut admin, ANY, None, ANY).await, [("t".to_owned(), 1)]);
}

#[tokio::test]
async fn only_those_who_may_alter_the_cluster_change_acls() {
    let server = sasl_server(security()).await;
    let mut bob = client_of(&server, BOB).await;
    let unauthorized = ResponseError::ClusterAuthorizationFailed.code();
    let own = acl(TOPIC, "*", LITERAL, "User:bob", ALL, ALLOW);
    assert_eq!(create(&mut bob, vec![own]).await, [unauthorized]);
    let request = DeleteAclsRequest::default().with_filters(vec![filter(ANY, None, ANY)]);
    assert_eq!(bob.send(3, &request).await.filter_results[0].error_code, unauthorized);
    let request = DescribeAclsRequest::default().with_resource_type_filter(ANY).with_pattern_type_filter(ANY);
    let request = request.with_operation(ANY).with_permission_type(ANY);
    assert_eq!(bob.send(1, &request).await.error_code, unauthorized);
    let mut admin = client_of(&server, ADMIN).await;
    create(&mut admin, vec![acl(CLUSTER, "kafka-cluster", LITERAL, "User:bob", DESCRIBE, ALLOW)]).await;
    assert_eq!(bob.send(1, &request).await.error_code, 0);
}

#[tokio::test]
async fn without_super_users_acls_are_switched_off() {
    let server = Server::start("wire_security").await;
    let mut client = server.client().await;
    let disabled = ResponseError::SecurityDisabled.code();
    assert_eq!(create(&mut client, vec![acl(TOPIC, "t", LITERAL, "User:a", READ, ALLOW)]).await, [disabled]);
    let request = DeleteAclsRequest::default().with_filters(vec![filter(ANY, None, ANY)]);
    assert_eq!(client.send(2, &request).await.filter_results[0].error_code, disabled);
    let request = DescribeAclsRequest::default().with_resource_type_filter(ANY).with_pattern_type_filter(ANY);
    let request = request.with_operation(ANY).with_permission_type(ANY);
    assert_eq!(client.send(2, &request).await.error_code, disabled);
}

#[tokio::test]
async fn everyone_may_use_what_no_acl_names_where_the_settings_say_so() {
    let server = sasl_server(SecurityConfig { allow_everyone_if_no_acl_found: true, ..security() }).await;
    let (mut admin, mut bob) = (client_of(&server, ADMIN).await, client_of(&server, BOB).await);
    assert_eq!(create_topic(&mut bob, "free").await, 0);
    create(&mut admin, vec![acl(TOPIC, "free", LITERAL, "User:alice", READ, ALLOW)]).await;
    assert!(seen(&mut bob).await.is_empty(), "an ACL names it now");
}

#[tokio::test]
async fn clients_are_told_what_they_may_do() {
    let server = sasl_server(security()).await;
    let (mut admin, mut bob) = (client_of(&server, ADMIN).await, client_of(&server, BOB).await);
    create_topic(&mut admin, "t").await;
    create(&mut admin, vec![acl(TOPIC, "t", LITERAL, "User:bob", READ, ALLOW)]).await;
    let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text("t"))));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let request = request.with_include_topic_authorized_operations(true);
    let bits =
        async |client: &mut Client| client.send(12, &request).await.topics[0].topic_authorized_operations;
    assert_eq!(bits(&mut bob).await, 1 << READ | 1 << DESCRIBE);
    let all = [3, 4, 5, 6, 7, 8, 10, 11].iter().fold(0, |bits, operation| bits | 1 << operation);
    assert_eq!(bits(&mut admin).await, all);
}

#[tokio::test]
async fn those_who_did_not_sign_in_may_be_super_where_the_settings_say_so() {
    let super_users = vec!["User:ANONYMOUS".to_owned()];
    let security = SecurityConfig { super_users, ..SecurityConfig::default() };
    let config = WireConfig { security, ..WireConfig::default() };
    let server = serve(&fresh_dir("wire_security"), config).await;
    let mut client = server.client().await;
    assert_eq!(create(&mut client, vec![acl(TOPIC, "t", LITERAL, "User:a", READ, ALLOW)]).await, [0]);
    assert_eq!(described(&mut client, ANY, None, ANY).await, [("t".to_owned(), 1)]);
    assert_eq!(create_topic(&mut client, "t").await, 0);
}
