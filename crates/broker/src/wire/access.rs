//! What guards the broker while it runs: the users, and the ACLs with the decision on each request.

use crate::coordinate::cluster::ClusterRecords;
use crate::wire::acl::{Acl, Acls, Filter, Question};
use crate::wire::authorize::{Operation, Resource, ResourceType};
use crate::wire::call::Peer;
use crate::wire::limits;
use crate::wire::principal::Principal;
use crate::wire::security::SecurityConfig;
use crate::wire::users::Users;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Cluster records of ACLs: `acl/<id>`.
const PREFIX: &str = "acl/";

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Security {
    pub(crate) users: Users,
    /// `None` where no super users are configured: then everyone who is in may do everything.
    authorizer: Option<Authorizer>,
}

#[derive(Debug)]
struct Authorizer {
    super_users: BTreeSet<String>,
    allow_unprotected: bool,
    acls: RwLock<Arc<Acls>>,
    /// Held from before ACLs are written until they show.
    writing: Mutex<()>,
}

impl Security {
    pub(crate) async fn open(cluster: &ClusterRecords, config: &SecurityConfig) -> Result<Self, BusError> {
        let users = Users::open(cluster, config).await?;
        if config.super_users.is_empty() {
            return Ok(Self { users, authorizer: None });
        }
        let mut by_id = BTreeMap::new();
        for (key, value) in cluster.list(PREFIX) {
            // A denial that is passed over would be an open door.
            let acl = Acl::from_json(value).ok_or_else(|| {
                BusError::Fatal(format!(
                    "the ACL {key} in __cluster_metadata is damaged: it is not safe to start"
                ))
            })?;
            by_id.insert(key, acl);
        }
        let allow_unprotected = config.allow_everyone_if_no_acl_found;
        let authorizer = Authorizer {
            super_users: config.super_users.iter().cloned().collect(),
            allow_unprotected,
            acls: RwLock::new(Arc::new(Acls::new(by_id, allow_unprotected))),
            writing: Mutex::default(),
        };
        Ok(Self { users, authorizer: Some(authorizer) })
    }

    /// Whether ACLs count at all.
    pub(crate) fn has_authorizer(&self) -> bool {
        self.authorizer.is_some()
    }

    pub(crate) fn is_super(&self, principal: &Principal) -> bool {
        self.authorizer
            .as_ref()
            .is_some_and(|authorizer| authorizer.super_users.contains(&principal.to_string()))
    }

    pub(crate) fn may(&self, peer: &Peer, operation: Operation, resource: Resource<'_>) -> bool {
        self.decide(peer, operation, |acls, asked| acls.allow(asked, resource))
    }

    pub(crate) fn may_on_any(&self, peer: &Peer, operation: Operation, resource_type: ResourceType) -> bool {
        self.decide(peer, operation, |acls, asked| acls.allow_on_any(asked, resource_type))
    }

    fn decide(
        &self,
        peer: &Peer,
        operation: Operation,
        allows: impl FnOnce(&Acls, &Question<'_>) -> bool,
    ) -> bool {
        let Some(principal) = peer.identity.principal_text() else { return false };
        let Some(authorizer) = &self.authorizer else { return true };
        if peer.identity.is_super() {
            return true;
        }
        let acls = Arc::clone(&authorizer.acls.read());
        allows(&acls, &Question { principal, host: &peer.host, operation })
    }

    /// The bindings that a filter means.
    pub(crate) fn acls(&self, filter: &Filter) -> Vec<Acl> {
        let Some(authorizer) = &self.authorizer else { return Vec::new() };
        let acls = Arc::clone(&authorizer.acls.read());
        acls.by_id().values().filter(|acl| filter.matches(acl)).cloned().collect()
    }

    /// Adds bindings: durable when it returns, and counting from then. One that is there already is added no second time.
    pub(crate) async fn add_acls(
        &self,
        cluster: &ClusterRecords,
        added: Vec<Acl>,
    ) -> Result<(), ResponseError> {
        let authorizer = self.authorizer.as_ref().ok_or(ResponseError::SecurityDisabled)?;
        let _writing = authorizer.writing.lock().await;
        let mut by_id = authorizer.acls.read().by_id().clone();
        let known: BTreeSet<&Acl> = by_id.values().collect();
        let new: BTreeSet<Acl> = added.into_iter().filter(|acl| !known.contains(acl)).collect();
        if by_id.len() + new.len() > limits::ACLS {
            return Err(ResponseError::PolicyViolation);
        }
        let new: Vec<(String, Acl)> =
            new.into_iter().map(|acl| (format!("{PREFIX}{}", Uuid::new_v4()), acl)).collect();
        let changes = new.iter().map(|(id, acl)| (id.clone(), acl.to_json())).collect();
        keep(cluster, changes).await?;
        by_id.extend(new);
        authorizer.show(by_id);
        Ok(())
    }

    /// Takes away the bindings that filters mean, and gives those of each filter. One that two of them mean is in both.
    pub(crate) async fn remove_acls(
        &self,
        cluster: &ClusterRecords,
        filters: &[Filter],
    ) -> Result<Vec<Vec<Acl>>, ResponseError> {
        let authorizer = self.authorizer.as_ref().ok_or(ResponseError::SecurityDisabled)?;
        let _writing = authorizer.writing.lock().await;
        let mut by_id = authorizer.acls.read().by_id().clone();
        let meant =
            |filter: &Filter| by_id.values().filter(|acl| filter.matches(acl)).cloned().collect::<Vec<Acl>>();
        let removed: Vec<Vec<Acl>> = filters.iter().map(meant).collect();
        let gone = by_id.iter().filter(|(_, acl)| filters.iter().any(|filter| filter.matches(acl)));
        let gone: BTreeSet<String> = gone.map(|(id, _)| id.clone()).collect();
        keep(cluster, gone.iter().map(|id| (id.clone(), None)).collect()).await?;
        by_id.retain(|id, _| !gone.contains(id));
        authorizer.show(by_id);
        Ok(removed)
    }
}

impl Authorizer {
    fn show(&self, by_id: BTreeMap<String, Acl>) {
        let acls = Arc::new(Acls::new(by_id, self.allow_unprotected));
        *self.acls.write() = acls;
    }
}

async fn keep(
    cluster: &ClusterRecords,
    changes: Vec<(String, Option<serde_json::Value>)>,
) -> Result<(), ResponseError> {
    if changes.is_empty() {
        return Ok(());
    }
    cluster.put_all(changes).await.map_err(|error| {
        tracing::error!(%error, "ACLs could not be kept");
        ResponseError::KafkaStorageError
    })
}
