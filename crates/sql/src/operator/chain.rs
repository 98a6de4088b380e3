//! A scan and the operators behind it.

use super::filter::Filter;
use super::group::Group;
use super::keyed::Keyed;
use super::project::Project;
use super::scan::Scan;
use super::{Operator, Output, RowFault};
use crate::SqlError;
use crate::batch::Batch;
use crate::plan::query_plan::{Scan as ScanPlan, Step};
use millstream_bus::ReceivedRecord;

/// Records in, batches out: all of a query between two topics.
#[derive(Debug)]
pub(crate) struct Chain {
    scan: Scan,
    operators: Vec<Box<dyn Operator>>,
}

/// What came of some records.
#[derive(Debug, Default)]
pub(crate) struct Processed {
    pub(crate) batches: Vec<Batch>,
    pub(crate) faults: Vec<RowFault>,
    pub(crate) late: u64,
}

impl Chain {
    pub(crate) fn new(scan: &ScanPlan, steps: &[Step]) -> Self {
        let mut memories = 0;
        let operators = steps.iter().map(|step| -> Box<dyn Operator> {
            match step {
                Step::Keyed(keyed) => {
                    memories += 1;
                    Box::new(Keyed::new(keyed.clone(), memories - 1))
                }
                Step::Filter(node) => Box::new(Filter::new(node.clone(), scan.kind)),
                Step::Project(nodes) => Box::new(Project::new(nodes.clone())),
                Step::Group(group) => Box::new(Group::new(group.clone())),
            }
        });
        Self { operators: operators.collect(), scan: Scan::new(scan.clone()) }
    }

    /// Runs `records` of one partition, in offset order, through every step.
    pub(crate) fn run(
        &mut self,
        records: &[ReceivedRecord],
        partition: i32,
        now_ms: i64,
    ) -> Result<Processed, SqlError> {
        let mut faults = Vec::new();
        let mut batches = vec![self.scan.batch(records, partition, now_ms, &mut faults)];
        let mut late = 0;
        for operator in &mut self.operators {
            let mut out = Output { batches: Vec::new(), faults, late };
            for batch in batches {
                if batch.rows() > 0 {
                    operator.on_batch(batch, &mut out)?;
                }
            }
            (batches, faults, late) = (out.batches, out.faults, out.late);
        }
        batches.retain(|batch| batch.rows() > 0);
        Ok(Processed { batches, faults, late })
    }

    /// The operators that have state, with its names.
    pub(crate) fn stateful(&mut self) -> impl Iterator<Item = (String, &mut Box<dyn Operator>)> {
        self.operators.iter_mut().filter_map(|operator| Some((operator.state_name()?, operator)))
    }
}
