//! Signals over time.

use super::*;
use crate::simulate::{Follow, SIGNAL_OPTIONS};
use millstream_model::Options;
use proptest::prelude::*;

const LREAL: TagType = TagType::scalar(DataType::LReal);

fn signal(pairs: &[(&str, &str)]) -> Signal {
    Signal::from_options(&options(pairs)).unwrap()
}

fn options(pairs: &[(&str, &str)]) -> Options {
    Options::check(SIGNAL_OPTIONS, pairs.iter().map(|(name, value)| (*name, *value, 0..0))).unwrap()
}

/// A world whose start is now, and that start.
fn world() -> (World, Instant) {
    let (world, start) = (World::new(7), Instant::now());
    world.moment(start);
    (world, start)
}

fn at(world: &World, start: Instant, seconds: f64, id: SignalId) -> f64 {
    world.moment(start + Duration::from_secs_f64(seconds)).read(id).as_f64().unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn shapes_are_functions_of_time() {
    let (world, start) = world();
    let add = |name: &str, pairs: &[(&str, &str)]| world.add("d", name, LREAL, signal(pairs), false);
    let ramp = add("ramp", &[("signal", "ramp"), ("min", "10"), ("max", "20"), ("period", "10s")]);
    let sine = add("sine", &[("signal", "sine"), ("min", "-1"), ("max", "1"), ("period", "4s")]);
    let square = add(
        "square",
        &[("signal", "square"), ("min", "0"), ("max", "1"), ("period", "2s"), ("phase", "0.5")],
    );
    let counter = add("counter", &[("signal", "counter"), ("period", "1s"), ("step", "2")]);
    let wrapping = add("wrap", &[("signal", "counter"), ("period", "1s"), ("min", "0"), ("max", "9")]);
    let constant = add("constant", &[("signal", "constant"), ("value", "42.5"), ("offset", "1")]);
    for (seconds, id, expected) in [
        (0.0, ramp, 10.0),
        (5.0, ramp, 15.0),
        (15.0, ramp, 15.0),
        (0.0, sine, 0.0),
        (1.0, sine, 1.0),
        (3.0, sine, -1.0),
        (0.5, square, 1.0),
        (1.5, square, 0.0),
        (0.9, counter, 0.0),
        (7.1, counter, 14.0),
        (9.5, wrapping, 9.0),
        (10.5, wrapping, 0.0),
        (3.0, constant, 43.5),
    ] {
        let value = at(&world, start, seconds, id);
        assert!(near(value, expected), "{id:?} at {seconds} s is {value}, not {expected}");
    }
}

#[test]
fn a_lag_lets_63_percent_through_in_its_time_however_often_one_looks() {
    let run = |looks: &[f64]| {
        let (world, start) = world();
        let setpoint = world.add("a", "setpoint", LREAL, Signal::hold(Value::LReal(0.0)), true);
        let follow =
            signal(&[("signal", "follow"), ("follow", "a/setpoint * 2"), ("lag", "10s"), ("offset", "5")]);
        let actual = world.add("b", "actual", LREAL, follow, false);
        assert!(near(at(&world, start, 0.0, actual), 5.0));
        world.moment(start).write(setpoint, Value::LReal(50.0)).unwrap();
        looks.iter().map(|seconds| at(&world, start, *seconds, actual)).collect::<Vec<f64>>()
    };
    let often: Vec<f64> = (1..=1000).map(|n| f64::from(n) * 0.1).collect();
    let often = run(&often);
    let once = run(&[10.0, 100.0]);
    assert!((once[0] - (5.0 + 100.0 * 0.632)).abs() < 0.2, "{}", once[0]);
    assert!((once[1] - 105.0).abs() < 0.1, "{}", once[1]);
    assert!(near(often[99], once[0]), "{} {}", often[99], once[0]);
    assert!(near(often[999], once[1]));
}

#[test]
fn machines_that_follow_one_another_settle() {
    let (world, start) = world();
    // Heat minus cooling, cooling after heat: a closed loop through two machines.
    let heat =
        signal(&[("signal", "constant"), ("value", "100"), ("follow", "cooler/flow * -1"), ("lag", "2s")]);
    let flow = signal(&[("signal", "follow"), ("follow", "press/heat"), ("gain", "0.5"), ("lag", "3s")]);
    let heat = world.add("press", "heat", LREAL, heat, false);
    let flow = world.add("cooler", "flow", LREAL, flow, false);
    assert!((at(&world, start, 200.0, heat) - 66.667).abs() < 0.01);
    assert!((at(&world, start, 200.0, flow) - 33.333).abs() < 0.01);
}

#[test]
fn a_circle_without_lag_is_cut_off() {
    let (world, start) = world();
    let a =
        world.add("d", "a", LREAL, signal(&[("signal", "follow"), ("follow", "b"), ("offset", "1")]), false);
    world.add("d", "b", LREAL, signal(&[("signal", "follow"), ("follow", "a")]), false);
    assert!(at(&world, start, 1.0, a).is_finite());
}

#[test]
fn what_is_written_stays_until_a_reset() {
    let (world, start) = world();
    let held = world.add("d", "held", TagType::scalar(DataType::Int), Signal::hold(Value::Int(3)), true);
    let fixed = world.add("d", "fixed", TagType::scalar(DataType::Int), Signal::hold(Value::Int(4)), false);
    let mut moment = world.moment(start);
    assert_eq!(moment.write(held, Value::Int(9)), Ok(()));
    assert_eq!(moment.write(fixed, Value::Int(9)), Err(NotWritable));
    assert_eq!((moment.read(held), moment.read(fixed)), (Value::Int(9), Value::Int(4)));
    moment.force(fixed, Value::Int(5));
    assert_eq!(moment.read(fixed), Value::Int(5));
    drop(moment);
    world.reset("d");
    assert_eq!(world.moment(start).read(held), Value::Int(3));
    assert_eq!(world.find("d", "held"), Some(held));
    assert_eq!(world.find("e", "held"), None);
}

#[test]
fn values_come_in_the_type_of_their_tag() {
    let (world, start) = world();
    for (data_type, pairs, expected) in [
        (DataType::Bool, [("signal", "constant"), ("value", "1")], Value::Bool(true)),
        (DataType::Bool, [("signal", "constant"), ("value", "true")], Value::Bool(true)),
        (DataType::Int, [("signal", "constant"), ("value", "70000")], Value::Int(32_767)),
        (DataType::Word, [("signal", "constant"), ("value", "-1")], Value::UInt(0)),
        (DataType::Real, [("signal", "constant"), ("value", "0.1")], Value::Real(0.1)),
        (DataType::String, [("signal", "constant"), ("value", "idle")], Value::Text("idle".into())),
        (DataType::String, [("signal", "constant"), ("value", "7")], Value::Text("7".into())),
    ] {
        let id = world.add("d", "t", TagType::scalar(data_type), signal(&pairs), false);
        assert_eq!(world.moment(start).read(id), expected, "{data_type} {pairs:?}");
    }
    let array = TagType { data_type: DataType::Int, count: Some(3) };
    let id = world.add("d", "t", array, signal(&[("signal", "constant"), ("value", "7")]), false);
    let list = [7, 8, 9].map(Value::Int).to_vec();
    assert_eq!(world.moment(start).read(id), Value::List(list), "elements differ, so that a shift shows");
}

#[test]
fn options_make_signals_or_mistakes() {
    let made = signal(&[
        ("signal", "follow"),
        ("follow", "a/x * 0.5, y"),
        ("gain", "3"),
        ("lag", "500"),
        ("min", "1"),
    ]);
    let expected = [("a/x", 0.5), ("y", 3.0)].map(|(tag, gain)| Follow { tag: tag.into(), gain });
    assert_eq!(made.follow, expected);
    assert_eq!((made.lag, made.min, made.max), (Duration::from_millis(500), Some(1.0), None));
    for (pairs, part) in [
        (&[("signal", "follow")][..], "nothing to follow"),
        (&[("follow", "a * b")][..], "no tag with a gain"),
        (&[("min", "3"), ("max", "2")][..], "above"),
        (&[("period", "0")][..], "zero"),
    ] {
        let mistakes = Signal::from_options(&options(pairs)).unwrap_err();
        assert!(mistakes[0].message.contains(part), "{mistakes:?}");
    }
    assert_eq!(signal(&[]), Signal::default());
}

#[test]
fn a_walk_is_the_same_for_everyone_and_stays_inside() {
    let walk = || {
        let (world, start) = world();
        let pairs =
            [("signal", "random-walk"), ("min", "20"), ("max", "30"), ("step", "3"), ("period", "1s")];
        (world.add("d", "walk", LREAL, signal(&pairs), false), world, start)
    };
    let (id, patient, start) = walk();
    let last = at(&patient, start, 5000.0, id);
    let (id, eager, start) = walk();
    let seen: Vec<f64> = (0..=50_000).map(|n| at(&eager, start, f64::from(n) * 0.1, id)).collect();
    assert!(near(seen[50_000], last));
    assert!(seen.iter().all(|value| (20.0..=30.0).contains(value)));
    assert!(seen.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 3.0 + 1e-9));
    let low = seen.iter().copied().fold(f64::INFINITY, f64::min);
    let high = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(low < 22.0 && high > 28.0, "it walks: {low} to {high}");
}

#[test]
fn a_long_pause_is_made_up_in_bounded_time() {
    let (world, start) = world();
    let heat = signal(&[("signal", "sine"), ("lag", "1s"), ("follow", "walk")]);
    let id = world.add("d", "heat", LREAL, heat, false);
    world.add(
        "d",
        "walk",
        LREAL,
        signal(&[("signal", "random-walk"), ("period", "1ms"), ("min", "0"), ("max", "9")]),
        false,
    );
    let value = at(&world, start, 3.0 * 365.0 * 86_400.0, id);
    assert!((0.0..=120.0).contains(&value), "{value}");
}

proptest! {
    #[test]
    fn every_signal_has_a_value_of_its_type_at_every_time(
        data_type in proptest::sample::select(DataType::ALL),
        kind in proptest::sample::select(&["constant", "hold", "ramp", "sine", "square", "random-walk", "counter"][..]),
        (min, span) in (-1e6..1e6_f64, 0.0..1e6_f64),
        period_ms in 1..100_000_u32,
        step in -1e3..1e3_f64,
        seconds in 0.0..1e5_f64,
    ) {
        let (world, start) = world();
        let pairs = [
            ("signal", kind.to_owned()),
            ("min", min.to_string()),
            ("max", (min + span).to_string()),
            ("period", period_ms.to_string()),
            ("step", step.to_string()),
            ("value", (min + span / 2.0).to_string()),
        ];
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, &**value)).collect();
        let id = world.add("d", "t", TagType::scalar(data_type), signal(&pairs), false);
        let value = world.moment(start + Duration::from_secs_f64(seconds)).read(id);
        if data_type.is_numeric() {
            let number = value.as_f64().unwrap();
            prop_assert!(number.is_finite());
            if data_type == DataType::LReal {
                prop_assert!(number >= min - 1e-6 && number <= min + span + step.abs() + 1e-6, "{kind} {number}");
            }
        } else if data_type == DataType::Bool {
            prop_assert!(value.as_bool().is_some());
        }
    }
}
