//! SCRAM credentials that clients make.

use crate::actors::{ADMIN, ALICE, BOB, SCRAM, client_of, sasl_config, sasl_server, security, serve};
use crate::support::client::{Client, Server};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest};
use kafka_protocol::protocol::StrBytes;

const SHA_256: i8 = 1;
const SHA_512: i8 = 2;

fn upsertion(user: &str, mechanism: i8, password: &str, iterations: i32) -> ScramCredentialUpsertion {
    let scram = SCRAM[usize::try_from(mechanism - 1).unwrap_or(0).min(1)]();
    let salted = scram.salted(password, b"salty", u32::try_from(iterations.max(1)).unwrap());
    ScramCredentialUpsertion::default()
        .with_name(StrBytes::from_string(user.to_owned()))
        .with_mechanism(mechanism)
        .with_iterations(iterations)
        .with_salt(Bytes::from_static(b"salty"))
        .with_salted_password(salted.into())
}

fn deletion(user: &str, mechanism: i8) -> ScramCredentialDeletion {
    let name = StrBytes::from_string(user.to_owned());
    ScramCredentialDeletion::default().with_name(name).with_mechanism(mechanism)
}

async fn alter(
    client: &mut Client,
    upsertions: Vec<ScramCredentialUpsertion>,
    deletions: Vec<ScramCredentialDeletion>,
) -> Vec<(String, i16)> {
    let request =
        AlterUserScramCredentialsRequest::default().with_upsertions(upsertions).with_deletions(deletions);
    let response = client.send(0, &request).await;
    response.results.iter().map(|result| (result.user.to_string(), result.error_code)).collect()
}

async fn can_sign_in(server: &Server, mechanism: i8, user: &str, password: &str) -> bool {
    let mut client = server.client().await;
    let scram = SCRAM[usize::try_from(mechanism - 1).unwrap()]();
    scram.sign_in(&mut client, user, password).await.is_ok()
}

async fn described(client: &mut Client, users: Option<&[&str]>) -> Vec<(String, i16, Vec<(i8, i32)>)> {
    let name = |name: &&str| UserName::default().with_name(StrBytes::from_string((*name).to_owned()));
    let users = users.map(|users| users.iter().map(name).collect());
    let response = client.send(0, &DescribeUserScramCredentialsRequest::default().with_users(users)).await;
    assert_eq!(response.error_code, 0);
    let results = response.results.iter().map(|result| {
        let credentials = result.credential_infos.iter();
        let credentials = credentials.map(|credential| (credential.mechanism, credential.iterations));
        (result.user.to_string(), result.error_code, credentials.collect())
    });
    results.collect()
}

#[tokio::test]
async fn a_new_user_signs_in_at_once_and_after_a_restart() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    assert!(!can_sign_in(&server, SHA_512, "carol", "first").await);
    let altered = alter(&mut admin, vec![upsertion("carol", SHA_512, "first", 4_096)], Vec::new()).await;
    assert_eq!(altered, [("carol".to_owned(), 0)]);
    assert!(can_sign_in(&server, SHA_512, "carol", "first").await);
    assert!(!can_sign_in(&server, SHA_256, "carol", "first").await, "there is no credential of this kind");
    alter(&mut admin, vec![upsertion("carol", SHA_512, "second", 8_192)], Vec::new()).await;
    assert!(!can_sign_in(&server, SHA_512, "carol", "first").await);
    drop(admin);
    let dir = server.stop().await;
    let server = serve(&dir, sasl_config(security())).await;
    assert!(can_sign_in(&server, SHA_512, "carol", "second").await);
    let mut admin = client_of(&server, ADMIN).await;
    let carol = described(&mut admin, Some(&["carol"])).await;
    assert_eq!(carol, [("carol".to_owned(), 0, vec![(SHA_512, 8_192)])]);
    let gone = alter(&mut admin, Vec::new(), vec![deletion("carol", SHA_512)]).await;
    assert_eq!(gone, [("carol".to_owned(), 0)]);
    assert!(!can_sign_in(&server, SHA_512, "carol", "second").await);
}

#[tokio::test]
async fn credentials_that_are_weak_or_wrong_are_refused() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    let refused = async |admin: &mut Client, upsertion: ScramCredentialUpsertion| {
        alter(admin, vec![upsertion], Vec::new()).await[0].1
    };
    let unacceptable = ResponseError::UnacceptableCredential.code();
    for iterations in [i32::MIN, 0, 1, 4_095, 16_385, i32::MAX] {
        let weak = upsertion("carol", SHA_256, "p", 4_096).with_iterations(iterations);
        assert_eq!(refused(&mut admin, weak).await, unacceptable, "{iterations}");
    }
    for name in ["", "*", "ANONYMOUS", "a\0b", "a\nb"] {
        assert_eq!(refused(&mut admin, upsertion(name, SHA_256, "p", 4_096)).await, unacceptable, "{name:?}");
    }
    let fixed = refused(&mut admin, upsertion(ALICE.0, SHA_256, "p", 4_096)).await;
    assert_eq!(fixed, unacceptable, "the settings say what her password is");
    assert!(can_sign_in(&server, SHA_256, ALICE.0, ALICE.1).await);
    let unsalted = upsertion("carol", SHA_256, "p", 4_096).with_salt(Bytes::new());
    assert_eq!(refused(&mut admin, unsalted).await, unacceptable);
    let empty = upsertion("carol", SHA_256, "p", 4_096).with_salted_password(Bytes::new());
    assert_eq!(refused(&mut admin, empty).await, unacceptable);
    let unknown = refused(&mut admin, upsertion("carol", 3, "p", 4_096)).await;
    assert_eq!(unknown, ResponseError::UnsupportedSaslMechanism.code());
    let missing = alter(&mut admin, Vec::new(), vec![deletion("carol", SHA_256)]).await;
    assert_eq!(missing, [("carol".to_owned(), ResponseError::ResourceNotFound.code())]);
    let twice = upsertion("carol", SHA_256, "p", 4_096);
    let twice = alter(&mut admin, vec![twice], vec![deletion("carol", SHA_256)]).await;
    assert_eq!(twice, [("carol".to_owned(), ResponseError::DuplicateResource.code())]);
    let both = vec![upsertion("carol", SHA_256, "p", 4_096), upsertion("carol", SHA_512, "p", 4_096)];
    let both = alter(&mut admin, both, Vec::new()).await;
    assert_eq!(
        both,
        [("carol".to_owned(), ResponseError::DuplicateResource.code())],
        "one at a time, as in Kafka"
    );
}

#[tokio::test]
async fn credentials_are_described_without_what_is_secret() {
    let server = sasl_server(security()).await;
    let mut admin = client_of(&server, ADMIN).await;
    let all = described(&mut admin, None).await;
    let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["admin", "alice", "bob"]);
    assert!(all.iter().all(|(_, error, credentials)| *error == 0 && credentials.len() == 2));
    let some = described(&mut admin, Some(&["bob", "nobody", "alice", "alice"])).await;
    let errors: Vec<(&str, i16)> = some.iter().map(|(name, error, _)| (name.as_str(), *error)).collect();
    let (duplicate, missing) = (ResponseError::DuplicateResource, ResponseError::ResourceNotFound);
    assert_eq!(errors, [("alice", duplicate.code()), ("bob", 0), ("nobody", missing.code())]);
}

#[tokio::test]
async fn only_those_who_may_alter_the_cluster_make_users() {
    let server = sasl_server(security()).await;
    let mut bob = client_of(&server, BOB).await;
    let refused = alter(&mut bob, vec![upsertion("eve", SHA_256, "p", 4_096)], Vec::new()).await;
    assert_eq!(refused, [("eve".to_owned(), ResponseError::ClusterAuthorizationFailed.code())]);
    assert!(!can_sign_in(&server, SHA_256, "eve", "p").await);
    let response = bob.send(0, &DescribeUserScramCredentialsRequest::default()).await;
    assert_eq!(response.error_code, ResponseError::ClusterAuthorizationFailed.code());
    assert!(response.results.is_empty());
}
