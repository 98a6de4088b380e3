//! CreateAcls, DescribeAcls and DeleteAcls (KIP-140, KIP-290).

use crate::wire::acl::{Acl, Filter, Operations, Pattern, PatternFilter, Permission};
use crate::wire::authorize::{CLUSTER_NAME, Operation, Resource, ResourceType};
use crate::wire::call::Call;
use crate::wire::limits;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `ANY` of the protocol's enumerations.
const ANY: i8 = 1;
/// `MATCH` of `PatternType`.
const MATCH: i8 = 2;

type Failure = (ResponseError, String);

pub(crate) async fn create_acls(call: &Call, request: CreateAclsRequest) -> CreateAclsResponse {
    let result = |failure: Option<Failure>| {
        let result = AclCreationResult::default();
        match failure {
            Some((error, message)) => {
                result.with_error_code(error.code()).with_error_message(Some(message.into()))
            }
            None => result,
        }
    };
    let all = |failure: &Failure| {
        let results = request.creations.iter().map(|_| result(Some(failure.clone())));
        CreateAclsResponse::default().with_results(results.collect())
    };
    if let Err(failure) = may_change(call, request.creations.len()) {
        return all(&failure);
    }
    let created: Vec<Result<Acl, Failure>> = request.creations.iter().map(binding).collect();
    let valid: Vec<Acl> = created.iter().filter_map(|acl| acl.as_ref().ok()).cloned().collect();
    let broker = Arc::clone(&call.broker);
    // In a task of its own: a client that goes must not tear what is kept from what counts.
    let kept = tokio::spawn(async move { broker.security.add_acls(&broker.inner.cluster, valid).await });
    match kept.await.unwrap_or(Err(ResponseError::UnknownServerError)) {
        Ok(()) => {
            let results = created.into_iter().map(|created| result(created.err()));
            CreateAclsResponse::default().with_results(results.collect())
        }
        Err(error) => all(&(error, unkept(error))),
    }
}

pub(crate) async fn describe_acls(call: &Call, request: DescribeAclsRequest) -> DescribeAclsResponse {
    let failed = |(error, message): Failure| {
        let response = DescribeAclsResponse::default().with_error_code(error.code());
        response.with_error_message(Some(message.into()))
    };
    if !call.may(Operation::Describe, Resource::Cluster) {
        return failed(unauthorized());
    }
    if !call.broker.security.has_authorizer() {
        return failed(disabled());
    }
    // The filter of a deletion has the same fields.
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(request.resource_type_filter)
        .with_resource_name_filter(request.resource_name_filter)
        .with_pattern_type_filter(request.pattern_type_filter)
        .with_principal_filter(request.principal_filter)
        .with_host_filter(request.host_filter)
        .with_operation(request.operation)
        .with_permission_type(request.permission_type);
    let filter = match parse(&filter) {
        Ok(filter) => filter,
        Err(failure) => return failed(failure),
    };
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for acl in call.broker.security.acls(&filter) {
        let description = AclDescription::default()
            .with_principal(acl.principal.into())
            .with_host(acl.host.into())
            .with_operation(acl.operations.code())
            .with_permission_type(acl.permission.code());
        resources.entry((acl.resource_type, acl.pattern, acl.name)).or_default().push(description);
    }
    let resources = resources.into_iter().map(|((resource_type, pattern, name), acls)| {
        let resource = DescribeAclsResource::default().with_resource_type(resource_type.code());
        resource.with_resource_name(name.into()).with_pattern_type(pattern.code()).with_acls(acls)
    });
    DescribeAclsResponse::default().with_resources(resources.collect())
}

pub(crate) async fn delete_acls(call: &Call, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let failed = |(error, message): Failure| {
        let result = DeleteAclsFilterResult::default().with_error_code(error.code());
        result.with_error_message(Some(message.into()))
    };
    let all = |failure: &Failure| {
        let results = request.filters.iter().map(|_| failed(failure.clone()));
        DeleteAclsResponse::default().with_filter_results(results.collect())
    };
    if let Err(failure) = may_change(call, request.filters.len()) {
        return all(&failure);
    }
    let filters: Vec<Result<Filter, Failure>> = request.filters.iter().map(parse).collect();
    let valid: Vec<Filter> = filters.iter().filter_map(|filter| filter.as_ref().ok()).cloned().collect();
    let broker = Arc::clone(&call.broker);
    let removed =
        tokio::spawn(async move { broker.security.remove_acls(&broker.inner.cluster, &valid).await });
    let mut removed = match removed.await.unwrap_or(Err(ResponseError::UnknownServerError)) {
        Ok(removed) => removed.into_iter(),
        Err(error) => return all(&(error, unkept(error))),
    };
    let results = filters.into_iter().map(|filter| match filter {
        Ok(_) => {
            let acls = removed.next().unwrap_or_default().into_iter().map(matching);
            DeleteAclsFilterResult::default().with_matching_acls(acls.collect())
        }
        Err(failure) => failed(failure),
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

fn matching(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_resource_type(acl.resource_type.code())
        .with_resource_name(acl.name.into())
        .with_pattern_type(acl.pattern.code())
        .with_principal(acl.principal.into())
        .with_host(acl.host.into())
        .with_operation(acl.operations.code())
        .with_permission_type(acl.permission.code())
}

fn may_change(call: &Call, changes: usize) -> Result<(), Failure> {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return Err(unauthorized());
    }
    if !call.broker.security.has_authorizer() {
        return Err(disabled());
    }
    if changes > limits::ACL_CHANGES {
        return Err(invalid(format!("more than {} changes in one request", limits::ACL_CHANGES)));
    }
    Ok(())
}

fn unauthorized() -> Failure {
    (ResponseError::ClusterAuthorizationFailed, "Cluster authorization failed.".to_owned())
}

fn disabled() -> Failure {
    (
        ResponseError::SecurityDisabled,
        "No Authorizer is configured: ACLs count once there are super users.".to_owned(),
    )
}

fn invalid(message: String) -> Failure {
    (ResponseError::InvalidRequest, message)
}

fn unkept(error: ResponseError) -> String {
    match error {
        ResponseError::PolicyViolation => format!("there are {} ACLs already", limits::ACLS),
        _ => "the change could not be written to disk".to_owned(),
    }
}

/// A binding that may be kept.
fn binding(creation: &AclCreation) -> Result<Acl, Failure> {
    let resource_type = ResourceType::from_code(creation.resource_type)
        .ok_or_else(|| invalid(format!("Invalid resourceType {}", creation.resource_type)))?;
    let name = creation.resource_name.to_string();
    if resource_type == ResourceType::Cluster && name != CLUSTER_NAME {
        return Err(invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}")));
    }
    if name.is_empty() {
        return Err(invalid("Resource name should not be empty".to_owned()));
    }
    let pattern = Pattern::from_code(creation.resource_pattern_type)
        .ok_or_else(|| invalid(format!("Invalid patternType {}", creation.resource_pattern_type)))?;
    let operations = Operations::from_code(creation.operation)
        .ok_or_else(|| invalid(format!("Invalid operation {}", creation.operation)))?;
    let permission = Permission::from_code(creation.permission_type)
        .ok_or_else(|| invalid(format!("Invalid permissionType {}", creation.permission_type)))?;
    let (principal, host) = (creation.principal.to_string(), creation.host.to_string());
    if !principal.contains(':') {
        return Err(invalid(format!(
            "Could not parse principal from `{principal}` (no colon is present separating the principal type from the \
             principal name)"
        )));
    }
    if host.is_empty() {
        return Err(invalid("Host should not be empty".to_owned()));
    }
    Ok(Acl { resource_type, name, pattern, principal, host, operations, permission })
}

fn parse(filter: &DeleteAclsFilter) -> Result<Filter, Failure> {
    fn any<T>(code: i8, known: Option<T>, what: &str) -> Result<Option<T>, Failure> {
        match known {
            None if code != ANY => Err(invalid(format!("Unknown {what} {code}"))),
            known => Ok(known),
        }
    }
    let text = |text: &Option<StrBytes>| text.as_ref().map(ToString::to_string);
    let pattern = match filter.pattern_type_filter {
        ANY => PatternFilter::Any,
        MATCH => PatternFilter::Match,
        code => PatternFilter::Is(
            Pattern::from_code(code).ok_or_else(|| invalid(format!("Unknown patternFilter {code}")))?,
        ),
    };
    Ok(Filter {
        resource_type: any(
            filter.resource_type_filter,
            ResourceType::from_code(filter.resource_type_filter),
            "resourceType",
        )?,
        name: text(&filter.resource_name_filter),
        pattern,
        principal: text(&filter.principal_filter),
        host: text(&filter.host_filter),
        operations: any(filter.operation, Operations::from_code(filter.operation), "operation")?,
        permission: any(
            filter.permission_type,
            Permission::from_code(filter.permission_type),
            "permissionType",
        )?,
    })
}
