//! Functions with lambdas; the lambdas here are Rust's.

use super::*;

type Run<'r> = dyn FnMut(usize, &[Datum<'static>]) -> Result<Datum<'static>, Fault> + 'r;

/// Calls a function whose lambdas are computed by `run`, of these result types.
fn call_with(
    name: &str,
    args: &[Datum<'static>],
    lambdas: &[(usize, SqlType)],
    run: &mut Run<'_>,
) -> Result<Datum<'static>, Fault> {
    let values = args.iter().map(|arg| Argument::Value(type_of(arg)));
    let arguments: Vec<_> = values.chain(lambdas.iter().map(|(count, _)| Argument::Lambda(*count))).collect();
    let mut results = lambdas.iter().map(|(_, result)| *result);
    let resolved =
        scalar(name).unwrap().resolve_with::<()>(&arguments, &mut |_, _| results.next().ok_or(())).unwrap();
    let value = resolved.call.apply(args, &mut Lambdas::new(run))?;
    assert!(value.is_of(resolved.returns), "{name}: {value:?} is no {}", resolved.returns);
    Ok(value)
}

fn int(value: &Datum<'_>) -> i32 {
    if let Datum::Int(value) = value { *value } else { 0 }
}

#[test]
fn transform_makes_new_elements_and_entries() {
    let text = [(1, SqlType::Varchar)];
    let made =
        call_with("TRANSFORM", &[arr([i(1), N])], &text, &mut |_, args| Ok(t(&format!("<{}>", args[0]))));
    assert_eq!(made, Ok(arr([t("<1>"), t("<null>")])));
    let both = [(2, SqlType::Varchar), (2, SqlType::Int)];
    let mut run = |index: usize, args: &[Datum<'static>]| {
        Ok(if index == 0 { t(&format!("{}!", args[0])) } else { i(int(&args[1]) * 2) })
    };
    let made = call_with("TRANSFORM", &[map([("a", i(1)), ("b", i(2))])], &both, &mut run);
    assert_eq!(made, Ok(map([("a!", i(2)), ("b!", i(4))])));
    let same = call_with("TRANSFORM", &[map([("a", i(1)), ("b", i(2))])], &both, &mut |_, _| Ok(t("x")));
    assert_eq!(same.unwrap_err().to_string(), "TRANSFORM: two keys became 'x'");
    assert_eq!(call_with("TRANSFORM", &[N], &text, &mut |_, _| Ok(t("x"))), Ok(N));
}

#[test]
fn filter_keeps_what_is_true() {
    let truth = [(1, SqlType::Boolean)];
    let mut odd = |_: usize, args: &[Datum<'static>]| {
        Ok(if args[0].is_null() { N } else { yes(int(&args[0]) % 2 == 1) })
    };
    assert_eq!(call_with("FILTER", &[arr([i(1), i(2), N, i(3)])], &truth, &mut odd), Ok(arr([i(1), i(3)])));
    let pair = [(2, SqlType::Boolean)];
    let kept = call_with("FILTER", &[map([("a", i(1)), ("b", i(2))])], &pair, &mut |_, args| {
        Ok(yes(int(&args[1]) > 1))
    });
    assert_eq!(kept, Ok(map([("b", i(2))])));
}

#[test]
fn reduce_goes_over_all_elements() {
    let state = [(2, SqlType::Int)];
    let mut add = |_: usize, args: &[Datum<'static>]| Ok(i(int(&args[0]) + int(&args[1])));
    assert_eq!(call_with("REDUCE", &[arr([i(1), i(2), i(3)]), i(10)], &state, &mut add), Ok(i(16)));
    assert_eq!(call_with("REDUCE", &[arr([]), i(10)], &state, &mut add), Ok(i(10)));
    assert_eq!(call_with("REDUCE", &[arr([i(1)]), N], &state, &mut add), Ok(N));
    let entry = [(3, SqlType::Int)];
    let sum = call_with("REDUCE", &[map([("a", i(1)), ("b", i(2))]), i(0)], &entry, &mut |_, args| {
        Ok(i(int(&args[0]) + int(&args[2])))
    });
    assert_eq!(sum, Ok(i(3)));
    let fault = call_with("REDUCE", &[arr([i(1)]), i(1)], &state, &mut |_, _| Err(Fault::DivisionByZero));
    assert_eq!(fault, Err(Fault::DivisionByZero));
}

#[test]
fn what_a_lambda_builds_does_not_grow_without_limit() {
    let state = [(2, SqlType::Varchar)];
    let doubled = call_with("REDUCE", &[arr([0; 64].map(i)), t("x")], &state, &mut |_, args| {
        Ok(t(&args[0].as_str().unwrap_or_default().repeat(2)))
    });
    assert!(doubled.unwrap_err().to_string().contains("more than"));
}
