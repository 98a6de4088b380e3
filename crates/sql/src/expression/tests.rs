//! Goal: both evaluators agree. Method: random typed expressions of all types over random batches, values and faults
//! compared.

use super::*;
use crate::batch::Batch;
use crate::function::{self, Argument, Body, Lambdas, Param, Params, Returns, ScalarFunction, Signature};
use crate::{Column, ColumnBuilder, Datum, Decimal};
use arrow_buffer::ScalarBuffer;
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::LazyLock;

const MONEY: SqlType = SqlType::Decimal { precision: 5, scale: 2 };
const LONG: SqlType = SqlType::Decimal { precision: 38, scale: 10 };

/// Texts that patterns, and some casts, take.
const TEXTS: [&str; 5] =
    ["[a-c%_!]{0,3}", "-?[0-9]{1,4}", "(true|no|1.5|IQ==)", "20[0-2][0-9]-0[1-9]", "1[0-9]:[0-5][0-9]"];

/// Every type, by its slot.
static TYPES: LazyLock<Vec<SqlType>> = LazyLock::new(|| {
    vec![
        SqlType::Boolean,
        SqlType::Int,
        SqlType::BigInt,
        MONEY,
        LONG,
        SqlType::Double,
        SqlType::Varchar,
        SqlType::Bytes,
        SqlType::Date,
        SqlType::Time,
        SqlType::Timestamp,
        SqlType::array(SqlType::Int),
        SqlType::map(SqlType::Varchar, SqlType::BigInt),
        SqlType::structure([("A", SqlType::Int), ("B", SqlType::Varchar)]),
    ]
});
const NUMBERS: [SqlType; 5] = [SqlType::Int, SqlType::BigInt, MONEY, LONG, SqlType::Double];

fn present(sql_type: SqlType) -> BoxedStrategy<Datum<'static>> {
    match sql_type {
        SqlType::Boolean => any::<bool>().prop_map(Datum::Boolean).boxed(),
        SqlType::Int => prop_oneof![(-3i32..4), any::<i32>(), Just(i32::MIN)].prop_map(Datum::Int).boxed(),
        SqlType::BigInt => {
            prop_oneof![(-3i64..4), any::<i64>(), Just(i64::MIN)].prop_map(Datum::BigInt).boxed()
        }
        SqlType::Decimal { precision, scale } => {
            let limit = 10_i128.pow(precision.into());
            let one = 10_i128.pow(scale.into());
            prop_oneof![(-3i128..4).prop_map(move |v| v * one), (1 - limit)..limit, (-5i128..5)]
                .prop_map(move |v| Datum::Decimal(Decimal::new(v, scale)))
                .boxed()
        }
        SqlType::Double => prop_oneof![(-3i32..4).prop_map(f64::from), any::<f64>(), Just(0.5)]
            .prop_map(Datum::Double)
            .boxed(),
        SqlType::Varchar => proptest::sample::select(&TEXTS[..])
            .prop_flat_map(|pattern| proptest::string::string_regex(pattern).unwrap())
            .prop_map(|v| Datum::Varchar(Cow::Owned(v)))
            .boxed(),
        SqlType::Bytes => {
            proptest::collection::vec(any::<u8>(), 0..3).prop_map(|v| Datum::Bytes(Cow::Owned(v))).boxed()
        }
        SqlType::Date => prop_oneof![(-3i32..4), any::<i32>()].prop_map(Datum::Date).boxed(),
        SqlType::Time => (0..86_400_000).prop_map(Datum::Time).boxed(),
        SqlType::Timestamp => prop_oneof![(-3i64..4), (-3i64..4).prop_map(|d| d * 86_400_000), any::<i64>()]
            .prop_map(Datum::Timestamp)
            .boxed(),
        SqlType::Array(element) => proptest::collection::vec(value(*element), 0..4)
            .prop_map(|values| Datum::Array(values.into()))
            .boxed(),
        SqlType::Map(key, of) => proptest::collection::vec((present(*key), value(*of)), 0..3)
            .prop_map(|entries| nested::map(entries).unwrap())
            .boxed(),
        SqlType::Struct(fields) => fields
            .iter()
            .map(|field| value(field.sql_type))
            .collect::<Vec<_>>()
            .prop_map(|values| Datum::Struct(values.into()))
            .boxed(),
    }
}

fn value(sql_type: SqlType) -> BoxedStrategy<Datum<'static>> {
    prop_oneof![1 => Just(Datum::Null), 4 => present(sql_type)].boxed()
}

fn batch() -> impl Strategy<Value = Batch> {
    (1usize..12).prop_flat_map(|rows| {
        let columns: Vec<_> = TYPES.iter().map(|t| proptest::collection::vec(value(*t), rows)).collect();
        columns.prop_map(move |columns| {
            let build = |(values, sql_type): (Vec<Datum<'static>>, &SqlType)| {
                let mut builder = ColumnBuilder::new(*sql_type, rows);
                for value in &values {
                    builder.append(value);
                }
                builder.finish()
            };
            let mut batch = Batch::one(7);
            batch.columns = columns.into_iter().zip(TYPES.iter()).map(build).collect();
            batch.timestamps = ScalarBuffer::from(vec![0; rows]);
            batch.offsets = ScalarBuffer::from(vec![0; rows]);
            batch
        })
    })
}

/// The types of the lambdas' parameters around an expression, outermost first.
type Around = Vec<SqlType>;

fn leaf(sql_type: SqlType, around: &Around) -> BoxedStrategy<Node> {
    let slot = TYPES.iter().position(|t| *t == sql_type);
    let param = around.iter().rev().position(|t| *t == sql_type);
    let literal = value(sql_type).prop_map(move |v| Node::literal(v, sql_type)).boxed();
    let column =
        slot.map_or(literal.clone(), |slot| Just(Node::new(NodeKind::Column(slot), sql_type)).boxed());
    let param = param.map_or(column.clone(), |depth| {
        Just(Node::new(NodeKind::Param { depth, index: 0 }, sql_type)).boxed()
    });
    prop_oneof![2 => column, 1 => literal, 2 => param].boxed()
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

fn pair(a: SqlType, b: SqlType, depth: u32, around: &Around) -> impl Strategy<Value = (Node, Node)> + use<> {
    (node(a, depth, around), node(b, depth, around))
}

fn any_type() -> impl Strategy<Value = SqlType> {
    proptest::sample::select(TYPES.clone())
}

fn number() -> impl Strategy<Value = SqlType> {
    proptest::sample::select(&NUMBERS[..])
}

fn compare(depth: u32, around: &Around) -> BoxedStrategy<Node> {
    use CompareOp as C;
    let pairs = prop_oneof![
        any_type().prop_map(|t| (t, t)),
        (number(), number()),
        Just((SqlType::Date, SqlType::Timestamp)),
    ];
    let ops = |ordered: bool| {
        let equality = [C::Equal, C::NotEqual, C::Distinct, C::NotDistinct];
        let order = [C::Less, C::LessOrEqual, C::Greater, C::GreaterOrEqual];
        let all: Vec<_> = equality.into_iter().chain(order.into_iter().filter(|_| ordered)).collect();
        proptest::sample::select(all)
    };
    let around = around.clone();
    pairs
        .prop_flat_map(move |(a, b)| {
            let ordered = !a.is_nested() && a != SqlType::Boolean;
            (ops(ordered), pair(a, b, depth, &around), any::<bool>())
        })
        .prop_map(|(op, (a, b), turn)| {
            let (left, right) = if turn { (boxed(b), boxed(a)) } else { (boxed(a), boxed(b)) };
            Node::new(NodeKind::Compare { op, left, right }, SqlType::Boolean)
        })
        .boxed()
}

fn boolean(depth: u32, around: &Around) -> BoxedStrategy<Node> {
    let make = |kind| Node::new(kind, SqlType::Boolean);
    let two = |sql_type| pair(sql_type, sql_type, depth, around);
    let (one, list) = (around.clone(), around.clone());
    let pattern = |v: &Node| match &v.kind {
        NodeKind::Literal(Datum::Varchar(text)) => like::Pattern::compile(text, Some('!')).ok(),
        _ => None,
    };
    prop_oneof![
        3 => compare(depth, around),
        1 => two(SqlType::Boolean).prop_map(move |(a, b)| make(NodeKind::And(boxed(a), boxed(b)))),
        1 => two(SqlType::Boolean).prop_map(move |(a, b)| make(NodeKind::Or(boxed(a), boxed(b)))),
        1 => node(SqlType::Boolean, depth, around).prop_map(move |a| make(NodeKind::Not(boxed(a)))),
        1 => any_type()
            .prop_flat_map(move |t| node(t, depth, &one))
            .prop_map(move |a| make(NodeKind::IsNull(boxed(a)))),
        1 => any_type()
            .prop_flat_map(move |t| {
                let literals = value(t).prop_map(move |v| Node::literal(v, t));
                let items = prop_oneof![literals, node(t, depth, &list)];
                (node(t, depth, &list), proptest::collection::vec(items, 1..4))
            })
            .prop_map(move |(operand, list)| make(NodeKind::In { list, operand: boxed(operand) })),
        1 => two(SqlType::Varchar).prop_map(move |(a, b)| {
            let compiled = pattern(&b);
            make(NodeKind::Like { operand: boxed(a), pattern: boxed(b), compiled, escape: Some('!') })
        }),
    ]
    .boxed()
}

/// Calls of values alone.
fn call(name: &'static str, args: Vec<Node>) -> Node {
    let types: Vec<_> = args.iter().map(|a| Some(a.sql_type)).collect();
    let resolved = function::scalar(name).unwrap().resolve(&types).unwrap();
    let args = args.into_iter().zip(resolved.args).map(|(arg, t)| arg.cast_to(t)).collect();
    Node::new(NodeKind::Call { call: resolved.call, args, lambdas: Vec::new() }, resolved.returns)
}

/// `EACH(array, x => …)`: the array with another value for each of its elements.
static EACH: ScalarFunction = ScalarFunction {
    name: "EACH",
    aliases: &[],
    doc: "",
    signatures: &[Signature {
        params: Params::Of(&[
            Param::Array(&Param::Generic('T')),
            Param::Lambda(&[Param::Generic('T')], &Param::Generic('U')),
        ]),
        returns: Returns::Of(Param::Array(&Param::Generic('U'))),
        body: Body::Lambda(each),
    }],
};

fn each<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let Some(Datum::Array(values)) = args.first() else { return Ok(Datum::Null) };
    let made: Result<Vec<_>, _> =
        values.iter().map(|value| lambdas.call(0, std::slice::from_ref(value))).collect();
    Ok(Datum::Array(made?.into()))
}

fn each_call(array: Node, body: Node) -> Node {
    let args = [Argument::Value(Some(array.sql_type)), Argument::Lambda(1)];
    let resolved = EACH.resolve_with::<()>(&args, &mut |_, _| Ok(body.sql_type)).unwrap();
    let kind = NodeKind::Call { call: resolved.call, args: vec![array], lambdas: vec![body] };
    Node::new(kind, resolved.returns)
}

/// Nodes that only one kind of type has.
fn own(sql_type: SqlType, depth: u32, around: &Around) -> BoxedStrategy<Node> {
    match sql_type {
        SqlType::Boolean => boolean(depth, around),
        SqlType::Varchar => prop_oneof![
            pair(sql_type, sql_type, depth, around)
                .prop_map(move |(a, b)| Node::new(NodeKind::Concat(boxed(a), boxed(b)), sql_type)),
            node(sql_type, depth, around).prop_map(|a| call("UCASE", vec![a])),
            node(TYPES[13], depth, around)
                .prop_map(move |a| Node::new(NodeKind::Field { operand: boxed(a), place: 1 }, sql_type)),
        ]
        .boxed(),
        SqlType::Array(element) if *element == SqlType::Int => {
            let mut inner = around.clone();
            inner.push(*element);
            prop_oneof![
                proptest::collection::vec(node(*element, depth, around), 1..4)
                    .prop_map(move |nodes| Node::new(NodeKind::Array(nodes), sql_type)),
                (node(sql_type, depth, around), node(*element, depth, &inner))
                    .prop_map(|(array, body)| each_call(array, body)),
            ]
            .boxed()
        }
        SqlType::Map(key, of) => {
            let entry = (node(*key, depth, around), node(*of, depth, around));
            proptest::collection::vec(entry, 1..3)
                .prop_map(move |entries| Node::new(NodeKind::Map(entries), sql_type))
                .boxed()
        }
        SqlType::Struct(fields) => fields
            .iter()
            .map(|field| node(field.sql_type, depth, around))
            .collect::<Vec<_>>()
            .prop_map(move |nodes| Node::new(NodeKind::Struct(nodes), sql_type))
            .boxed(),
        number if number.is_numeric() => arithmetic_of(number, depth, around),
        other => leaf(other, around),
    }
}

fn arithmetic_of(sql_type: SqlType, depth: u32, around: &Around) -> BoxedStrategy<Node> {
    use ArithmeticOp as A;
    let op = proptest::sample::select(vec![A::Add, A::Subtract, A::Multiply, A::Divide, A::Modulo]);
    // Whole numbers and doubles with their like, decimals with any exact number.
    let exact: Vec<SqlType> = match sql_type {
        SqlType::Decimal { .. } => vec![SqlType::Int, SqlType::BigInt, MONEY, LONG],
        other => vec![other],
    };
    let other = around.clone();
    let sum = (op, proptest::sample::select(exact))
        .prop_flat_map(move |(op, right)| (Just(op), pair(sql_type, right, depth, &other)))
        .prop_map(move |(op, (a, b))| {
            let result = arithmetic::result_type(op, a.sql_type, b.sql_type).unwrap();
            let kind = NodeKind::Arithmetic { op, left: boxed(a), right: boxed(b) };
            Node::new(kind, result).cast_to(sql_type)
        });
    let negated =
        node(sql_type, depth, around).prop_map(move |a| Node::new(NodeKind::Negate(boxed(a)), sql_type));
    let part: BoxedStrategy<Node> = match sql_type {
        SqlType::Int => prop_oneof![
            node(TYPES[13], depth, around)
                .prop_map(move |a| Node::new(NodeKind::Field { operand: boxed(a), place: 0 }, sql_type)),
            (node(TYPES[11], depth, around), node(SqlType::BigInt, depth, around)).prop_map(move |(a, i)| {
                Node::new(NodeKind::Index { operand: boxed(a), index: boxed(i) }, sql_type)
            }),
        ]
        .boxed(),
        SqlType::BigInt => (node(TYPES[12], depth, around), node(SqlType::Varchar, depth, around))
            .prop_map(move |(a, i)| {
                Node::new(NodeKind::Index { operand: boxed(a), index: boxed(i) }, sql_type)
            })
            .boxed(),
        SqlType::Double => node(sql_type, depth, around).prop_map(|a| call("SQRT", vec![a])).boxed(),
        other => leaf(other, around),
    };
    prop_oneof![3 => sum, 1 => negated, 1 => part].boxed()
}

fn node(sql_type: SqlType, depth: u32, around: &Around) -> BoxedStrategy<Node> {
    if depth == 0 {
        return leaf(sql_type, around);
    }
    let depth = depth - 1;
    let (for_cast, for_case) = (around.clone(), around.clone());
    let cast = any_type()
        .prop_filter("a cast that exists", move |from| cast::exists(*from, sql_type) && *from != sql_type)
        .prop_flat_map(move |from| node(from, depth, &for_cast))
        .prop_map(move |a| Node::new(NodeKind::Cast(boxed(a)), sql_type));
    let cast: BoxedStrategy<Node> = if sql_type.is_nested() || sql_type == SqlType::Bytes {
        leaf(sql_type, around)
    } else {
        cast.boxed()
    };
    let case = (
        pair(SqlType::Boolean, SqlType::Boolean, depth, &for_case),
        pair(sql_type, sql_type, depth, &for_case),
        proptest::option::of(node(sql_type, depth, &for_case)),
    )
        .prop_map(move |((a, b), (x, y), otherwise)| {
            let branches = vec![(a, x), (b, y)];
            Node::new(NodeKind::Case { branches, otherwise: otherwise.map(boxed) }, sql_type)
        });
    let coalesce = pair(sql_type, sql_type, depth, around).prop_map(|(a, b)| call("COALESCE", vec![a, b]));
    prop_oneof![
        1 => leaf(sql_type, around),
        4 => own(sql_type, depth, around),
        1 => cast,
        1 => case,
        1 => coalesce,
    ]
    .boxed()
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
        node in any_type().prop_flat_map(|t| node(t, 3, &Vec::new())),
    ) {
        let (mut by_row, mut by_column) = (Vec::new(), Vec::new());
        let rows = node.by_row(&batch, &mut |row, fault| by_row.push((row, fault)));
        let columns = node.by_column(&batch, &mut |row, fault| by_column.push((row, fault)));
        prop_assert_eq!(outcome(&rows, &by_row), outcome(&columns, &by_column), "{:?}", node);
        prop_assert_eq!(rows.sql_type(), node.sql_type);
        prop_assert!((0..rows.len()).all(|row| rows.datum(row).is_of(node.sql_type)));
        if !node.can_fail {
            prop_assert!(by_row.is_empty());
        }
        // What is made of literals is the same before and after it is computed once and for all.
        let folded = node.clone().folded();
        let again = folded.by_row(&batch, &mut |_, _| {});
        prop_assert_eq!(outcome(&rows, &[]), outcome(&again, &[]));
    }
}

/// A lambda that calls itself too often, in effect: arrays over arrays over arrays.
#[test]
fn lambdas_are_called_a_bounded_number_of_times() {
    let array = Datum::Array((0..1_000).map(Datum::Int).collect());
    let of_ints = SqlType::array(SqlType::Int);
    let literal = || Node::literal(array.clone(), of_ints);
    let mut body = Node::literal(Datum::Int(1), SqlType::Int);
    for _ in 0..3 {
        let call = each_call(literal(), body);
        body = Node::new(NodeKind::IsNull(boxed(call)), SqlType::Boolean);
    }
    let batch = Batch::one(0);
    let found = body.at(&batch, 0);
    assert!(matches!(found, Err(Fault::TooLarge(_))), "{found:?}");
}

#[test]
fn texts_do_not_grow_without_end() {
    let mut text = Node::literal(Datum::Varchar(Cow::Borrowed("0123456789")), SqlType::Varchar);
    for _ in 0..40 {
        text = Node::new(NodeKind::Concat(boxed(text.clone()), boxed(text)), SqlType::Varchar).folded();
        if !matches!(text.kind, NodeKind::Literal(_)) {
            break;
        }
    }
    let batch = Batch::one(0);
    assert!(matches!(text.at(&batch, 0), Err(Fault::TooLarge(_))));
}
