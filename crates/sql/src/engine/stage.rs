//! A query cut into stages: each reads topics and writes one, partition by partition, in transactions of its own.
//!
//! Most queries are one stage. Where rows that must meet stand in several partitions, a first stage sends them to the
//! partition of their key in a repartition topic, and another one takes them from there.

use crate::operator::{SinkEncoder, StageNode};
use crate::plan::query_plan::{Exchange, PersistentQuery, PlanNode, QueryPlan, Scan, ScanColumn, Sink};
use crate::{Format, FormatSpec, Relation, RelationKind};
use millstream_bus::{CleanupPolicy, TopicSpec, murmur2};
use millstream_format::sql::Layout;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One stage of a query.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) index: usize,
    /// Whether another stage before it reads one of its topics, too, so that it needs offsets of its own.
    pub(super) reads_again: bool,
    /// What it reads: topics of equally many partitions, each once.
    pub(super) inputs: Vec<Scan>,
    pub(super) nodes: Vec<StageNode>,
    pub(super) encoder: SinkEncoder,
    /// The topic that it writes, as it is made where there is none.
    pub(super) sink: TopicSpec,
    /// How many partitions each of its inputs has, and so how many tasks it runs as.
    pub(super) partitions: i32,
}

impl Stage {
    /// The consumer group that holds its offsets.
    pub(super) fn consumer_group(&self, query_id: &str) -> String {
        if self.reads_again { format!("{}-{}", prefix(query_id), self.index) } else { prefix(query_id) }
    }

    /// Whether it reads this repartition topic.
    pub(super) fn takes(&self, topic: &str) -> bool {
        self.inputs.iter().any(|scan| scan.internal && *scan.topic == *topic)
    }
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

/// The stages of `query`, those that are read from before those that read. `partitions` says how many partitions a
/// topic has.
pub(super) fn stages(query: &PersistentQuery, partitions: &BTreeMap<Arc<str>, i32>) -> Vec<Arc<Stage>> {
    let mut cut = Cut { query, partitions, kinds: query.plan.kinds(), stages: Vec::new() };
    let Some(last) = query.plan.nodes.len().checked_sub(1) else { return Vec::new() };
    let open = cut.open(last);
    let sink = sink_spec(query, open.partitions);
    cut.close(open, sink_encoder(&query.sink), sink);
    cut.stages.into_iter().map(Arc::new).collect()
}

/// A query that is being cut.
struct Cut<'q> {
    query: &'q PersistentQuery,
    partitions: &'q BTreeMap<Arc<str>, i32>,
    kinds: Vec<RelationKind>,
    stages: Vec<Stage>,
}

/// A stage to which nodes can still be added.
#[derive(Default)]
struct Open {
    inputs: Vec<Scan>,
    nodes: Vec<Placed>,
    partitions: i32,
    /// Which of the plan's nodes stand where.
    places: BTreeMap<usize, Place>,
}

/// Where a node of the plan stands in an open stage.
#[derive(Clone, Copy)]
enum Place {
    Input(usize),
    Node(usize),
}

/// A node of an open stage, with its inputs.
struct Placed {
    node: usize,
    inputs: Vec<Place>,
}

impl Cut<'_> {
    /// The stage that ends in a node of the plan.
    fn open(&mut self, node: usize) -> Open {
        match self.query.plan.nodes.get(node) {
            None => Open { partitions: 1, ..Open::default() },
            Some(PlanNode::Scan(scan)) => {
                let partitions = self.partitions.get(&scan.topic).copied().unwrap_or(1);
                let places = BTreeMap::from([(node, Place::Input(0))]);
                Open { inputs: vec![scan.clone()], nodes: Vec::new(), partitions, places }
            }
            Some(PlanNode::Step { input, .. }) => {
                let input = *input;
                let mut open = self.open(input);
                open.add(node, &[input]);
                open
            }
            Some(PlanNode::Join { left, right, .. }) => {
                let (left, right) = (*left, *right);
                let mut open = self.meet(left, right);
                open.add(node, &[left, right]);
                open
            }
            Some(PlanNode::Repartition { input, exchange }) => {
                let (input, exchange) = (*input, exchange.clone());
                let open = self.open(input);
                if open.partitions == 1 {
                    open.alias(node, input)
                } else {
                    self.exchange(open, node, &exchange, None)
                }
            }
        }
    }

    /// The stage in which two nodes meet: what is not in its place yet is sent there.
    fn meet(&mut self, left: usize, right: usize) -> Open {
        let sides = [left, right].map(|side| match self.query.plan.nodes.get(side) {
            Some(PlanNode::Repartition { input, exchange }) => (side, *input, Some(exchange.clone())),
            _ => (side, side, None),
        });
        let [left, right] = sides.map(|(node, input, exchange)| (self.open(input), node, input, exchange));
        let placed = |side: &(Open, usize, usize, Option<Exchange>)| side.3.as_ref().is_none_or(|e| e.placed);
        let (a, b) = (left.0.partitions, right.0.partitions);
        let partitions = match (placed(&left), placed(&right)) {
            (true, false) => a,
            (false, true) => b,
            _ => a.max(b),
        };
        let [mut left, right] = [left, right].map(|(open, node, input, exchange)| match exchange {
            Some(exchange) if !exchange.placed && partitions.max(open.partitions) > 1 => {
                self.exchange(open, node, &exchange, Some(partitions))
            }
            Some(exchange) if open.partitions != partitions => {
                self.exchange(open, node, &exchange, Some(partitions))
            }
            _ => open.alias(node, input),
        });
        left.merge(right);
        left
    }

    /// Ends a stage with a repartition topic, and opens the one behind it.
    fn exchange(&mut self, open: Open, node: usize, exchange: &Exchange, partitions: Option<i32>) -> Open {
        let topic: Arc<str> = format!("{}-{}-repartition", prefix(&self.query.id), exchange.name).into();
        // Where nothing says how many partitions there must be, those that are there already are right.
        let known = || self.partitions.get(&topic).copied();
        let partitions = partitions.or_else(known).unwrap_or(open.partitions);
        // Event times may be old; what was read is deleted by the task that read it.
        let sink = TopicSpec::new(&*topic, partitions).config("retention.ms", "-1");
        self.close(open, SinkEncoder::for_exchange(exchange), sink);
        let scan = Scan {
            topic,
            kind: self.kinds.get(node).copied().unwrap_or(RelationKind::Stream),
            key: None,
            value: Layout::new(FormatSpec::value(Format::None), exchange.fields.clone()),
            columns: (0..exchange.fields.len()).map(ScanColumn::Value).collect(),
            headers: Vec::new(),
            window_ms: None,
            session: false,
            timestamp: None,
            timestamp_format: None,
            partitions: Some(partitions),
            internal: true,
        };
        let places = BTreeMap::from([(node, Place::Input(0))]);
        Open { inputs: vec![scan], nodes: Vec::new(), partitions, places }
    }

    fn close(&mut self, open: Open, encoder: SinkEncoder, sink: TopicSpec) {
        let plan = &self.query.plan;
        let count = open.inputs.len();
        let number = |place: Option<&Place>| match place {
            Some(Place::Input(input)) => *input,
            Some(Place::Node(node)) => count + *node,
            None => 0,
        };
        let nodes = open.nodes.iter().filter_map(|placed| {
            let inputs: Vec<usize> = placed.inputs.iter().map(|place| number(Some(place))).collect();
            self.stage_node(plan, placed.node, &inputs)
        });
        let nodes = nodes.collect();
        let index = self.stages.len();
        let is_read = |scan: &Scan| {
            self.stages.iter().any(|stage| stage.inputs.iter().any(|known| known.topic == scan.topic))
        };
        let reads_again = open.inputs.iter().any(is_read);
        self.stages.push(Stage {
            index,
            reads_again,
            inputs: open.inputs,
            nodes,
            encoder,
            sink,
            partitions: open.partitions,
        });
    }

    fn stage_node(&self, plan: &QueryPlan, node: usize, inputs: &[usize]) -> Option<StageNode> {
        match (plan.nodes.get(node)?, inputs) {
            (PlanNode::Step { input, step }, [place]) => {
                let kind = self.kinds.get(*input).copied().unwrap_or(RelationKind::Stream);
                Some(StageNode::Step { input: *place, step: step.clone(), kind })
            }
            (PlanNode::Join { join, .. }, [left, right]) => {
                Some(StageNode::Join { left: *left, right: *right, join: join.clone() })
            }
            _ => None,
        }
    }
}

impl Open {
    /// Takes in what another stage of as many partitions does. What both do is done once.
    fn merge(&mut self, other: Self) {
        let mut moved: BTreeMap<(bool, usize), Place> = BTreeMap::new();
        let key = |place: Place| match place {
            Place::Input(at) => (false, at),
            Place::Node(at) => (true, at),
        };
        for (node, place) in &other.places {
            if let Some(known) = self.places.get(node) {
                moved.insert(key(*place), *known);
            }
        }
        for (at, scan) in other.inputs.into_iter().enumerate() {
            moved.entry((false, at)).or_insert_with(|| {
                self.inputs.push(scan);
                Place::Input(self.inputs.len() - 1)
            });
        }
        for (at, placed) in other.nodes.into_iter().enumerate() {
            if moved.contains_key(&(true, at)) {
                continue;
            }
            let place = |place: &Place| moved.get(&key(*place)).copied().unwrap_or(*place);
            let inputs = placed.inputs.iter().map(place).collect();
            moved.insert((true, at), Place::Node(self.nodes.len()));
            self.nodes.push(Placed { node: placed.node, inputs });
        }
        for (node, place) in other.places {
            let place = moved.get(&key(place)).copied().unwrap_or(place);
            self.places.entry(node).or_insert(place);
        }
    }

    fn add(&mut self, node: usize, inputs: &[usize]) {
        let inputs = inputs.iter().filter_map(|input| self.places.get(input).copied()).collect();
        self.places.insert(node, Place::Node(self.nodes.len()));
        self.nodes.push(Placed { node, inputs });
    }

    /// The same stage, where `node` is nothing but another one.
    fn alias(mut self, node: usize, of: usize) -> Self {
        if let Some(place) = self.places.get(&of).copied() {
            self.places.insert(node, place);
        }
        self
    }
}

fn sink_encoder(sink: &Sink) -> SinkEncoder {
    let relation = &sink.relation;
    SinkEncoder::new(
        sink.key.clone(),
        relation.key_layout().as_ref(),
        sink.value.clone(),
        &relation.value_layout(),
        (sink.window_start, sink.window_end),
        relation.kind,
    )
    .with_timestamp(sink.timestamp, relation.timestamp_format.as_ref())
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
