//! Goal: both evaluators agree. Method: random typed expressions over random batches, values and faults compared.

use super::*;
use crate::batch::Batch;
use crate::{Column, ColumnBuilder, Datum, function};
use arrow_buffer::ScalarBuffer;
use proptest::prelude::*;
use std::borrow::Cow;

const TYPES: [SqlType; 5] =
    [SqlType::Boolean, SqlType::Int, SqlType::BigInt, SqlType::Double, SqlType::Varchar];

fn value(sql_type: SqlType) -> BoxedStrategy<Datum<'static>> {
    let present = match sql_type {
        SqlType::Boolean => any::<bool>().prop_map(Datum::Boolean).boxed(),
        SqlType::Int => prop_oneof![(-3i32..4), any::<i32>(), Just(i32::MIN)].prop_map(Datum::Int).boxed(),
        SqlType::BigInt => {
            prop_oneof![(-3i64..4), any::<i64>(), Just(i64::MIN)].prop_map(Datum::BigInt).boxed()
        }
        SqlType::Double => {
            prop_oneof![(-3i32..4).prop_map(f64::from), any::<f64>()].prop_map(Datum::Double).boxed()
        }
        SqlType::Varchar => prop_oneof!["[a-c%_!]{0,3}", "-?[0-9]{1,4}", "(true|no|1.5)"]
            .prop_map(|v| Datum::Varchar(Cow::Owned(v)))
            .boxed(),
        other => panic!("no strategy for {other}"),
    };
    prop_oneof![1 => Just(Datum::Null), 4 => present].boxed()
}

fn batch() -> impl Strategy<Value = Batch> {
    (1usize..12).prop_flat_map(|rows| {
        let columns = TYPES.map(|t| proptest::collection::vec(value(t), rows));
        columns.prop_map(move |columns| {
            let build = |(values, sql_type): (Vec<Datum<'static>>, SqlType)| {
                let mut builder = ColumnBuilder::new(sql_type, rows);
                for value in &values {
                    builder.append(value);
                }
                builder.finish()
            };
            Batch {
                columns: columns.into_iter().zip(TYPES).map(build).collect(),
                timestamps: ScalarBuffer::from(vec![0; rows]),
                offsets: ScalarBuffer::from(vec![0; rows]),
                partition: 0,
                deleted: None,
                now_ms: 7,
            }
        })
    })
}

fn leaf(sql_type: SqlType) -> BoxedStrategy<Node> {
    let slot = TYPES.iter().position(|t| *t == sql_type).unwrap();
    prop_oneof![
        2 => Just(Node::new(NodeKind::Column(slot), sql_type)),
        1 => value(sql_type).prop_map(move |v| Node::literal(v, sql_type)),
    ]
    .boxed()
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

fn pair(sql_type: SqlType, depth: u32) -> impl Strategy<Value = (Node, Node)> {
    (node(sql_type, depth), node(sql_type, depth))
}

fn any_type() -> impl Strategy<Value = SqlType> {
    proptest::sample::select(&TYPES[..])
}

fn boolean(depth: u32) -> BoxedStrategy<Node> {
    let compare = proptest::sample::select(vec![
        CompareOp::Equal,
        CompareOp::NotEqual,
        CompareOp::Less,
        CompareOp::LessOrEqual,
        CompareOp::Greater,
        CompareOp::GreaterOrEqual,
        CompareOp::Distinct,
        CompareOp::NotDistinct,
    ]);
    let make = |kind| Node::new(kind, SqlType::Boolean);
    prop_oneof![
        (compare, any_type().prop_flat_map(move |t| pair(t, depth)))
            .prop_map(move |(op, (a, b))| make(NodeKind::Compare { op, left: boxed(a), right: boxed(b) })),
        pair(SqlType::Boolean, depth).prop_map(move |(a, b)| make(NodeKind::And(boxed(a), boxed(b)))),
        pair(SqlType::Boolean, depth).prop_map(move |(a, b)| make(NodeKind::Or(boxed(a), boxed(b)))),
        node(SqlType::Boolean, depth).prop_map(move |a| make(NodeKind::Not(boxed(a)))),
        any_type().prop_flat_map(move |t| node(t, depth)).prop_map(move |a| make(NodeKind::IsNull(boxed(a)))),
        any_type()
            .prop_flat_map(move |t| pair(t, depth))
            .prop_map(move |(a, b)| { make(NodeKind::In { list: vec![b, a.clone()], operand: boxed(a) }) }),
        pair(SqlType::Varchar, depth).prop_map(move |(a, b)| {
            make(NodeKind::Like { operand: boxed(a), pattern: boxed(b), compiled: None, escape: Some('!') })
        }),
    ]
    .boxed()
}

/// Calls whose arguments and result all have one type.
fn call(name: &'static str, args: Vec<Node>) -> Node {
    let types: Vec<_> = args.iter().map(|a| Some(a.sql_type)).collect();
    let resolved = function::scalar(name).unwrap().resolve(&types).unwrap();
    let args = args.into_iter().zip(resolved.args).map(|(arg, t)| arg.cast_to(t)).collect();
    Node::new(NodeKind::Call { call: resolved.call, args, lambdas: Vec::new() }, resolved.returns)
}

fn node(sql_type: SqlType, depth: u32) -> BoxedStrategy<Node> {
    if depth == 0 {
        return leaf(sql_type);
    }
    let depth = depth - 1;
    let cast = any_type()
        .prop_filter("a cast that exists", move |from| cast::exists(*from, sql_type) && *from != sql_type)
        .prop_flat_map(move |from| node(from, depth))
        .prop_map(move |a| Node::new(NodeKind::Cast(boxed(a)), sql_type));
    let case =
        (pair(SqlType::Boolean, depth), pair(sql_type, depth), proptest::option::of(node(sql_type, depth)))
            .prop_map(move |((a, b), (x, y), otherwise)| {
                let branches = vec![(a, x), (b, y)];
                Node::new(NodeKind::Case { branches, otherwise: otherwise.map(boxed) }, sql_type)
            });
    let coalesce = pair(sql_type, depth).prop_map(|(a, b)| call("COALESCE", vec![a, b]));
    let own = match sql_type {
        SqlType::Boolean => boolean(depth),
        SqlType::Varchar => prop_oneof![
            pair(sql_type, depth)
                .prop_map(move |(a, b)| Node::new(NodeKind::Concat(boxed(a), boxed(b)), sql_type)),
            node(sql_type, depth).prop_map(|a| call("UCASE", vec![a])),
        ]
        .boxed(),
        _ => {
            let op = proptest::sample::select(vec![
                ArithmeticOp::Add,
                ArithmeticOp::Subtract,
                ArithmeticOp::Multiply,
                ArithmeticOp::Divide,
                ArithmeticOp::Modulo,
            ]);
            prop_oneof![
                3 => (op, pair(sql_type, depth)).prop_map(move |(op, (a, b))| {
                    Node::new(NodeKind::Arithmetic { op, left: boxed(a), right: boxed(b) }, sql_type)
                }),
                1 => node(sql_type, depth).prop_map(move |a| Node::new(NodeKind::Negate(boxed(a)), sql_type)),
                1 => node(sql_type, depth).prop_map(|a| call("ABS", vec![a])),
            ]
            .boxed()
        }
    };
    prop_oneof![1 => leaf(sql_type), 4 => own, 1 => cast, 1 => case, 1 => coalesce].boxed()
}

/// Values and faults as text, so that NaN equals NaN.
fn outcome(column: &Column, faults: &[(usize, Fault)]) -> String {
    let values: Vec<_> = (0..column.len()).map(|row| format!("{:?}", column.datum(row))).collect();
    format!("{values:?} {faults:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn rows_and_columns_agree(
        batch in batch(),
        node in any_type().prop_flat_map(|t| node(t, 3)),
    ) {
        let (mut by_row, mut by_column) = (Vec::new(), Vec::new());
        let rows = node.by_row(&batch, &mut |row, fault| by_row.push((row, fault)));
        let columns = node.by_column(&batch, &mut |row, fault| by_column.push((row, fault)));
        prop_assert_eq!(outcome(&rows, &by_row), outcome(&columns, &by_column), "{:?}", node);
        if !node.can_fail {
            prop_assert!(by_row.is_empty());
        }
    }
}
