//! The scans of a stage and the operators behind them.

use super::explode::Explode;
use super::filter::Filter;
use super::group::group;
use super::join::{Resolve, Subscribe};
use super::keyed::Keyed;
use super::project::Project;
use super::retract::Retract;
use super::scan::Scan;
use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::plan::query_plan::{Join, PlanNode, QueryPlan, Scan as ScanPlan, Step};
use crate::{RelationKind, SqlError};
use millstream_bus::ReceivedRecord;

/// What one node of a stage does. Numbers of inputs are places among the stage's scans and, behind them, its nodes.
#[derive(Debug, Clone)]
pub(crate) enum StageNode {
    /// Does something to the rows of one input.
    Step { input: usize, step: Step, kind: RelationKind },
    /// Joins two inputs.
    Join { left: usize, right: usize, join: Join },
}

impl StageNode {
    /// The nodes that it takes its rows from, by port.
    fn inputs(&self) -> Vec<usize> {
        match self {
            Self::Step { input, .. } => vec![*input],
            Self::Join { left, right, .. } => vec![*left, *right],
        }
    }
}

/// Records in, batches out: all of a query between some topics and one other.
#[derive(Debug)]
pub(crate) struct Graph {
    scans: Vec<Scan>,
    operators: Vec<Box<dyn Operator>>,
    /// By scan or operator: who takes its rows, and at which port.
    users: Vec<Vec<(usize, usize)>>,
    /// By scan: whether its rows meet again in one operator, so that they must go one by one.
    meets: Vec<bool>,
}

/// What came of some records.
#[derive(Debug, Default)]
pub(crate) struct Processed {
    pub(crate) batches: Vec<Batch>,
    pub(crate) faults: Vec<RowFault>,
    pub(crate) late: u64,
}

impl Graph {
    /// The graph of a stage. The last node, or the last scan where there is no node, gives the result.
    pub(crate) fn new(scans: &[ScanPlan], nodes: &[StageNode]) -> Self {
        let mut memories = 0;
        let operators = nodes.iter().map(|node| operator(node, &mut memories)).collect();
        let mut users = vec![Vec::new(); scans.len() + nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for (port, input) in node.inputs().into_iter().enumerate() {
                if let Some(users) = users.get_mut(input) {
                    users.push((index, port));
                }
            }
        }
        let meets = (0..scans.len()).map(|scan| users[scan].len() > 1).collect();
        Self { scans: scans.iter().cloned().map(Scan::new).collect(), operators, users, meets }
    }

    /// The graph of a whole query in one piece, for rows that need not go anywhere between. Scans stand in the order of
    /// [`QueryPlan::scans`].
    pub(crate) fn whole(plan: &QueryPlan) -> Self {
        let (scans, nodes) = plan.in_one_piece();
        Self::new(&scans, &nodes)
    }

    /// Runs `records` of one partition of an input, in offset order, through every operator.
    pub(crate) fn run(
        &mut self,
        input: usize,
        records: &[ReceivedRecord],
        partition: i32,
        now_ms: i64,
    ) -> Result<Processed, SqlError> {
        let mut processed = Processed::default();
        let Some(scan) = self.scans.get_mut(input) else { return Ok(processed) };
        let batch = scan.batch(records, partition, now_ms, &mut processed.faults);
        self.rows(input, batch, &mut processed)?;
        Ok(processed)
    }

    /// Runs rows of an input that somebody else has decoded.
    pub(crate) fn run_rows(&mut self, input: usize, rows: Batch) -> Result<Processed, SqlError> {
        let mut processed = Processed::default();
        self.rows(input, rows, &mut processed)?;
        Ok(processed)
    }

    fn rows(&mut self, input: usize, batch: Batch, processed: &mut Processed) -> Result<(), SqlError> {
        if self.meets.get(input) == Some(&true) {
            // Whoever joins a topic with itself sees each row on both sides before the next one.
            for row in 0..batch.rows() {
                self.flow(input, batch.slice(row, 1), processed)?;
            }
        } else {
            self.flow(input, batch, processed)?;
        }
        Ok(())
    }

    /// Takes a batch from a scan through all that stands behind it.
    fn flow(&mut self, scan: usize, batch: Batch, processed: &mut Processed) -> Result<(), SqlError> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let mut waiting: Vec<Vec<(usize, Batch)>> = vec![Vec::new(); self.operators.len()];
        let users = self.users.get(scan).map_or(&[][..], Vec::as_slice);
        hand_on(users, vec![batch], &mut waiting, &mut processed.batches);
        for (index, operator) in self.operators.iter_mut().enumerate() {
            let mut out = Output {
                batches: Vec::new(),
                faults: std::mem::take(&mut processed.faults),
                late: processed.late,
            };
            for (port, batch) in waiting.get_mut(index).map(std::mem::take).unwrap_or_default() {
                operator.on_batch(port, batch, &mut out)?;
            }
            (processed.faults, processed.late) = (out.faults, out.late);
            out.batches.retain(|batch| batch.rows() > 0);
            let users = self.users.get(self.scans.len() + index).map_or(&[][..], Vec::as_slice);
            hand_on(users, out.batches, &mut waiting, &mut processed.batches);
        }
        Ok(())
    }

    /// The operators that have state, with its names.
    pub(crate) fn stateful(&mut self) -> impl Iterator<Item = (String, &mut Box<dyn Operator>)> {
        self.operators.iter_mut().filter_map(|operator| Some((operator.state_name()?, operator)))
    }
}

/// Gives batches to their users; what has none is the result.
fn hand_on(
    users: &[(usize, usize)],
    batches: Vec<Batch>,
    waiting: &mut [Vec<(usize, Batch)>],
    result: &mut Vec<Batch>,
) {
    let Some(((last, last_port), others)) = users.split_last() else {
        result.extend(batches);
        return;
    };
    for (user, port) in others {
        if let Some(waiting) = waiting.get_mut(*user) {
            waiting.extend(batches.iter().map(|batch| (*port, batch.clone())));
        }
    }
    if let Some(waiting) = waiting.get_mut(*last) {
        waiting.extend(batches.into_iter().map(|batch| (*last_port, batch)));
    }
}

fn operator(node: &StageNode, memories: &mut usize) -> Box<dyn Operator> {
    match node {
        StageNode::Join { join, .. } => super::join::operator(join),
        StageNode::Step { step, kind, .. } => match step {
            Step::Subscribe(subscribe) => Box::new(Subscribe::new(subscribe.clone())),
            Step::Resolve(resolve) => Box::new(Resolve::new(resolve.clone())),
            Step::Keyed(keyed) => {
                *memories += 1;
                Box::new(Keyed::new(keyed.clone(), *memories - 1))
            }
            Step::Filter(node) => Box::new(Filter::new(node.clone(), *kind)),
            Step::Project(nodes) => Box::new(Project::new(nodes.clone())),
            Step::Retract(retract) => Box::new(Retract::new(retract.clone())),
            Step::Explode(explode) => Box::new(Explode::new(explode.clone())),
            Step::Group(plan) => group(plan.clone()),
        },
    }
}

impl QueryPlan {
    /// Its scans, and its nodes without the repartitioning between them.
    pub(crate) fn in_one_piece(&self) -> (Vec<ScanPlan>, Vec<StageNode>) {
        let scans: Vec<ScanPlan> = self.scans().cloned().collect();
        let kinds = self.kinds();
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        let mut scanned = 0;
        for node in &self.nodes {
            let place = |input: &usize| places.get(*input).copied().unwrap_or(0);
            let own = match node {
                PlanNode::Scan(_) => {
                    scanned += 1;
                    scanned - 1
                }
                PlanNode::Repartition { input, .. } => place(input),
                PlanNode::Join { left, right, join } => {
                    let (left, right) = (place(left), place(right));
                    nodes.push(StageNode::Join { left, right, join: join.clone() });
                    scans.len() + nodes.len() - 1
                }
                PlanNode::Step { input, step } => {
                    let kind = kinds.get(*input).copied().unwrap_or(RelationKind::Stream);
                    nodes.push(StageNode::Step { input: place(input), step: step.clone(), kind });
                    scans.len() + nodes.len() - 1
                }
            };
            places.push(own);
        }
        (scans, nodes)
    }
}
