//! What the guard lets through and what it refuses.

use super::*;
use millstream_model::{DataType, TagType};
use proptest::prelude::*;

const EPOCH: i64 = 1_700_000_000_000;

fn now() -> Now {
    Now { wall: Timestamp(EPOCH), monotonic: Instant::now() }
}

fn later(now: Now, by: Duration) -> Now {
    Now { wall: now.wall.plus(by), monotonic: now.monotonic + by }
}

fn rule(data_type: DataType) -> WriteRule {
    WriteRule::new(TagSpec::new("t", "address"), TagType::scalar(data_type))
}

fn request(id: &str, tag: &str, value: Value) -> WriteRequest {
    WriteRequest {
        id: id.into(),
        origin: Origin::CommandLine { user: "tester".to_owned() },
        tag: tag.into(),
        value,
        asked_at: Timestamp(EPOCH),
        expires_at: None,
    }
}

/// Both gates for one value; the raw value or the code.
#[expect(clippy::needless_pass_by_value, reason = "literals read better at the calls")]
fn ask(rule: &WriteRule, value: Value, old: Option<Value>) -> Result<Value, &'static str> {
    let mut guard = Guard::new([rule.clone()]);
    let now = now();
    let candidates = guard.screen(now, vec![request("1", "t", value)]);
    let candidates = candidates.into_iter().map(Result::unwrap).collect();
    let checked = guard.check(now, candidates, |_| old.clone());
    assert_eq!(checked.permit.writes().len() + checked.refused.len(), 1);
    assert_eq!(checked.permit.writes().len(), checked.allowed.len());
    match checked.permit.writes().first() {
        Some(write) => Ok(write.value.clone()),
        None => Err(checked.refused[0].code),
    }
}

#[test]
fn values_become_the_type_of_the_address_or_are_refused() {
    use DataType as T;
    let wrong = Err(code::WRONG_TYPE);
    for (data_type, value, expected) in [
        (T::Bool, Value::Bool(true), Ok(Value::Bool(true))),
        (T::Bool, Value::Int(1), wrong.clone()),
        (T::Bool, Value::Text("true".into()), wrong.clone()),
        (T::Int, Value::Int(-32_768), Ok(Value::Int(-32_768))),
        (T::Int, Value::Int(32_768), wrong.clone()),
        (T::Int, Value::Int(-32_769), wrong.clone()),
        (T::Int, Value::LReal(12.0), Ok(Value::Int(12))),
        (T::Int, Value::LReal(12.5), wrong.clone()),
        (T::Int, Value::LReal(f64::NAN), wrong.clone()),
        (T::Int, Value::LReal(f64::INFINITY), wrong.clone()),
        (T::Int, Value::LReal(1e300), wrong.clone()),
        (T::Int, Value::Bool(true), wrong.clone()),
        (T::Int, Value::Text("12".into()), wrong.clone()),
        (T::Int, Value::List(vec![Value::Int(1)]), wrong.clone()),
        (T::SInt, Value::Int(-129), wrong.clone()),
        (T::USInt, Value::Int(255), Ok(Value::UInt(255))),
        (T::Byte, Value::Int(256), wrong.clone()),
        (T::Word, Value::Int(-1), wrong.clone()),
        (T::UInt, Value::UInt(65_535), Ok(Value::UInt(65_535))),
        (T::UInt, Value::UInt(65_536), wrong.clone()),
        (T::DInt, Value::Int(i64::from(i32::MIN)), Ok(Value::Int(i64::from(i32::MIN)))),
        (T::UDInt, Value::Int(4_294_967_296), wrong.clone()),
        (T::LInt, Value::Int(i64::MIN), Ok(Value::Int(i64::MIN))),
        (T::LInt, Value::UInt(u64::MAX), wrong.clone()),
        (T::LInt, Value::LReal(9_223_372_036_854_775_808.0), wrong.clone()),
        (T::ULInt, Value::UInt(u64::MAX), Ok(Value::UInt(u64::MAX))),
        (T::ULInt, Value::Int(-1), wrong.clone()),
        (T::Real, Value::LReal(0.1), Ok(Value::Real(0.1))),
        (T::Real, Value::Int(3), Ok(Value::Real(3.0))),
        (T::Real, Value::LReal(1e39), wrong.clone()),
        (T::Real, Value::Real(f32::NAN), wrong.clone()),
        (T::LReal, Value::LReal(1e39), Ok(Value::LReal(1e39))),
        (T::LReal, Value::LReal(f64::NEG_INFINITY), wrong.clone()),
        (T::Char, Value::Text("x".into()), Ok(Value::Text("x".into()))),
        (T::Char, Value::Text("xy".into()), wrong.clone()),
        (T::String, Value::Text("hello".into()), Ok(Value::Text("hello".into()))),
        (T::String, Value::Int(1), wrong.clone()),
        (T::Raw, Value::Bytes([1].into()), Ok(Value::Bytes([1].into()))),
    ] {
        assert_eq!(ask(&rule(data_type), value.clone(), None), expected, "{value:?} as {data_type}");
    }
}

#[test]
fn arrays_need_their_length_and_every_element_counts() {
    let array = |count| WriteRule {
        tag_type: TagType { data_type: DataType::Int, count: Some(count) },
        max: Some(10.0),
        max_step: Some(2.0),
        ..rule(DataType::Int)
    };
    let list = |items: &[i64]| Value::List(items.iter().copied().map(Value::Int).collect());
    let old = Some(list(&[1, 2, 3]));
    assert_eq!(ask(&array(3), list(&[2, 3, 4]), old.clone()), Ok(list(&[2, 3, 4])));
    assert_eq!(ask(&array(3), list(&[2, 3]), old.clone()), Err(code::WRONG_TYPE));
    assert_eq!(ask(&array(3), Value::Int(2), old.clone()), Err(code::WRONG_TYPE));
    assert_eq!(ask(&array(3), list(&[2, 3, 11]), old.clone()), Err(code::OUT_OF_RANGE));
    assert_eq!(ask(&array(3), list(&[2, 3, 6]), old), Err(code::STEP));
    assert_eq!(ask(&array(3), list(&[2, 3, 4]), Some(list(&[2, 3]))), Err(code::STEP));
    let raw =
        WriteRule { tag_type: TagType { data_type: DataType::Raw, count: Some(3) }, ..rule(DataType::Raw) };
    assert_eq!(ask(&raw, Value::Bytes([1, 2, 3].into()), None), Ok(Value::Bytes([1, 2, 3].into())));
    assert_eq!(ask(&raw, Value::Bytes([1, 2].into()), None), Err(code::WRONG_TYPE));
}

#[test]
fn limits_include_their_ends_and_a_broken_limit_allows_nothing() {
    let limited = WriteRule { min: Some(20.0), max: Some(90.0), ..rule(DataType::Real) };
    for (value, fits) in [(20.0, true), (90.0, true), (19.999, false), (90.001, false), (55.5, true)] {
        assert_eq!(ask(&limited, Value::LReal(value), None).is_ok(), fits, "{value}");
    }
    // 0.1 as REAL is a little above 0.1: that is round-off, not a violation.
    let tenth = WriteRule { min: Some(0.1), max: Some(0.1), ..rule(DataType::Real) };
    assert_eq!(ask(&tenth, Value::LReal(0.1), None), Ok(Value::Real(0.1)));
    let broken = WriteRule { max: Some(f64::NAN), ..rule(DataType::Real) };
    assert_eq!(ask(&broken, Value::LReal(1.0), None), Err(code::OUT_OF_RANGE));
    let text = WriteRule { max: Some(1.0), ..rule(DataType::String) };
    assert_eq!(ask(&text, Value::Text("x".into()), None), Err(code::WRONG_TYPE));
    let switch = WriteRule { max: Some(0.0), ..rule(DataType::Bool) };
    assert_eq!(ask(&switch, Value::Bool(false), None), Ok(Value::Bool(false)));
    assert_eq!(ask(&switch, Value::Bool(true), None), Err(code::OUT_OF_RANGE));
}

#[test]
fn scaling_goes_back_to_the_nearest_raw_value_within_the_limits() {
    let scaled =
        WriteRule { scale: 0.1, offset: -40.0, min: Some(-40.0), max: Some(100.0), ..rule(DataType::UInt) };
    assert_eq!(ask(&scaled, Value::LReal(25.5), None), Ok(Value::UInt(655)));
    assert_eq!(ask(&scaled, Value::Int(100), None), Ok(Value::UInt(1400)));
    assert_eq!(ask(&scaled, Value::LReal(25.54), None), Ok(Value::UInt(655)));
    assert_eq!(ask(&scaled, Value::LReal(100.01), None), Err(code::OUT_OF_RANGE));
    // The nearest raw value lies outside although the asked one does not.
    let narrow = WriteRule { scale: 0.1, max: Some(90.06), ..rule(DataType::Int) };
    assert_eq!(ask(&narrow, Value::LReal(90.06), None), Err(code::OUT_OF_RANGE));
    let beyond = WriteRule { scale: 0.001, ..rule(DataType::Int) };
    assert_eq!(ask(&beyond, Value::LReal(33.0), None), Err(code::WRONG_TYPE));
    let zero = WriteRule { scale: 0.0, ..rule(DataType::Int) };
    assert_eq!(ask(&zero, Value::LReal(33.0), None), Err(code::WRONG_TYPE));
}

#[test]
fn steps_are_in_engineering_values() {
    let stepped = WriteRule { scale: 0.1, max_step: Some(5.0), ..rule(DataType::Int) };
    let at = |raw| Some(Value::Int(raw));
    assert_eq!(ask(&stepped, Value::LReal(25.0), at(200)), Ok(Value::Int(250)));
    assert_eq!(ask(&stepped, Value::LReal(15.0), at(200)), Ok(Value::Int(150)));
    assert_eq!(ask(&stepped, Value::LReal(25.1), at(200)), Err(code::STEP));
    assert_eq!(ask(&stepped, Value::LReal(25.0), None), Err(code::STEP));
    let real = WriteRule { max_step: Some(5.0), ..rule(DataType::Real) };
    assert_eq!(ask(&real, Value::LReal(1.0), Some(Value::Real(f32::NAN))), Err(code::STEP));
    assert_eq!(ask(&real, Value::LReal(1.0), Some(Value::Text("?".into()))), Err(code::STEP));
    let broken = WriteRule { max_step: Some(f64::NAN), ..rule(DataType::Real) };
    assert_eq!(ask(&broken, Value::LReal(1.0), Some(Value::Real(1.0))), Err(code::STEP));
}

/// The code for a command of this age under the default `max_age`, or its time left.
fn age(asked_at: i64, expires_at: Option<i64>, waited: Duration) -> Result<Duration, &'static str> {
    let mut guard = Guard::new([rule(DataType::Real)]);
    let arrived = now();
    let asked = WriteRequest {
        asked_at: Timestamp(EPOCH + asked_at),
        expires_at: expires_at.map(|at| Timestamp(EPOCH + at)),
        ..request("1", "t", Value::LReal(1.0))
    };
    let candidate = guard.screen(arrived, vec![asked]).remove(0).unwrap();
    // The wall clock stands still while the command waits.
    let now = Now { monotonic: arrived.monotonic + waited, ..arrived };
    let left = guard.time_left(now, &candidate);
    let checked = guard.check(now, vec![candidate], |_| None);
    let Some(write) = checked.permit.writes().first() else {
        assert_eq!(left, None);
        return Err(checked.refused[0].code);
    };
    assert!(write.is_good(now.monotonic));
    assert!(write.good_until <= now.monotonic + limits::PERMIT_LIFETIME);
    Ok(left.unwrap())
}

#[test]
fn commands_have_an_age_and_an_end() {
    let max = i64::try_from(limits::MAX_AGE.as_millis()).unwrap();
    let zero = Duration::ZERO;
    assert_eq!(age(0, None, zero), Ok(limits::MAX_AGE));
    assert_eq!(age(-max, None, zero), Ok(zero));
    assert_eq!(age(-max - 1, None, zero), Err(code::TOO_OLD));
    assert_eq!(age(0, Some(0), zero), Err(code::TOO_OLD));
    assert_eq!(age(0, Some(-1), zero), Err(code::TOO_OLD));
    assert_eq!(age(0, Some(1), zero), Ok(Duration::from_millis(1)));
    assert_eq!(age(5000, None, zero), Ok(limits::MAX_AGE), "clocks differ a little");
    assert_eq!(age(5001, None, zero), Err(code::TOO_OLD), "but not that much");
    assert_eq!(
        age(0, None, limits::MAX_AGE + Duration::from_millis(1)),
        Err(code::TOO_OLD),
        "a stopped wall clock"
    );
    assert_eq!(age(i64::MIN, None, zero), Err(code::TOO_OLD));
    assert_eq!(age(i64::MAX - EPOCH, None, zero), Err(code::TOO_OLD));
}

#[test]
fn a_permit_does_not_outlive_its_command() {
    let mut guard = Guard::new([rule(DataType::Real)]);
    let now = now();
    let asked =
        WriteRequest { expires_at: Some(Timestamp(EPOCH + 100)), ..request("1", "t", Value::LReal(1.0)) };
    let candidates = guard.screen(now, vec![asked]).into_iter().map(Result::unwrap).collect();
    let mut permit = guard.check(now, candidates, |_| None).permit;
    assert!(permit.expire(now.monotonic + Duration::from_millis(100)).is_empty());
    let expired = permit.expire(now.monotonic + Duration::from_millis(101));
    assert_eq!(expired.into_iter().collect::<Vec<_>>(), [Arc::from("t")]);
    assert!(permit.writes().is_empty());
}

fn write_at(guard: &mut Guard, now: Now, id: &str) -> Result<(), &'static str> {
    let asked = WriteRequest { asked_at: now.wall, ..request(id, "t", Value::LReal(1.0)) };
    let candidates = guard.screen(now, vec![asked]).into_iter().map(Result::unwrap).collect();
    let checked = guard.check(now, candidates, |_| None);
    checked.refused.first().map_or(Ok(()), |refusal| Err(refusal.code))
}

#[test]
fn intervals_are_monotonic_and_start_with_what_was_sent() {
    let mut guard =
        Guard::new([WriteRule { min_interval: Some(Duration::from_secs(1)), ..rule(DataType::Real) }]);
    let start = now();
    assert_eq!(write_at(&mut guard, start, "1"), Ok(()));
    guard.settle(start, "t", Settlement::Written);
    let soon = later(start, Duration::from_millis(999));
    assert_eq!(write_at(&mut guard, soon, "2"), Err(code::TOO_SOON));
    // The wall clock jumps by a day in either direction: nothing changes.
    for jump in [86_400_000, -86_400_000] {
        let jumped = Now { wall: Timestamp(EPOCH + jump), ..soon };
        assert_eq!(write_at(&mut guard, jumped, &format!("j{jump}")), Err(code::TOO_SOON));
    }
    let due = later(start, Duration::from_secs(1));
    assert_eq!(write_at(&mut guard, due, "3"), Ok(()));
    guard.settle(due, "t", Settlement::NotSent);
    assert_eq!(write_at(&mut guard, due, "4"), Ok(()), "what was not sent starts no interval");
}

#[test]
fn failures_in_a_row_latch_until_rearmed() {
    let mut guard = Guard::new([rule(DataType::Real)]);
    let now = now();
    for round in 0..limits::LATCH_FAILURES {
        assert!(!guard.is_latched("t"));
        assert_eq!(write_at(&mut guard, now, &format!("a{round}")), Ok(()));
        guard.settle(now, "t", Settlement::Failed);
    }
    assert_eq!(write_at(&mut guard, now, "b"), Err(code::LATCHED));
    let latch = Latch { tag: "t".into(), failures: limits::LATCH_FAILURES, since: now.wall };
    assert_eq!(guard.latched(), [latch]);
    assert!(guard.rearm("t"));
    assert_eq!(guard.latched(), []);
    assert!(!guard.rearm("t"));
    assert!(!guard.rearm("nobody"));
    for round in 0..limits::LATCH_FAILURES * 3 {
        assert_eq!(write_at(&mut guard, now, &format!("c{round}")), Ok(()));
        let ok = round % 2 == 0;
        guard.settle(now, "t", if ok { Settlement::Written } else { Settlement::Failed });
    }
    assert!(!guard.is_latched("t"), "failures that are not in a row do not latch");
}

#[test]
fn screening_refuses_strangers_repeats_and_all_but_the_newest() {
    let mut guard =
        Guard::new([rule(DataType::Real), WriteRule { tag: TagSpec::new("u", "x"), ..rule(DataType::Real) }]);
    let ask = |id: &str, tag: &str| request(id, tag, Value::LReal(1.0));
    let codes = |answers: Vec<Result<Candidate, Refusal>>| -> Vec<&'static str> {
        answers.iter().map(|answer| answer.as_ref().map_or_else(|refusal| refusal.code, |_| "ok")).collect()
    };
    let now = now();
    let first = vec![ask("1", "t"), ask("1", "u"), ask("2", "v"), ask("3", "t")];
    assert_eq!(codes(guard.screen(now, first)), [code::SUPERSEDED, "ok", code::NOT_ALLOWED, "ok"]);
    let again = vec![ask("1", "t"), ask("1", "u"), ask("3", "t"), ask("4", "t")];
    let repeated = [code::DUPLICATE, code::DUPLICATE, code::DUPLICATE, "ok"];
    assert_eq!(codes(guard.screen(now, again)), repeated, "a superseded command does not come back, either");
    guard.forget(&ask("4", "t"));
    assert_eq!(codes(guard.screen(now, vec![ask("4", "t")])), ["ok"]);
}

#[test]
fn candidates_of_two_screenings_are_superseded_too() {
    let mut guard = Guard::new([rule(DataType::Real)]);
    let now = now();
    let mut candidates = Vec::new();
    for (id, value) in [("1", 1.0), ("2", 2.0)] {
        candidates.extend(
            guard.screen(now, vec![request(id, "t", Value::LReal(value))]).into_iter().map(Result::unwrap),
        );
    }
    let checked = guard.check(now, candidates, |_| None);
    assert_eq!(checked.permit.writes()[0].value, Value::Real(2.0));
    assert_eq!(checked.permit.writes().len(), 1);
    assert_eq!(checked.refused[0].code, code::SUPERSEDED);
}

#[test]
fn memory_of_commands_is_bounded() {
    let mut guard = Guard::new([rule(DataType::Real)]);
    let now = now();
    let pass = |guard: &mut Guard, id: usize| {
        guard.screen(now, vec![request(&id.to_string(), "t", Value::LReal(1.0))])[0].is_ok()
    };
    for id in 0..limits::SEEN_IDS * 3 {
        assert!(pass(&mut guard, id));
    }
    assert!(!pass(&mut guard, limits::SEEN_IDS * 2), "the last ones are remembered");
    assert!(pass(&mut guard, limits::SEEN_IDS * 2 - 1), "older ones are not: their age refuses them");
}

#[test]
fn a_value_read_back_confirms_by_its_bits() {
    let confirmed = |rule: &WriteRule, asked: Value, raw: Value| {
        Guard::new([rule.clone()]).is_confirmed_by(&request("1", "t", asked), &raw)
    };
    let real = rule(DataType::Real);
    assert!(confirmed(&real, Value::LReal(0.1), Value::Real(0.1)));
    assert!(!confirmed(&real, Value::LReal(0.1), Value::Real(0.1_f32.next_up())));
    assert!(confirmed(&real, Value::LReal(0.0), Value::Real(-0.0)));
    assert!(!confirmed(&real, Value::LReal(0.1), Value::LReal(0.1)), "another type is another value");
    let text = rule(DataType::String);
    assert!(confirmed(&text, Value::Text("ab".into()), Value::Text("ab\0\0".into())));
    assert!(!confirmed(&text, Value::Text("ab".into()), Value::Text("abc".into())));
    let scaled = WriteRule { scale: 0.1, ..rule(DataType::Int) };
    assert!(confirmed(&scaled, Value::LReal(25.54), Value::Int(255)));
    assert!(!confirmed(&scaled, Value::LReal(25.54), Value::Int(256)));
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<f64>(),
        -200.0..200.0_f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200..200_i64).prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<f32>().prop_map(Value::Real),
        number.prop_map(Value::LReal),
        ".{0,4}".prop_map(|text| Value::Text(text.into())),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(1, 4, 4, |leaf| proptest::collection::vec(leaf, 0..4).prop_map(Value::List))
}

fn any_rule() -> impl Strategy<Value = WriteRule> {
    let limit = || proptest::option::weighted(0.8, -150.0..150.0_f64);
    let scale = prop_oneof![
        Just(1.0),
        Just(0.1),
        Just(0.01),
        Just(-2.5),
        Just(0.0),
        Just(f64::NAN),
        0.001..1000.0_f64
    ];
    let offset = prop_oneof![Just(0.0), -100.0..100.0_f64];
    (
        proptest::sample::select(DataType::ALL),
        proptest::option::weighted(0.2, 1..3_u32),
        (scale, offset),
        (limit(), limit()),
        proptest::option::of(0.0..50.0_f64),
    )
        .prop_map(|(data_type, count, (scale, offset), (min, max), max_step)| WriteRule {
            tag_type: TagType { data_type, count },
            scale,
            offset,
            min,
            max,
            max_step,
            ..rule(data_type)
        })
}

fn flat(value: &Value) -> Vec<Value> {
    if let Value::List(items) = value { items.clone() } else { vec![value.clone()] }
}

fn as_number(value: &Value) -> Option<f64> {
    value.as_bool().map(f64::from).or_else(|| value.as_f64())
}

/// The bounds of an integer type, told apart from the guard's own table.
fn integer_bounds(data_type: DataType) -> Option<(f64, f64)> {
    use DataType as T;
    let signed = matches!(data_type, T::SInt | T::Int | T::DInt | T::LInt);
    let unsigned = matches!(
        data_type,
        T::Byte | T::Word | T::DWord | T::LWord | T::USInt | T::UInt | T::UDInt | T::ULInt
    );
    let full = 2_f64.powi(i32::try_from(data_type.bits()).unwrap());
    if signed { Some((-full / 2.0, full / 2.0)) } else { unsigned.then_some((0.0, full)) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_permit_never_holds_a_value_out_of_its_rule(rule in any_rule(), value in any_value(), old in proptest::option::of(any_value())) {
        let Ok(raw) = ask(&rule, value.clone(), old.clone()) else { return Ok(()) };
        // The shape of the address.
        match rule.tag_type.count {
            Some(count) if rule.tag_type.data_type == DataType::Raw && matches!(raw, Value::Bytes(_)) => {
                let Value::Bytes(bytes) = &raw else { unreachable!() };
                prop_assert_eq!(u32::try_from(bytes.len()), Ok(count));
            }
            Some(count) => prop_assert_eq!(u32::try_from(flat(&raw).len()), Ok(count)),
            None => prop_assert!(!matches!(raw, Value::List(_))),
        }
        for element in flat(&raw) {
            // Of the type, within the type.
            if let Some((low, high)) = integer_bounds(rule.tag_type.data_type) {
                let number = element.as_f64().unwrap();
                prop_assert!(number >= low && number <= high, "{number} {}", rule.tag_type);
                prop_assert!(matches!(element, Value::Int(_) | Value::UInt(_)));
            }
            if let Some(number) = element.as_f64() {
                prop_assert!(number.is_finite());
                // Within the limits, but for the precision of the type.
                let engineering = number * rule.scale + rule.offset;
                let slack = (engineering.abs() + rule.offset.abs() + 1.0) * 1e-6;
                prop_assert!(rule.min.is_none_or(|min| engineering >= min - slack), "{engineering} {rule:?}");
                prop_assert!(rule.max.is_none_or(|max| engineering <= max + slack), "{engineering} {rule:?}");
            }
        }
        for (asked, index) in flat(&value).iter().zip(0..) {
            let Some(asked) = as_number(asked) else { continue };
            prop_assert!(rule.min.is_none_or(|min| asked >= min));
            prop_assert!(rule.max.is_none_or(|max| asked <= max));
            if let Some(max_step) = rule.max_step {
                let old = as_number(&flat(old.as_ref().unwrap())[index]).unwrap();
                let old = if rule.is_scaled() { old * rule.scale + rule.offset } else { old };
                prop_assert!((asked - old).abs() <= max_step + (asked.abs() + old.abs() + 1.0) * 1e-6);
            }
        }
    }

    #[test]
    fn one_tag_is_in_a_permit_once_and_the_last_one_wins(ids in proptest::collection::vec((0..6_u8, 0..3_u8), 1..20)) {
        let rules = ["t0", "t1", "t2"].map(|tag| WriteRule { tag: TagSpec::new(tag, "a"), ..rule(DataType::Real) });
        let mut guard = Guard::new(rules);
        let now = now();
        let requests: Vec<WriteRequest> = ids
            .iter()
            .enumerate()
            .map(|(n, (id, tag))| request(&id.to_string(), &format!("t{tag}"), Value::LReal(f64::from(u32::try_from(n).unwrap()))))
            .collect();
        let answers = guard.screen(now, requests.clone());
        prop_assert_eq!(answers.len(), requests.len());
        let candidates: Vec<Candidate> = answers.into_iter().filter_map(Result::ok).collect();
        let checked = guard.check(now, candidates, |_| None);
        for tag in ["t0", "t1", "t2"] {
            let newest = requests.iter().rev().find(|request| &*request.tag == tag);
            let allowed = checked.allowed.iter().map(Candidate::request);
            let written: Vec<_> = allowed.filter(|request| &*request.tag == tag).collect();
            prop_assert_eq!(written.len(), usize::from(newest.is_some()));
            prop_assert_eq!(written.first().copied(), newest);
        }
    }
}
