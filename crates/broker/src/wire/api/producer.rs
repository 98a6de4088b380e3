//! InitProducerId: who a producer is, and that older ones of its transactional id are not it any more.

use crate::coordinate::transactions::TransactionError;
use crate::error::unavailable;
use crate::wire::authorize::{Operation, Resource, ResourceType};
use crate::wire::call::Call;
use crate::wire::place;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use std::sync::Arc;

pub(crate) async fn init_producer_id(call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let response = match init(call, &request).await {
        Ok((id, epoch)) => {
            InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch)
        }
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    };
    response.with_ongoing_txn_producer_id(ProducerId(-1)).with_ongoing_txn_producer_epoch(-1)
}

async fn init(call: &Call, request: &InitProducerIdRequest) -> Result<(i64, i16), ResponseError> {
    let transactions = &call.broker.inner.transactions;
    match &request.transactional_id {
        None => {
            let may_produce = call.may(Operation::IdempotentWrite, Resource::Cluster)
                || call.may_on_any(Operation::Write, ResourceType::Topic);
            if !may_produce {
                return Err(ResponseError::ClusterAuthorizationFailed);
            }
            transactions.idempotent_producer().await.map_err(|error| place::bus_code(&error))
        }
        Some(id) => {
            if !call.may(Operation::Write, Resource::TransactionalId(id)) {
                return Err(ResponseError::TransactionalIdAuthorizationFailed);
            }
            if id.is_empty() {
                return Err(ResponseError::InvalidRequest);
            }
            if request.keep_prepared_txn || request.enable_2_pc {
                return Err(ResponseError::UnsupportedVersion);
            }
            let expected = (request.producer_id.0, request.producer_epoch);
            let expected = match expected {
                (-1, -1) => None,
                (id, epoch) if id >= 0 && epoch >= 0 => Some(expected),
                _ => return Err(ResponseError::InvalidRequest),
            };
            let (inner, id) = (Arc::clone(&call.broker.inner), id.to_string());
            let (timeout_ms, connection) = (i64::from(request.transaction_timeout_ms), call.peer.connection);
            let taken =
                whole(async move { inner.transactions.init(&id, timeout_ms, expected, connection).await });
            taken.await.map_err(|error| match error {
                TransactionError::Fenced if call.version < 4 => ResponseError::InvalidProducerEpoch,
                error => error.code(),
            })
        }
    }
}

/// Does it to its end, even where the client goes meanwhile.
pub(crate) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, TransactionError>> + Send + 'static,
) -> Result<T, TransactionError> {
    let given_up = || unavailable("given up at shutdown").into();
    tokio::spawn(work).await.unwrap_or_else(|_| Err(given_up()))
}
