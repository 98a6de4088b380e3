//! Functions of texts, bytes, JSON and URLs.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    strings()
        .into_iter()
        .chain(masks())
        .chain(patterns())
        .chain(bytes())
        .chain(json())
        .chain(urls())
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn strings() -> Vec<Case> {
    table! {
        UCASE(t("größe")) => t("GRÖSSE");
        LCASE(t("ABC É")) => t("abc é");
        LEN(t("größe")) => i(5);
        LEN(b(&[1, 2, 3])) => i(3);
        TRIM(t(" \t x \n")) => t("x");
        TRIM(t("\u{a0}x")) => t("\u{a0}x");
        INITCAP(t("the   QUICK br0wn fOx")) => t("The   Quick Br0wn Fox");
        SUBSTRING(t("stream"), i(1), i(4)) => t("stre");
        SUBSTRING(t("press1"), i(-2)) => t("s1");
        SUBSTRING(t("press1"), i(-9), i(2)) => t("pr");
        SUBSTRING(t("press1"), i(0), i(2)) => t("pr");
        SUBSTRING(t("press1"), i(9)) => t("");
        SUBSTRING(t("press1"), i(2), i(-1)) => t("");
        SUBSTRING(t("größe"), i(3), i(2)) => t("öß");
        SUBSTRING(t("x"), N) => N;
        SUBSTRING(b(&[1, 2, 3]), i(2)) => b(&[2, 3]);
        SUBSTRING(b(&[1, 2, 3]), i(-2), i(1)) => b(&[2]);
        REPLACE(t("a-b-c"), t("-"), t("")) => t("abc");
        REPLACE(t("ab"), t(""), t("-")) => t("-a-b-");
        REPLACE(t("a.b"), t("."), t("$1")) => t("a$1b");
        INSTR(t("CORPORATE FLOOR"), t("OR")) => i(2);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(3)) => i(5);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(3), i(2)) => i(14);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(-3)) => i(5);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(-3), i(2)) => i(2);
        INSTR(t("CORPORATE FLOOR"), t("MISSING")) => i(0);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(99)) => i(0);
        INSTR(t("CORPORATE FLOOR"), t("OR"), i(1), i(9)) => i(0);
        INSTR(N, t("OR")) => i(0);
        INSTR(t("x"), t("x"), N) => N;
        LPAD(t("Foo"), i(7), t("Bar")) => t("BarBFoo");
        LPAD(t("Foo"), i(2), t("Bar")) => t("Fo");
        LPAD(t(""), i(2), t("Bar")) => t("Ba");
        LPAD(t("123"), i(5), t("0")) => t("00123");
        LPAD(t("x"), i(-1), t("0")) => N;
        LPAD(t("x"), i(3), t("")) => N;
        LPAD(t("x"), i(i32::MAX), t("0")) => Fails("more than");
        LPAD(b(&[1]), i(3), b(&[7, 8])) => b(&[7, 8, 1]);
        RPAD(t("Foo"), i(7), t("Bar")) => t("FooBarB");
        RPAD(t("Foo"), i(2), t("Bar")) => t("Fo");
        RPAD(b(&[1, 2]), i(1), b(&[7])) => b(&[1]);
        CONCAT(t("a"), N, t("b")) => t("ab");
        CONCAT(N, N) => t("");
        CONCAT(b(&[1]), N, b(&[2])) => b(&[1, 2]);
        CONCAT_WS(t(", "), t("apple"), t("banana"), N, t("date")) => t("apple, banana, date");
        CONCAT_WS(N, t("a"), t("b")) => N;
        CONCAT_WS(t("/"), N, N) => t("");
        CONCAT_WS(b(&[0]), b(&[1]), b(&[2])) => b(&[1, 0, 2]);
        CHR(i(75)) => t("K");
        CHR(i(22_909)) => t("好");
        CHR(i(-1)) => N;
        CHR(i(0x11_0000)) => N;
        CHR(t("\\u004b")) => t("K");
        CHR(t("\\u597d")) => t("好");
        CHR(t("\\ud83d\\ude00")) => t("😀");
        CHR(t("75")) => N;
        CHR(t("\\u00")) => N;
        ELT(i(2), t("a"), t("b")) => t("b");
        ELT(i(0), t("a")) => N;
        ELT(i(3), t("a"), t("b")) => N;
        FIELD(t("b"), t("a"), t("b")) => i(2);
        FIELD(t("x"), t("a"), N) => i(0);
        FIELD(N, t("a"), N) => i(0);
        SPLIT(t("a,b,,c"), t(",")) => arr([t("a"), t("b"), t(""), t("c")]);
        SPLIT(t(",a,"), t(",")) => arr([t(""), t("a"), t("")]);
        SPLIT(t("a.b"), t(".")) => arr([t("a"), t("b")]);
        SPLIT(t("abc"), t("")) => arr([t("a"), t("b"), t("c")]);
        SPLIT(t("abc"), t("$")) => arr([t("abc")]);
        SPLIT(t(""), t(",")) => arr([t("")]);
        SPLIT(t("abc"), N) => N;
        SPLIT(b(&[1, 0, 2]), b(&[0])) => arr([b(&[1]), b(&[2])]);
        SPLIT(b(&[1, 2]), b(&[])) => arr([b(&[1]), b(&[2])]);
        SPLIT_TO_MAP(t("apple:=green/cherry:=red"), t("/"), t(":=")) => map([("apple", t("green")), ("cherry", t("red"))]);
        SPLIT_TO_MAP(t("a=1,b,a=2"), t(","), t("=")) => map([("a", t("2"))]);
        SPLIT_TO_MAP(t("a=1"), t(""), t("=")) => N;
        SPLIT_TO_MAP(t("a=1"), t("="), t("=")) => N;
        UUID(b(&[0x23, 0x7e, 0x98, 0x77, 0xe7, 0x9b, 0x12, 0xd4, 0xa7, 0x65, 0x32, 0x17, 0x41, 0x96, 0x30, 0x00]))
            => t("237e9877-e79b-12d4-a765-321741963000");
        UUID(b(&[1])) => N;
    }
}

fn masks() -> Vec<Case> {
    let test = || t("My Test $123");
    table! {
        MASK(test()) => t("Xx-Xxxx--nnn");
        MASK(test(), t("*"), N, t("1"), N) => t("*y *est $111");
        MASK(test(), t("**"), N, t("1"), N) => Fails("not a single character");
        MASK(t("Äß٣½")) => t("Xxn-");
        MASK_LEFT(test(), i(4)) => t("Xx-Xest $123");
        MASK_LEFT(test(), i(4), t("u"), t("l"), t("d"), t("o")) => t("ulouest $123");
        MASK_LEFT(test(), i(99)) => t("Xx-Xxxx--nnn");
        MASK_RIGHT(test(), i(4)) => t("My Test -nnn");
        MASK_KEEP_LEFT(test(), i(4)) => t("My Txxx--nnn");
        MASK_KEEP_RIGHT(test(), i(4)) => t("Xx-Xxxx-$123");
        MASK_KEEP_RIGHT(test(), i(99)) => test();
        MASK_RIGHT(test(), i(-1)) => Fails("less than none");
        MASK_LEFT(test(), N) => N;
    }
}

fn patterns() -> Vec<Case> {
    table! {
        REGEXP_EXTRACT(t("(.*) (.*)"), t("hello there"), i(2)) => t("there");
        REGEXP_EXTRACT(t("h.."), t("oh hello")) => t("h h");
        REGEXP_EXTRACT(t("x"), t("abc")) => N;
        REGEXP_EXTRACT(t("(a)|(b)"), t("b"), i(1)) => N;
        REGEXP_EXTRACT(t("a"), t("a"), i(9)) => N;
        REGEXP_EXTRACT(t("a"), t("a"), i(-1)) => Fails("no group -1");
        REGEXP_EXTRACT(t("(?<=#)\\d+"), t("a#42")) => t("42");
        REGEXP_EXTRACT(t("(a"), t("a")) => Fails("no closing one");
        REGEXP_EXTRACT(t("a{2"), t("a")) => N;
        REGEXP_EXTRACT(t("(a|b|ab)*(?>c)"), t(&"ab".repeat(40))) => Fails("too many steps");
        REGEXP_EXTRACT(t("((a{500}){500}){500}"), t("a")) => Fails("the pattern");
        REGEXP_EXTRACT_ALL(t("(\\w+) (\\w+)"), t("hello there nice day"), i(2)) => arr([t("there"), t("day")]);
        REGEXP_EXTRACT_ALL(t("a*"), t("baac")) => arr([t(""), t("aa"), t(""), t("")]);
        REGEXP_EXTRACT_ALL(t("x"), t("abc")) => arr([]);
        REGEXP_EXTRACT_ALL(t("x"), t("abc"), i(3)) => N;
        REGEXP_REPLACE(t("aabb"), t("a.b+"), t("bar")) => t("bar");
        REGEXP_REPLACE(t("john smith"), t("(\\w+) (\\w+)"), t("$2, $1")) => t("smith, john");
        REGEXP_REPLACE(t("abc"), t("(?<x>b)"), t("<${x}>")) => t("a<b>c");
        REGEXP_REPLACE(t("abc"), t("b"), t("\\$")) => t("a$c");
        REGEXP_REPLACE(t("abc"), t(""), t("-")) => t("-a-b-c-");
        REGEXP_REPLACE(t("abc"), t("b"), t("$1")) => Fails("no group 1");
        REGEXP_REPLACE(t("abc"), t("b"), t("$x")) => Fails("number must follow");
        REGEXP_REPLACE(t("abc"), t("b"), N) => N;
        REGEXP_SPLIT_TO_ARRAY(t("aabcda"), t("(ab|cd)")) => arr([t("a"), t(""), t("a")]);
        REGEXP_SPLIT_TO_ARRAY(t("xay"), t("b")) => arr([t("xay")]);
        REGEXP_SPLIT_TO_ARRAY(t("xaxbxa"), t("a|b")) => arr([t("x"), t("x"), t("x"), t("")]);
        REGEXP_SPLIT_TO_ARRAY(t("abc"), t("")) => arr([t("a"), t("b"), t("c")]);
        REGEXP_SPLIT_TO_ARRAY(t("z"), N) => N;
    }
}

fn bytes() -> Vec<Case> {
    table! {
        TO_BYTES(t("4578616d706C6521"), t("hex")) => b(b"Example!");
        TO_BYTES(t("0x1"), t("HEX")) => b(&[1]);
        TO_BYTES(t("X'0102'"), t("hex")) => b(&[1, 2]);
        TO_BYTES(t("123"), t("hex")) => Fails("pairs of hexadecimal digits");
        TO_BYTES(t("zz"), t("hex")) => Fails("pairs of hexadecimal digits");
        TO_BYTES(t("Ä"), t("utf8")) => b("Ä".as_bytes());
        TO_BYTES(t("Äa"), t("ascii")) => b(b"?a");
        TO_BYTES(t("RXhhbXBsZSE="), t("base64")) => b(b"Example!");
        TO_BYTES(t("RXhh\r\nbXBsZSE"), t("base64")) => b(b"Example!");
        TO_BYTES(t("R"), t("base64")) => Fails("no Base64");
        TO_BYTES(t("x"), t("utf16")) => Fails("there is no encoding 'utf16'");
        FROM_BYTES(b(b"Example!"), t("hex")) => t("4578616D706C6521");
        FROM_BYTES(b(b"Example!"), t("base64")) => t("RXhhbXBsZSE=");
        FROM_BYTES(b("Ä".as_bytes()), t("utf8")) => t("Ä");
        FROM_BYTES(b("Ä".as_bytes()), t("ascii")) => t("\u{fffd}\u{fffd}");
        ENCODE(t("4578616d706C6521"), t("hex"), t("ascii")) => t("Example!");
        ENCODE(t("ce95cebbcebbceacceb4ceb1"), t("hex"), t("utf8")) => t("Ελλάδα");
        ENCODE(t("0x4578616d706C6521"), t("hex"), t("base64")) => t("RXhhbXBsZSE=");
        ENCODE(t("x''"), t("hex"), t("utf8")) => t("");
        ENCODE(t("Ελλάδα"), t("ascii"), t("hex")) => t("3f3f3f3f3f3f");
        ENCODE(t("Example!"), t("utf8"), t("hex")) => t("4578616d706c6521");
        ENCODE(t("zpXOu867zqzOtM6x"), t("base64"), t("utf8")) => t("Ελλάδα");
        ENCODE(t("x"), t("null"), t("utf8")) => Fails("no encoding 'null'");
        ENCODE(t("x"), N, t("utf8")) => N;
        INT_FROM_BYTES(b(&[0, 0, 7, 229])) => i(2021);
        INT_FROM_BYTES(b(&[229, 7, 0, 0]), t("LITTLE_ENDIAN")) => i(2021);
        INT_FROM_BYTES(b(&[255, 255, 255, 254])) => i(-2);
        INT_FROM_BYTES(b(&[1, 2])) => Fails("2 bytes, not 4");
        INT_FROM_BYTES(b(&[0, 0, 7, 229]), t("MIDDLE")) => Fails("'BIG_ENDIAN' or 'LITTLE_ENDIAN'");
        BIGINT_FROM_BYTES(b(&[0, 0, 0, 1, 42, 5, 242, 0])) => l(5_000_000_000);
        BIGINT_FROM_BYTES(b(&[0, 242, 5, 42, 1, 0, 0, 0]), t("LITTLE_ENDIAN")) => l(5_000_000_000);
        DOUBLE_FROM_BYTES(b(&[0x40, 0x80, 0xa6, 0xfd, 0x9b, 0xc9, 0xf5, 0x82])) => d(532.873_832_3);
        DOUBLE_FROM_BYTES(b(&[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), t("LITTLE_ENDIAN")) => d(1.0);
        DOUBLE_FROM_BYTES(b(&[1])) => Fails("1 bytes, not 8");
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn json() -> Vec<Case> {
    let doc = || t(r#"{"a":{"b":[1.50,{"c d":"x"}]},"n":null,"t":true}"#);
    table! {
        EXTRACTJSONFIELD(doc(), t("$.a.b[1]['c d']")) => t("x");
        EXTRACTJSONFIELD(doc(), t("$['a'].b[0]")) => t("1.50");
        EXTRACTJSONFIELD(doc(), t("$.a.b")) => t(r#"[1.50,{"c d":"x"}]"#);
        EXTRACTJSONFIELD(doc(), t("$.t")) => t("true");
        EXTRACTJSONFIELD(doc(), t("$.n")) => N;
        EXTRACTJSONFIELD(doc(), t("$.a.b[7]")) => N;
        EXTRACTJSONFIELD(doc(), t("$.a.b[-1]")) => N;
        EXTRACTJSONFIELD(doc(), t("$.a.b.0")) => t("1.50");
        EXTRACTJSONFIELD(t("{\"@type\": \"VAL\"}}"), t("$.@type")) => t("VAL");
        IS_JSON_STRING(t("{}}")) => yes(false);
        EXTRACTJSONFIELD(doc(), t("$.z.y")) => N;
        EXTRACTJSONFIELD(doc(), t("$")) => doc();
        EXTRACTJSONFIELD(t(""), t("$.a")) => N;
        EXTRACTJSONFIELD(t("{"), t("$.a")) => Fails("is no JSON");
        EXTRACTJSONFIELD(doc(), t("a.b")) => Fails("is no path");
        EXTRACTJSONFIELD(doc(), t("$.a.*")) => Fails("several values");
        EXTRACTJSONFIELD(doc(), t("$..b")) => Fails("several values");
        EXTRACTJSONFIELD(doc(), t("$.a[0:1]")) => Fails("several values");
        EXTRACTJSONFIELD(doc(), N) => N;
        IS_JSON_STRING(t("[1, 2, 3]")) => yes(true);
        IS_JSON_STRING(t("{}")) => yes(true);
        IS_JSON_STRING(t("1")) => yes(true);
        IS_JSON_STRING(t("\"abc\"")) => yes(true);
        IS_JSON_STRING(t("null")) => yes(true);
        IS_JSON_STRING(t("")) => yes(false);
        IS_JSON_STRING(t("abc")) => yes(false);
        IS_JSON_STRING(N) => yes(false);
        JSON_ARRAY_CONTAINS(t("[1, 2, 3]"), i(3)) => yes(true);
        JSON_ARRAY_CONTAINS(t("[1, 2, 3]"), l(4)) => yes(false);
        JSON_ARRAY_CONTAINS(t("[1.5, 2]"), d(1.5)) => yes(true);
        JSON_ARRAY_CONTAINS(t("[1.5, 2]"), d(2.0)) => yes(false);
        JSON_ARRAY_CONTAINS(t("[\"a\"]"), t("a")) => yes(true);
        JSON_ARRAY_CONTAINS(t("[[\"a\"]]"), t("a")) => yes(false);
        JSON_ARRAY_CONTAINS(t("[true]"), yes(true)) => yes(true);
        JSON_ARRAY_CONTAINS(t("[null]"), N) => yes(true);
        JSON_ARRAY_CONTAINS(t("{\"a\":1}"), i(1)) => yes(false);
        JSON_ARRAY_CONTAINS(N, i(1)) => yes(false);
        JSON_ARRAY_LENGTH(t("[1, [1, [2]], 3]")) => i(3);
        JSON_ARRAY_LENGTH(t("[]")) => i(0);
        JSON_ARRAY_LENGTH(t("{}")) => N;
        JSON_ARRAY_LENGTH(t("abc")) => Fails("is no JSON");
        JSON_CONCAT(t("{\"a\": 1}"), t("{\"b\": 2}")) => t("{\"a\":1,\"b\":2}");
        JSON_CONCAT(t("{\"a\": {\"5\": 6}}"), t("{\"a\": {\"3\": 4}}")) => t("{\"a\":{\"3\":4}}");
        JSON_CONCAT(t("{}"), t("{}")) => t("{}");
        JSON_CONCAT(t("[1, 2]"), t("[3, 4]")) => t("[1,2,3,4]");
        JSON_CONCAT(t("[1, [2]]"), t("[[[3]], [[[4]]]]")) => t("[1,[2],[[3]],[[[4]]]]");
        JSON_CONCAT(t("null"), t("null")) => t("[null,null]");
        JSON_CONCAT(t("[1, 2]"), t("{\"a\": 1}")) => t("[1,2,{\"a\":1}]");
        JSON_CONCAT(t("1"), t("2"), t("3")) => t("[1,2,3]");
        JSON_CONCAT(t("abc"), t("[1]")) => Fails("is no JSON");
        JSON_CONCAT(t("[1]"), N) => N;
        JSON_ITEMS(t("[{\"a\": 1}, {}]")) => arr([t("{\"a\":1}"), t("{}")]);
        JSON_ITEMS(t("[{\"a\": 1}, 2]")) => N;
        JSON_ITEMS(t("{}")) => N;
        JSON_KEYS(t("{\"a\": \"abc\", \"b\": {\"c\": \"a\"}, \"d\": 1}")) => arr([t("a"), t("b"), t("d")]);
        JSON_KEYS(t("{}")) => arr([]);
        JSON_KEYS(t("[]")) => N;
        JSON_KEYS(t("")) => N;
        JSON_RECORDS(t("{\"a\": \"abc\", \"b\": {\"c\": \"a\"}, \"d\": 1}"))
            => map([("a", t("\"abc\"")), ("b", t("{\"c\":\"a\"}")), ("d", t("1"))]);
        JSON_RECORDS(t("123")) => N;
        TO_JSON_STRING(i(1)) => t("1");
        TO_JSON_STRING(dec("15.30")) => t("15.30");
        TO_JSON_STRING(d(15.3)) => t("15.3");
        TO_JSON_STRING(d(f64::NAN)) => t("\"NaN\"");
        TO_JSON_STRING(t("a\"bc")) => t("\"a\\\"bc\"");
        TO_JSON_STRING(yes(true)) => t("true");
        TO_JSON_STRING(N) => t("null");
        TO_JSON_STRING(b(&[1, 2])) => t("\"AQI=\"");
        TO_JSON_STRING(Datum::Date(18_911)) => t("\"2021-10-11\"");
        TO_JSON_STRING(Datum::Time(48_300_000)) => t("\"13:25\"");
        TO_JSON_STRING(Datum::Timestamp(1_625_055_519_446)) => t("\"2021-06-30T12:18:39.446\"");
        TO_JSON_STRING(arr([i(1), N])) => t("[1,null]");
        TO_JSON_STRING(map([("d", i(4)), ("c", i(2))])) => t("{\"c\":2,\"d\":4}");
        TO_JSON_STRING(Datum::Struct([i(1), t("x")].into())) => t("{\"A\":\"x\",\"B\":1}");
    }
}

fn urls() -> Vec<Case> {
    let full = || t("http://test@confluent.io:8080/nested/path?q=a%20b&jobs#frag%20space");
    table! {
        URL_ENCODE_PARAM(t("?foo $bar*-._")) => t("%3Ffoo+%24bar*-._");
        URL_ENCODE_PARAM(t("é")) => t("%C3%A9");
        URL_DECODE_PARAM(t("%3Ffoo+%24bar")) => t("?foo $bar");
        URL_DECODE_PARAM(t("url%20encoded")) => t("url encoded");
        URL_DECODE_PARAM(t("%2")) => Fails("hexadecimal digits");
        URL_EXTRACT_PROTOCOL(full()) => t("http");
        URL_EXTRACT_PROTOCOL(t("www.confluent.io")) => N;
        URL_EXTRACT_HOST(full()) => t("confluent.io");
        URL_EXTRACT_HOST(t("http://www.test.com/?query#fragment")) => t("www.test.com");
        URL_EXTRACT_HOST(t("http://[::1]:80/")) => t("[::1]");
        URL_EXTRACT_HOST(t("mailto:a@b.de")) => N;
        URL_EXTRACT_HOST(t("http://10.0.0.1/")) => t("10.0.0.1");
        URL_EXTRACT_HOST(t("http://257.1/")) => N;
        URL_EXTRACT_HOST(t("http://257.1/bogus/[url")) => Fails("square bracket");
        URL_EXTRACT_HOST(t("http://a b/")) => Fails("is no URL");
        URL_EXTRACT_PORT(full()) => i(8080);
        URL_EXTRACT_PORT(t("http://test@confluent.io")) => N;
        URL_EXTRACT_PATH(full()) => t("/nested/path");
        URL_EXTRACT_PATH(t("http://www.test.com?query#fragment")) => t("");
        URL_EXTRACT_PATH(t("http://x/a%20b")) => t("/a b");
        URL_EXTRACT_PATH(t("www.confluent.io")) => t("www.confluent.io");
        URL_EXTRACT_QUERY(full()) => t("q=a b&jobs");
        URL_EXTRACT_QUERY(t("http://test@confluent.io:8080/path")) => N;
        URL_EXTRACT_FRAGMENT(full()) => t("frag space");
        URL_EXTRACT_FRAGMENT(t("http://www.nofragment.com")) => N;
        URL_EXTRACT_PARAMETER(t("http://test.com?a%20b=c%20d"), t("a b")) => t("c d");
        URL_EXTRACT_PARAMETER(t("http://test.com?a=foo&b=bar"), t("b")) => t("bar");
        URL_EXTRACT_PARAMETER(full(), t("jobs")) => t("");
        URL_EXTRACT_PARAMETER(full(), t("x")) => N;
        URL_EXTRACT_PARAMETER(t("http://x?a=%zz"), t("a")) => Fails("is no URL");
    }
}

#[test]
fn strings_are_as_in_ksqldb() {
    check(strings());
    check(masks());
}

#[test]
fn regular_expressions_are_as_in_java() {
    check(patterns());
}

#[test]
fn bytes_and_encodings_are_as_in_ksqldb() {
    check(bytes());
}

#[test]
fn json_is_as_in_ksqldb() {
    check(json());
}

#[test]
fn urls_are_as_in_ksqldb() {
    check(urls());
}

#[test]
fn uuids_are_random_of_version_4() {
    let ids: BTreeSet<String> = (0..10).map(|_| call("UUID", &[]).unwrap().to_string()).collect();
    assert_eq!(ids.len(), 10);
    assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'4'));
}
