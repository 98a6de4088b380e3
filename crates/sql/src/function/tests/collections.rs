//! Functions of arrays and maps.

use super::*;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    let words = || arr([t("apple"), t("apple"), N, t("cherry")]);
    let numbers = || arr([i(1), i(2), i(3), i(1), i(2)]);
    let fruit = || map([("apple", i(10)), ("banana", i(20))]);
    let entry = |key: &str, value| Datum::Struct([t(key), value].into());
    table! {
        ARRAY_CONCAT(numbers(), arr([i(4), i(1)])) => arr([i(1), i(2), i(3), i(1), i(2), i(4), i(1)]);
        ARRAY_CONCAT(words(), arr([t("cherry")])) => arr([t("apple"), t("apple"), N, t("cherry"), t("cherry")]);
        ARRAY_CONCAT(N, arr([i(1)])) => arr([i(1)]);
        ARRAY_CONCAT(arr([i(1)]), N) => arr([i(1)]);
        ARRAY_CONTAINS(arr([i(1), i(2), i(3)]), i(3)) => yes(true);
        ARRAY_CONTAINS(arr([i(1), i(2), i(3)]), i(4)) => yes(false);
        ARRAY_CONTAINS(arr([i(1), N]), N) => yes(true);
        ARRAY_CONTAINS(arr([i(1)]), N) => yes(false);
        ARRAY_CONTAINS(N, i(1)) => yes(false);
        ARRAY_CONTAINS(arr([arr([i(1)])]), arr([i(1)])) => yes(true);
        ARRAY_DISTINCT(numbers()) => arr([i(1), i(2), i(3)]);
        ARRAY_DISTINCT(words()) => arr([t("apple"), N, t("cherry")]);
        ARRAY_EXCEPT(numbers(), arr([i(2), i(3)])) => arr([i(1)]);
        ARRAY_EXCEPT(words(), arr([t("cherry")])) => arr([t("apple"), N]);
        ARRAY_EXCEPT(words(), N) => N;
        ARRAY_INTERSECT(numbers(), arr([i(2), i(1)])) => arr([i(1), i(2)]);
        ARRAY_INTERSECT(words(), arr([t("apple")])) => arr([t("apple")]);
        ARRAY_INTERSECT(words(), arr([N, t("x")])) => arr([N]);
        ARRAY_UNION(numbers(), arr([i(4), i(1)])) => arr([i(1), i(2), i(3), i(4)]);
        ARRAY_UNION(words(), arr([t("cherry")])) => arr([t("apple"), N, t("cherry")]);
        ARRAY_UNION(words(), N) => N;
        ARRAY_JOIN(arr([i(1), N, i(3)])) => t("1,null,3");
        ARRAY_JOIN(arr([t("a"), t("b")]), t(" - ")) => t("a - b");
        ARRAY_JOIN(arr([t("a"), t("b")]), N) => t("ab");
        ARRAY_JOIN(arr([d(1.0), d(0.5)])) => t("1.0,0.5");
        ARRAY_JOIN(arr([])) => t("");
        ARRAY_JOIN(arr([arr([i(1)])])) => Fails("TRANSFORM makes texts");
        ARRAY_LENGTH(numbers()) => i(5);
        ARRAY_LENGTH(arr([])) => i(0);
        ARRAY_MAX(arr([i(-1), i(2), N, i(0)])) => i(2);
        ARRAY_MAX(arr([yes(false), N, yes(true)])) => yes(true);
        ARRAY_MAX(arr([t("Foo"), t("Bar"), N, t("baz")])) => t("baz");
        ARRAY_MAX(arr([N, N])) => N;
        ARRAY_MAX(arr([arr([i(1)])])) => Fails("have no order");
        ARRAY_MIN(arr([i(-1), i(2), N, i(0)])) => i(-1);
        ARRAY_MIN(arr([yes(false), N, yes(true)])) => yes(false);
        ARRAY_MIN(arr([t("Foo"), t("Bar"), N, t("baz")])) => t("Bar");
        ARRAY_MIN(arr([dec("1.5"), dec("1.2")])) => dec("1.2");
        ARRAY_REMOVE(arr([i(1), i(2), i(3), i(2), i(1)]), i(2)) => arr([i(1), i(3), i(1)]);
        ARRAY_REMOVE(arr([yes(false), N, yes(true)]), yes(false)) => arr([N, yes(true)]);
        ARRAY_REMOVE(arr([t("Foo"), N, t("baz")]), N) => arr([t("Foo"), t("baz")]);
        ARRAY_SORT(arr([i(-1), i(2), N, i(0)])) => arr([i(-1), i(0), i(2), N]);
        ARRAY_SORT(arr([yes(false), N, yes(true)])) => arr([yes(false), yes(true), N]);
        ARRAY_SORT(arr([t("Foo"), t("Bar"), N, t("baz")])) => arr([t("Bar"), t("Foo"), t("baz"), N]);
        ARRAY_SORT(arr([i(-1), i(2), N, i(0)]), t("desc")) => arr([i(2), i(0), i(-1), N]);
        ARRAY_SORT(arr([i(2), i(1)]), t("up")) => N;
        SLICE(arr([i(1), i(2), i(3)]), i(2), i(3)) => arr([i(2), i(3)]);
        SLICE(arr([i(1), i(2), i(3)]), N, i(2)) => arr([i(1), i(2)]);
        SLICE(arr([i(1), i(2), i(3)]), i(2), N) => arr([i(2), i(3)]);
        SLICE(arr([i(1), i(2), i(3)]), i(2), i(1)) => arr([]);
        SLICE(arr([i(1), i(2), i(3)]), i(1), i(4)) => N;
        SLICE(arr([i(1), i(2), i(3)]), i(0), i(2)) => N;
        SLICE(arr([i(1), i(2), i(3)]), i(3), i(1)) => Fails("ends before it begins");
        GENERATE_SERIES(i(1), i(4)) => arr([i(1), i(2), i(3), i(4)]);
        GENERATE_SERIES(i(3), i(1)) => arr([i(3), i(2), i(1)]);
        GENERATE_SERIES(i(1), i(1)) => arr([i(1)]);
        GENERATE_SERIES(l(0), l(5), i(2)) => arr([l(0), l(2), l(4)]);
        GENERATE_SERIES(i(1), l(2)) => arr([l(1), l(2)]);
        GENERATE_SERIES(l(i64::MAX - 1), l(i64::MAX), i(1)) => arr([l(i64::MAX - 1), l(i64::MAX)]);
        GENERATE_SERIES(i(1), i(3), i(0)) => Fails("goes nowhere");
        GENERATE_SERIES(i(1), i(3), i(-1)) => Fails("does not lead");
        GENERATE_SERIES(l(i64::MIN), l(i64::MAX)) => Fails("elements, more than");
        AS_MAP(arr([t("a"), t("b")]), arr([i(1), i(2)])) => map([("a", i(1)), ("b", i(2))]);
        AS_MAP(arr([t("a"), t("b")]), arr([i(1)])) => map([("a", i(1)), ("b", N)]);
        AS_MAP(arr([t("a"), t("a")]), arr([i(1), i(2)])) => map([("a", i(2))]);
        AS_MAP(arr([t("a"), N]), arr([i(1), i(2)])) => Fails("a key is NULL");
        MAP_KEYS(fruit()) => arr([t("apple"), t("banana")]);
        MAP_VALUES(fruit()) => arr([i(10), i(20)]);
        MAP_UNION(fruit(), map([("cherry", i(99))])) => map([("apple", i(10)), ("banana", i(20)), ("cherry", i(99))]);
        MAP_UNION(fruit(), map([("apple", i(50))])) => map([("apple", i(50)), ("banana", i(20))]);
        MAP_UNION(fruit(), N) => fruit();
        MAP_UNION(N, fruit()) => fruit();
        ENTRIES(map([("b", i(2)), ("a", i(1))]), yes(true)) => arr([entry("a", i(1)), entry("b", i(2))]);
        ENTRIES(map([("b", i(2)), ("a", i(1))]), yes(false)) => arr([entry("b", i(2)), entry("a", i(1))]);
    }
}

#[test]
fn arrays_and_maps_are_as_in_ksqldb() {
    check(cases());
}

#[test]
fn doubles_are_the_same_by_javas_equals() {
    let distinct =
        call("ARRAY_DISTINCT", &[arr([d(f64::NAN), d(f64::NAN), d(0.0), d(-0.0), d(0.0)])]).unwrap();
    assert_eq!(distinct.as_array().unwrap().len(), 3);
    let sorted = call("ARRAY_SORT", &[arr([d(f64::NAN), d(f64::INFINITY), N, d(0.0), d(-0.0)])]).unwrap();
    assert_eq!(sorted.to_string(), "[-0.0, 0.0, Infinity, NaN, null]");
}
