//! What several scans of one topic want, decoded at once.

use crate::batch::Batch;
use crate::operator::Scan;
use crate::plan::query_plan::{Scan as ScanPlan, ScanColumn};
use crate::{Column, Format};
use arrow_array::{Int32Array, Int64Array};
use millstream_bus::ReceivedRecord;
use millstream_model::metric::Counter;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The scans of a partition's readers.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    scans: Vec<Wish>,
    union: Option<Arc<Union>>,
    /// The number of the last wish.
    last: u64,
}

/// What one reader wants.
#[derive(Debug)]
struct Wish {
    number: u64,
    plan: ScanPlan,
    profile: Option<Profile>,
}

/// What scans that decode the same way have in common; of a scan that can share nothing there is none. Made once for each
/// reader: it is compared with every chunk.
pub(super) type Profile = Arc<str>;

impl Wanted {
    /// Adds a reader's scan; the number is for [`Wanted::remove`].
    pub(super) fn add(&mut self, plan: &ScanPlan, profile: Option<Profile>, decoded: &Arc<Counter>) -> u64 {
        self.last += 1;
        self.scans.push(Wish { number: self.last, plan: plan.clone(), profile });
        self.union = Union::of(&self.scans, decoded).map(Arc::new);
        self.last
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.scans.retain(|wish| wish.number != number);
        let decoded = self.union.take().map(|union| union.decoded.clone());
        self.union = decoded.and_then(|decoded| Union::of(&self.scans, &decoded)).map(Arc::new);
    }

    /// What a chunk is decoded into; `None` where there is nobody to share it with.
    pub(super) fn union(&self) -> Option<Arc<Union>> {
        self.union.clone()
    }
}

/// One scan with the columns of several.
#[derive(Debug)]
pub(super) struct Union {
    plan: ScanPlan,
    /// What the plans of all its users have in common.
    profile: Profile,
    decoded: Arc<Counter>,
}

impl Union {
    /// The union of the first plan and all that decode as it does; `None` where that is one only.
    fn of(scans: &[Wish], decoded: &Arc<Counter>) -> Option<Self> {
        let (first, own) = scans.iter().find_map(|wish| Some((&wish.plan, wish.profile.clone()?)))?;
        let mut union = first.clone();
        let mut users = 0;
        for Wish { plan, .. } in scans.iter().filter(|wish| wish.profile.as_ref() == Some(&own)) {
            users += 1;
            for (name, sql_type) in &plan.value.columns {
                let known = union.value.columns.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                match known {
                    None => union.value.columns.push((name.clone(), *sql_type)),
                    // Two relations see one field differently: each decodes it itself.
                    Some(known) if known != &(name.clone(), *sql_type) => return None,
                    Some(_) => {}
                }
            }
        }
        if users < 2 {
            return None;
        }
        let keys = union.key.as_ref().map_or(0, |key| key.columns.len());
        let mut columns: Vec<_> = (0..keys).map(ScanColumn::Key).collect();
        if union.window_ms.is_some() {
            columns.extend([ScanColumn::WindowStart, ScanColumn::WindowEnd]);
        }
        columns.extend((0..union.value.columns.len()).map(ScanColumn::Value));
        let time = time_column(first);
        union.timestamp = union.value.columns.iter().position(|(name, _)| Some(&**name) == time.as_deref());
        union.columns = columns;
        Some(Self { plan: union, profile: own, decoded: decoded.clone() })
    }

    /// Whether scans of this profile take their rows from here.
    pub(super) fn is_for(&self, profile: &Profile) -> bool {
        self.profile == *profile
    }

    /// All rows; `None` where a record cannot be decoded.
    pub(super) fn decode(&self, records: &[ReceivedRecord], partition: i32) -> Option<Batch> {
        let mut faults = Vec::new();
        let batch = Scan::new(self.plan.clone()).batch(records, partition, 0, &mut faults);
        self.decoded.add(u64::try_from(records.len()).unwrap_or(0));
        faults.is_empty().then_some(batch)
    }

    /// The rows of `batch` from some offset to another, with the columns of `plan`, which is of this profile. `None` where it has not all of them.
    pub(super) fn pick(
        &self,
        batch: &Batch,
        plan: &ScanPlan,
        offsets: RangeInclusive<i64>,
        now_ms: i64,
    ) -> Option<Batch> {
        let first = batch.offsets.partition_point(|offset| offset < offsets.start());
        let end = batch.offsets.partition_point(|offset| offset <= offsets.end());
        let mut rows =
            if end - first == batch.rows() { batch.clone() } else { batch.slice(first, end - first) };
        rows.now_ms = now_ms;
        let mut columns = Vec::with_capacity(plan.columns.len());
        for column in &plan.columns {
            let same = |wanted: ScanColumn| self.plan.columns.iter().position(|column| *column == wanted);
            let slot = match column {
                ScanColumn::Value(index) => {
                    let field = plan.value.columns.get(*index)?;
                    let value = self.plan.value.columns.iter().position(|known| known == field)?;
                    same(ScanColumn::Value(value))?
                }
                ScanColumn::RowTime => {
                    columns.push(rows.time_column());
                    continue;
                }
                ScanColumn::RowPartition => {
                    columns.push(Column::Int(Int32Array::from(vec![rows.partition; rows.rows()])));
                    continue;
                }
                ScanColumn::RowOffset => {
                    columns.push(Column::BigInt(Int64Array::new(rows.offsets.clone(), None)));
                    continue;
                }
                other => same(*other)?,
            };
            columns.push(rows.columns.get(slot)?.clone());
        }
        rows.columns = columns;
        Some(rows)
    }
}

/// Whether a scan can take its rows from a union: every column is known here, and the format finds columns by name.
fn can_share(plan: &ScanPlan) -> bool {
    use ScanColumn as C;
    let known = |column: &ScanColumn| {
        matches!(
            column,
            C::Key(_)
                | C::Value(_)
                | C::RowTime
                | C::RowPartition
                | C::RowOffset
                | C::WindowStart
                | C::WindowEnd
        )
    };
    finds_by_name(plan.value.spec.format) && !plan.internal && plan.columns.iter().all(known)
}

/// Whether a format finds a column by its name, whatever other columns are asked for.
const fn finds_by_name(format: Format) -> bool {
    matches!(format, Format::Json | Format::JsonSr | Format::Avro | Format::Protobuf)
}

fn time_column(plan: &ScanPlan) -> Option<String> {
    let (name, _) = plan.value.columns.get(plan.timestamp?)?;
    Some(name.to_string())
}

/// A scan without its columns: scans of the same profile decode the same way.
pub(super) fn profile(plan: &ScanPlan) -> Option<Profile> {
    if !can_share(plan) {
        return None;
    }
    let mut bare = plan.clone();
    bare.columns.clear();
    bare.value.columns.clear();
    bare.timestamp = None;
    Some(format!("{bare:?} {:?}", time_column(plan)).into())
}
