//! Joins of a table with the primary key of another one.

use super::meet::{Gather, columns_of, side_of};
use super::{
    Arc, Clause, Exchange, FormatSpec, Join, JoinKind, JoinMethod, Joined, Joins, KeyPart, NullKey, Operand,
    PlanNode, RelationKind, Resolve, ScanColumn, Spread, SqlType, Step, Subscribe, fields,
};
use crate::Format;

impl Joins<'_> {
    /// A join of a table with the primary key of another one.
    pub(super) fn foreign(
        &mut self,
        left: Joined,
        right: Joined,
        pairs: Vec<(Operand, Operand)>,
        clause: &Clause,
        index: usize,
    ) -> Option<Joined> {
        if matches!(clause.kind, JoinKind::Right | JoinKind::Full) {
            let message = format!("a foreign key has no {}", clause.kind.word());
            let help = "use JOIN or LEFT JOIN: the result has the left table's primary key";
            return self.refuse(message, "not possible on a foreign key", help, &clause.place);
        }
        if !left.window.is_empty() {
            let help = "join the tables on their keys";
            let message = "tables with windows are not joined on foreign keys".into();
            return self.refuse(message, "not possible here", help, &clause.place);
        }
        let types: Vec<_> = pairs.iter().map(|(left, _)| left.node.sql_type).collect();
        let known = right.spread.clone().filter(|spread| spread.types == types).filter(trusted);
        let placed = known.is_some();
        let gather = Gather { spread: known.unwrap_or_else(|| own_spread(&types)) };
        let (lefts, rights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let name = format!("Join-{}", index + 1);
        let (left, foreign, hidden) = self.subscribe(left, lefts, &gather, &name, index);
        let (right, right_key) =
            self.gather(right, rights, &gather, placed, false, format!("join{}-right", index + 1));
        let primary: Vec<usize> = left.key.iter().map(|part| part.slot).collect();
        let also: Vec<_> = primary.iter().copied().chain([hidden, hidden + 1]).collect();
        let (left_keep, right_keep) = (self.kept(&left, index, &also), self.kept(&right, index, &[]));
        let at = |slot: usize| left_keep.iter().position(|kept| *kept == slot).unwrap_or(0);
        let primary: Vec<_> = primary.into_iter().map(at).collect();
        let (number, mark) = (at(hidden), at(hidden + 1));
        let (columns, owners) = columns_of([(&left, &left_keep), (&right, &right_keep)]);
        let join = Join {
            name: name.clone(),
            kind: clause.kind,
            method: JoinMethod::Foreign,
            left: side_of(&left, foreign, left_keep),
            right: side_of(&right, right_key, right_keep),
            key_types: types,
            gives_key: false,
            primary: primary.clone(),
        };
        let node = self.push(PlanNode::Join { left: left.node, right: right.node, join });
        let primary_types: Vec<_> = left.key.iter().map(|part| part.sql_type).collect();
        let spread = left.spread.clone().filter(trusted).unwrap_or_else(|| own_spread(&primary_types));
        let resolve = Resolve { name, primary, primary_types, number, mark };
        let parts =
            left.key.iter().zip(&resolve.primary).map(|(part, slot)| KeyPart { slot: *slot, ..part.clone() });
        let joined = Joined {
            node,
            kind: RelationKind::Table,
            key: parts.collect(),
            spread: Some(spread),
            window_ms: None,
            session: false,
            window: Vec::new(),
            key_spec: left.key_spec,
            columns,
            owners,
        };
        Some(self.resolve(joined, resolve, index))
    }

    /// Sends the left rows to where their foreign keys are. Gives the slots of the foreign key, and the first of the two
    /// columns that are added.
    fn subscribe(
        &mut self,
        left: Joined,
        operands: Vec<Operand>,
        gather: &Gather,
        name: &str,
        index: usize,
    ) -> (Joined, Vec<usize>, usize) {
        let (mut left, foreign) = self.with_columns(left, operands);
        let subscribe = Subscribe {
            name: name.to_owned(),
            primary: left.key.iter().map(|part| part.slot).collect(),
            foreign: foreign.clone(),
            fields: fields(&left.columns),
        };
        left.node = self.push(PlanNode::Step { input: left.node, step: Step::Subscribe(subscribe) });
        let hidden = left.columns.len();
        for (name, sql_type) in [("CHANGE", SqlType::BigInt), ("MARK", SqlType::Int)] {
            left.columns.push((Arc::from(name), sql_type, ScanColumn::RowOffset));
            left.owners.push(None);
        }
        let exchange = Exchange {
            name: format!("join{}-left", index + 1),
            key: foreign.clone(),
            key_spec: gather.spread.spec.clone(),
            fields: fields(&left.columns),
            null_key: NullKey::Stays,
            placed: false,
        };
        left.node = self.push(PlanNode::Repartition { input: left.node, exchange });
        (left, foreign, hidden)
    }

    /// Takes the answers back to where the left rows are.
    fn resolve(&mut self, mut joined: Joined, resolve: Resolve, index: usize) -> Joined {
        let exchange = Exchange {
            name: format!("join{}-answers", index + 1),
            key: resolve.primary.clone(),
            key_spec: joined
                .spread
                .as_ref()
                .map_or_else(|| FormatSpec::key(Format::Json), |s| s.spec.clone()),
            fields: fields(&joined.columns),
            null_key: NullKey::NoMatch,
            placed: false,
        };
        joined.node = self.push(PlanNode::Repartition { input: joined.node, exchange });
        joined.node = self.push(PlanNode::Step { input: joined.node, step: Step::Resolve(resolve) });
        joined
    }
}

/// A key with a schema's id is written by others: nobody else can write the same bytes for sure.
fn trusted(spread: &Spread) -> bool {
    !spread.spec.format.needs_registry()
}

fn own_spread(types: &[SqlType]) -> Spread {
    Spread { spec: FormatSpec::key(Format::Json), types: types.to_vec() }
}
