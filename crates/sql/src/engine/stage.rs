//! A query cut into stages: each reads one topic and writes one, partition by partition, in transactions of its own.
//!
//! Most queries are one stage. Where rows of one group stand in several partitions of the source, a first stage sends
//! them to the partition of their group in a repartition topic, and the second one groups them.

use crate::operator::{SinkEncoder, group_layouts};
use crate::plan::query_plan::{PersistentQuery, Scan, ScanColumn, Sink, Step};
use crate::{Relation, RelationKind};
use millstream_bus::{CleanupPolicy, TopicSpec, murmur2};
use std::sync::Arc;

/// One stage of a query.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) index: usize,
    pub(super) scan: Scan,
    pub(super) steps: Vec<Step>,
    pub(super) encoder: SinkEncoder,
    /// The topic that it writes, as it is made where there is none.
    pub(super) sink: TopicSpec,
}

/// How much of a query's id stands in names as it is: with what is around it, a topic's name has at most 249 characters.
const NAME_CHARS_MAX: usize = 150;

/// Words for the names of what belongs to a query: its consumer group, changelogs, repartition topic.
pub(super) fn prefix(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if id.chars().all(fits) && id.len() <= NAME_CHARS_MAX {
        return format!("_millstream-query-{id}");
    }
    // Two names that differ in other characters only, or far behind, must not share their state.
    let clean: String = id.chars().take(NAME_CHARS_MAX).map(|c| if fits(c) { c } else { '-' }).collect();
    format!("_millstream-query-{clean}.{:08x}", murmur2(id.as_bytes()))
}

/// The stages of `query` over a source of `partitions` partitions.
pub(super) fn stages(query: &PersistentQuery, partitions: i32) -> Vec<Arc<Stage>> {
    let plan = &query.plan;
    let encoder = sink_encoder(&query.sink);
    let sink = sink_spec(query, partitions);
    let Some((group, fields)) = &plan.group else {
        let stage = Stage { index: 0, scan: plan.scan.clone(), steps: plan.before.clone(), encoder, sink };
        return vec![Arc::new(stage)];
    };
    let behind = std::iter::once(Step::Group(group.clone())).chain(plan.after.iter().cloned());
    if !plan.regroups || partitions == 1 {
        let steps = plan.before.iter().cloned().chain(behind).collect();
        return vec![Arc::new(Stage { index: 0, scan: plan.scan.clone(), steps, encoder, sink })];
    }
    let keys = group.key.len();
    let topic: Arc<str> = format!("{}-repartition", prefix(&query.id)).into();
    let send = Stage {
        index: 0,
        scan: plan.scan.clone(),
        steps: plan.before.clone(),
        encoder: SinkEncoder::for_groups(keys, fields),
        // Event times may be old; what was read is deleted by the task that read it.
        sink: TopicSpec::new(&*topic, partitions).config("retention.ms", "-1"),
    };
    let (key, value) = group_layouts(keys, fields);
    let columns = (0..keys).map(ScanColumn::Key).chain((0..value.columns.len()).map(ScanColumn::Value)).collect();
    let scan = Scan {
        topic,
        kind: RelationKind::Stream,
        key: Some(key),
        value,
        columns,
        window_ms: None,
        timestamp: None,
        partitions: Some(partitions),
    };
    vec![Arc::new(send), Arc::new(Stage { index: 1, scan, steps: behind.collect(), encoder, sink })]
}

fn sink_encoder(sink: &Sink) -> SinkEncoder {
    let relation = &sink.relation;
    SinkEncoder::new(
        sink.key.clone(),
        relation.key_layout().as_ref(),
        sink.value.clone(),
        &relation.value_layout(),
        sink.window_start,
        relation.kind,
    )
    .with_timestamp(sink.timestamp)
}

/// The sink's topic: compacted for tables; that of windows also forgets, since every window is a key of its own.
fn sink_spec(query: &PersistentQuery, source_partitions: i32) -> TopicSpec {
    let relation = &query.sink.relation;
    let partitions = relation.partitions.unwrap_or(source_partitions);
    let mut spec = topic_spec(relation, partitions);
    if let Some(window) = query.plan.window {
        spec.cleanup = CleanupPolicy::CompactDelete;
        if let Some(retention_ms) = window.retention_ms.filter(|_| relation.retention_ms.is_none()) {
            spec = spec.config("retention.ms", retention_ms.to_string());
        }
    }
    spec
}

/// A relation's topic, as it is made where there is none.
pub(super) fn topic_spec(relation: &Relation, partitions: i32) -> TopicSpec {
    let mut spec = match relation.kind {
        RelationKind::Stream => TopicSpec::new(&*relation.topic, partitions),
        RelationKind::Table => TopicSpec::compacted(&*relation.topic, partitions),
    };
    spec.replication_factor = relation.replicas.unwrap_or(spec.replication_factor);
    match relation.retention_ms {
        Some(retention_ms) => spec.config("retention.ms", retention_ms.to_string()),
        None => spec,
    }
}
