//! Join conditions: equalities between the two sides.

use super::{Binder, Clause, Expr, Joined, Joins, Node, NodeKind, Operand, Scope, Source, type_of};
use crate::function::common_type;
use crate::parse::ast::{BinaryOp, ExprKind};

impl Joins<'_> {
    /// The equalities of a condition, left side first, of one type each.
    pub(super) fn condition(
        &mut self,
        left: &Joined,
        right: &Joined,
        clause: &Clause,
        index: usize,
    ) -> Option<Vec<(Operand, Operand)>> {
        let mut pairs = Vec::new();
        for expr in clause.on.conjuncts() {
            let ExprKind::Binary { op: BinaryOp::Equal, left: first, right: second } = &expr.kind else {
                let help = "write A.X = B.Y, and put other conditions into WHERE";
                return self.refuse(
                    "a join condition is one or more equalities".into(),
                    "no equality",
                    help,
                    &expr.place,
                );
            };
            let (a, b) = (self.reach(first)?, self.reach(second)?);
            let (ours, theirs) = if is_of(&b, index + 1) && is_before(&a, index + 1) {
                (first, second)
            } else if is_of(&a, index + 1) && is_before(&b, index + 1) {
                (second, first)
            } else {
                let message = "a join condition compares one side with the other".into();
                let help = format!(
                    "one side of the = must name only columns of `{}`, the other only columns before it",
                    self.sources.get(index + 1).map_or("", Source::name)
                );
                return self.refuse(message, "not one of each", &help, &expr.place);
            };
            let (mut ours, theirs) = (self.bind(left, ours)?, self.bind(right, theirs)?);
            // What a join before this one made equal is one key, also where one side of that has no row.
            let known =
                ours.column.as_ref().and_then(|column| left.key.iter().find(|p| p.same.contains(column)));
            if let Some(part) = known {
                ours.node = Node::new(NodeKind::Column(part.slot), part.sql_type);
            }
            let Some(common) = common_type([type_of(&ours.node), type_of(&theirs.node)]) else {
                let label = format!("{} = {}", ours.node.sql_type, theirs.node.sql_type);
                let message = "the two sides of the condition have different types".into();
                return self.refuse(message, &label, "use CAST(… AS …) on one side", &expr.place);
            };
            let cast = |operand: Operand| Operand { node: operand.node.cast_to(common), ..operand };
            pairs.push((cast(ours), cast(theirs)));
        }
        Some(pairs)
    }

    /// Which sources an expression names.
    pub(super) fn reach(&mut self, expr: &Expr) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            if let ExprKind::Column { qualifier, name } = &expr.kind {
                let called = |source: &&Source| qualifier.as_ref().is_none_or(|q| source.is_called(&q.text));
                let owners: Vec<usize> = (0..self.sources.len())
                    .filter(|index| self.sources.get(*index).as_ref().is_some_and(&called))
                    .filter(|index| {
                        self.sources[*index].columns.iter().any(|column| *column.name == *name.text)
                    })
                    .collect();
                if let [owner] = owners.as_slice() {
                    found.push(*owner);
                } else {
                    let scope = self.whole()?;
                    if let Err(mistake) = scope.find(qualifier.as_ref(), name) {
                        self.mistakes.push(*mistake);
                    }
                    return None;
                }
            }
            open.extend(expr.kind.children());
        }
        Some(found)
    }

    /// A scope over all columns of all sources, to say what is wrong with a name.
    pub(super) fn whole(&self) -> Option<Scope> {
        let mut scope = Scope::empty(&self.sources.first()?.relation);
        scope.sources = self.sources.clone();
        for (index, source) in self.sources.iter().enumerate() {
            for needed in &source.columns {
                scope.columns.push((needed.name.clone(), needed.sql_type, needed.column));
                scope.owners.push(Some(index));
            }
        }
        Some(scope)
    }

    pub(super) fn bind(&mut self, joined: &Joined, expr: &Expr) -> Option<Operand> {
        let scope = self.scope_of(joined)?;
        let mut binder = Binder::new(&scope);
        let node = match binder.bind(expr) {
            Ok(node) => node,
            Err(mistake) => {
                self.mistakes.push(*mistake);
                return None;
            }
        };
        if !binder.keyed.is_empty() {
            let message = "a function with a memory cannot stand in a join condition".into();
            return self.refuse(
                message,
                "not possible here",
                "compute it in a query of its own",
                &expr.place,
            );
        }
        let column = match node.kind {
            NodeKind::Column(slot) => {
                let owner = joined.owners.get(slot).copied().flatten();
                owner.zip(joined.columns.get(slot)).map(|(owner, (name, _, _))| (owner, name.clone()))
            }
            _ => None,
        };
        Some(Operand { node, column })
    }

    /// Brings the condition into the order of the right table's primary key, which it must name whole.
    pub(super) fn on_primary_key(
        &mut self,
        right: &Joined,
        mut pairs: Vec<(Operand, Operand)>,
        clause: &Clause,
    ) -> Option<Vec<(Operand, Operand)>> {
        let mut ordered = Vec::new();
        for part in &right.key {
            let at = pairs.iter().position(|(_, right)| right.is_part(part));
            ordered.extend(at.map(|at| pairs.swap_remove(at)));
        }
        if pairs.is_empty() && ordered.len() == right.key.len() {
            return Some(ordered);
        }
        let names: Vec<_> =
            right.key.iter().filter_map(|part| part.same.first()).map(|(_, name)| &**name).collect();
        let help = format!("compare with its primary key: … = {}", names.join(" AND … = "));
        let message = "a table is joined on its primary key".into();
        self.refuse(message, &format!("the primary key is {}", names.join(", ")), &help, &clause.on.place)
    }
}

/// Brings a condition into the order of a side's key, where it names it whole.
pub(super) fn in_key_order(
    left: &Joined,
    right: &Joined,
    mut pairs: Vec<(Operand, Operand)>,
) -> Vec<(Operand, Operand)> {
    for side in [left, right] {
        let part_of =
            |(a, b): &(Operand, Operand)| side.key.iter().position(|part| a.is_part(part) || b.is_part(part));
        let mut parts: Vec<_> = pairs.iter().filter_map(part_of).collect();
        parts.sort_unstable();
        parts.dedup();
        if parts.len() == side.key.len() && pairs.len() == parts.len() {
            pairs.sort_by_key(part_of);
            return pairs;
        }
    }
    pairs
}

fn is_of(sources: &[usize], source: usize) -> bool {
    !sources.is_empty() && sources.iter().all(|one| *one == source)
}

fn is_before(sources: &[usize], source: usize) -> bool {
    !sources.is_empty() && sources.iter().all(|one| *one < source)
}
