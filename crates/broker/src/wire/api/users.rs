//! DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554).

use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::limits;
use crate::wire::principal::is_user_name;
use crate::wire::scram::{Credential, Hash, ITERATIONS};
use crate::wire::users::Change;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) async fn describe_user_scram_credentials(
    call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let response = DescribeUserScramCredentialsResponse::default();
    if !call.may(Operation::Describe, Resource::Cluster) {
        let response = response.with_error_code(ResponseError::ClusterAuthorizationFailed.code());
        return response.with_error_message(Some("Cluster authorization failed.".into()));
    }
    let mut users: BTreeMap<String, Vec<CredentialInfo>> = BTreeMap::new();
    for (user, hash, iterations) in call.broker.security.users.list().await {
        let iterations = i32::try_from(iterations).unwrap_or(i32::MAX);
        let credential = CredentialInfo::default().with_mechanism(hash.code()).with_iterations(iterations);
        users.entry(user).or_default().push(credential);
    }
    let wanted = request.users.unwrap_or_default();
    if wanted.is_empty() {
        let results = users.into_iter().map(|(user, credentials)| {
            let result = DescribeUserScramCredentialsResult::default().with_user(user.into());
            result.with_credential_infos(credentials)
        });
        return response.with_results(results.collect());
    }
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for user in wanted {
        *times.entry(user.name.to_string()).or_default() += 1;
    }
    let results = times.into_iter().map(|(user, times)| {
        let result = DescribeUserScramCredentialsResult::default().with_user(user.clone().into());
        let (error, problem) = match users.remove(&user) {
            _ if times > 1 => (
                ResponseError::DuplicateResource,
                "Cannot describe SCRAM credentials for the same user twice in a single request",
            ),
            Some(credentials) => return result.with_credential_infos(credentials),
            None => {
                (ResponseError::ResourceNotFound, "Attempt to describe a user credential that does not exist")
            }
        };
        let message = format!("{problem}: {user}");
        result.with_error_code(error.code()).with_error_message(Some(message.into()))
    });
    response.with_results(results.collect())
}

pub(crate) async fn alter_user_scram_credentials(
    call: &Call,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let deleted = request.deletions.iter().map(|deletion| deletion.name.to_string());
    let upserted = request.upsertions.iter().map(|upsertion| upsertion.name.to_string());
    let altered: Vec<String> = deleted.chain(upserted).collect();
    let mut results: BTreeMap<String, Result<Vec<Change>, Failure>> = BTreeMap::new();
    let too_many = altered.len() > limits::ACL_CHANGES;
    let authorized = call.may(Operation::Alter, Resource::Cluster);
    let mut seen = BTreeSet::new();
    for user in altered {
        // As in Kafka, not even by another mechanism.
        let duplicate = !seen.insert(user.clone());
        let result = results.entry(user).or_insert_with(|| Ok(Vec::new()));
        if !authorized {
            let message = "Cluster authorization failed.";
            *result = Err((ResponseError::ClusterAuthorizationFailed, message.to_owned()));
        } else if too_many {
            *result = Err((ResponseError::InvalidRequest, "too many changes in one request".to_owned()));
        } else if duplicate {
            let message = "A user credential cannot be altered twice in the same request";
            *result = Err((ResponseError::DuplicateResource, message.to_owned()));
        }
    }
    let is_configured = |user: &str| call.broker.security.users.is_configured(user);
    let deletions = request.deletions.iter().map(|asked| (asked.name.to_string(), deletion(asked)));
    let upsertions = request.upsertions.iter().map(|asked| (asked.name.to_string(), upsertion(asked)));
    for (user, change) in deletions.chain(upsertions) {
        let Some(Ok(changes)) = results.get_mut(&user) else { continue };
        let fixed = "The password of this user is set in the configuration of the broker: change it there";
        match change {
            _ if is_configured(&user) => {
                results.insert(user, Err((ResponseError::UnacceptableCredential, fixed.to_owned())));
            }
            Ok(change) => changes.push(change),
            Err(failure) => drop(results.insert(user, Err(failure))),
        }
    }
    let mut response = AlterUserScramCredentialsResponse::default();
    for (user, changes) in results {
        let altered = match changes {
            Ok(changes) => alter(call, changes).await,
            Err(failure) => Err(failure),
        };
        let result = AlterUserScramCredentialsResult::default().with_user(user.into());
        response.results.push(match altered {
            Ok(()) => result,
            Err((error, message)) => {
                result.with_error_code(error.code()).with_error_message(Some(message.into()))
            }
        });
    }
    response
}

type Failure = (ResponseError, String);

async fn alter(call: &Call, changes: Vec<Change>) -> Result<(), Failure> {
    let broker = Arc::clone(&call.broker);
    // In a task of its own: a client that goes must not tear what is kept from what counts.
    let altered = tokio::spawn(async move {
        for change in changes {
            broker.security.users.alter(&broker.inner.cluster, change).await?;
        }
        Ok(())
    });
    let altered = altered.await.unwrap_or(Err(ResponseError::UnknownServerError));
    altered.map_err(|error| {
        let message = match error {
            ResponseError::ResourceNotFound => "Attempt to delete a user credential that does not exist",
            ResponseError::PolicyViolation => "there are too many SCRAM credentials already",
            _ => "the change could not be written to disk",
        };
        (error, message.to_owned())
    })
}

fn mechanism(code: i8) -> Result<Hash, Failure> {
    Hash::from_code(code)
        .ok_or_else(|| (ResponseError::UnsupportedSaslMechanism, "Unknown SCRAM mechanism".to_owned()))
}

fn deletion(asked: &ScramCredentialDeletion) -> Result<Change, Failure> {
    if asked.name.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    Ok(Change { user: asked.name.to_string(), hash: mechanism(asked.mechanism)?, credential: None })
}

fn upsertion(asked: &ScramCredentialUpsertion) -> Result<Change, Failure> {
    if asked.name.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    if !is_user_name(&asked.name) {
        return Err(unacceptable("No user may have this name"));
    }
    let hash = mechanism(asked.mechanism)?;
    let iterations = u32::try_from(asked.iterations).unwrap_or(0);
    if iterations < *ITERATIONS.start() {
        return Err(unacceptable("Too few iterations"));
    }
    if iterations > *ITERATIONS.end() {
        return Err(unacceptable("Too many iterations"));
    }
    let is_sized = |bytes: &[u8]| (1..=limits::SALT_BYTES).contains(&bytes.len());
    if !is_sized(&asked.salt) || !is_sized(&asked.salted_password) {
        return Err(unacceptable("The salt or the salted password is empty or too long"));
    }
    let salt = asked.salt.to_vec();
    let credential = Credential::of_salted_password(hash, &asked.salted_password, salt, iterations);
    Ok(Change { user: asked.name.to_string(), hash, credential: Some(credential) })
}

fn unacceptable(message: &str) -> Failure {
    (ResponseError::UnacceptableCredential, message.to_owned())
}
