//! What administrators ask of producers and transactions (KIP-664): ListTransactions, DescribeTransactions, DescribeProducers.

use crate::coordinate::transactions::Described;
use crate::limits;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{
    TopicData, TransactionState as DescribedTransaction,
};
use kafka_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ProducerId, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use regex_lite::Regex;
use std::collections::BTreeMap;

/// Kafka's names of what a transaction may be doing.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(crate) async fn list_transactions(
    call: &Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let pattern = request.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
    let Ok(pattern) = pattern.map(whole_pattern).transpose() else {
        let code = ResponseError::InvalidRegularExpression.code();
        return ListTransactionsResponse::default().with_error_code(code);
    };
    let (known, unknown): (Vec<_>, Vec<_>) =
        request.state_filters.iter().cloned().partition(|state| STATES.contains(&state.as_str()));
    let response = ListTransactionsResponse::default().with_unknown_state_filters(unknown);
    if known.is_empty() && !request.state_filters.is_empty() {
        return response;
    }
    let now_ms = call.broker.inner.now().as_millis();
    let is_wanted = |transaction: &Described| {
        let ids = &request.producer_id_filters;
        let runs_ms = transaction.began_at_ms.map_or(-1, |began_at| now_ms.saturating_sub(began_at));
        (known.is_empty() || known.iter().any(|state| state.as_str() == transaction.state))
            && (ids.is_empty() || ids.iter().any(|id| id.0 == transaction.key.0))
            && (request.duration_filter < 0 || runs_ms > request.duration_filter)
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&transaction.id))
            && call.may(Operation::Describe, Resource::TransactionalId(&transaction.id))
    };
    let all = call.broker.inner.transactions.describe_all().await;
    let listed = all.into_iter().filter(is_wanted).map(|transaction| {
        ListedTransaction::default()
            .with_transactional_id(TransactionalId(StrBytes::from_string(transaction.id)))
            .with_producer_id(ProducerId(transaction.key.0))
            .with_transaction_state(StrBytes::from_static_str(transaction.state))
    });
    response.with_transaction_states(listed.collect())
}

/// The pattern for a whole transactional id.
fn whole_pattern(pattern: &str) -> Result<Regex, ResponseError> {
    let pattern = Some(pattern).filter(|pattern| pattern.len() <= limits::REGEX_BYTES);
    let pattern = pattern.ok_or(ResponseError::InvalidRegularExpression)?;
    Regex::new(&format!("^(?:{pattern})$")).map_err(|_| ResponseError::InvalidRegularExpression)
}

pub(crate) async fn describe_transactions(
    call: &Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut states = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let found = if call.may(Operation::Describe, Resource::TransactionalId(&id)) {
            let found = call.broker.inner.transactions.describe(&id).await;
            found.ok_or(ResponseError::TransactionalIdNotFound)
        } else {
            Err(ResponseError::TransactionalIdAuthorizationFailed)
        };
        let state = match found {
            Ok(transaction) => described(call, transaction),
            Err(error) => DescribedTransaction::default().with_error_code(error.code()),
        };
        states.push(state.with_transactional_id(id));
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn described(call: &Call, transaction: Described) -> DescribedTransaction {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for at in transaction.partitions {
        if call.may(Operation::Describe, Resource::Topic(&at.topic)) {
            topics.entry(at.topic.to_string()).or_default().push(at.partition);
        }
    }
    let topic = |(name, partitions)| {
        TopicData::default().with_topic(TopicName(StrBytes::from_string(name))).with_partitions(partitions)
    };
    DescribedTransaction::default()
        .with_transaction_state(StrBytes::from_static_str(transaction.state))
        .with_transaction_timeout_ms(i32::try_from(transaction.timeout_ms).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(transaction.began_at_ms.unwrap_or(-1))
        .with_producer_id(ProducerId(transaction.key.0))
        .with_producer_epoch(transaction.key.1)
        .with_topics(topics.into_iter().map(topic).collect())
}

pub(crate) async fn describe_producers(
    call: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let may = call.may(Operation::Read, Resource::Topic(&topic.name));
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in topic.partition_indexes {
            let producers = if may {
                producers(call, &topic.name, index)
            } else {
                Err(ResponseError::TopicAuthorizationFailed)
            };
            let response = PartitionResponse::default().with_partition_index(index);
            partitions.push(match producers {
                Ok(producers) => response.with_active_producers(producers),
                Err(error) => response.with_error_code(error.code()),
            });
        }
        topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn producers(call: &Call, topic: &str, partition: i32) -> Result<Vec<ProducerState>, ResponseError> {
    let replica = place::replica(call, topic, partition)?;
    let producers = replica.producers().map_err(|error| place::log_code(&error))?;
    let state = |producer: crate::replica::ActiveProducer| {
        ProducerState::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(i32::from(producer.epoch))
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.last_timestamp)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.open_from)
    };
    Ok(producers.into_iter().map(state).collect())
}
