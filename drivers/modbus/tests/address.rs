//! PLC4X's address grammar: both generations, every area, and mistakes with their places.

use millstream_modbus::address::{Address, Area, ByteOrder};
use millstream_model::{DataType, TagType};
use proptest::prelude::*;

fn parse(text: &str) -> Address {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
}

#[test]
fn long_and_short_forms_name_the_same_place() {
    for (area, texts) in [
        (Area::Coil, ["coil:1", "00001", "000001", "0x0001", "0x00001"]),
        (Area::DiscreteInput, ["discrete-input:1", "10001", "100001", "1x0001", "1x00001"]),
        (Area::InputRegister, ["input-register:1", "30001", "300001", "3x0001", "3X00001"]),
        (Area::HoldingRegister, ["holding-register:1", "40001", "400001", "4x0001", "4x00001"]),
        (Area::ExtendedRegister, ["extended-register:1", "60001", "600001", "6x0001", "6x00001"]),
    ] {
        for text in texts {
            let address = parse(text);
            assert_eq!((address.area(), address.start()), (area, 1 - area.first()), "{text}");
            let data_type = if area.is_bits() { DataType::Bool } else { DataType::Int };
            assert_eq!(address.tag_type(), TagType::scalar(data_type), "{text}");
        }
    }
}

#[test]
fn plc4x_documented_examples_are_read() {
    for text in [
        "holding-register:20:UINT[10]",
        "400020:UINT[10]",
        "4x00020:UINT[10]",
        "40020:UINT[10]",
        "4x0020:UINT[10]",
    ] {
        let address = parse(text);
        assert_eq!((address.start(), address.count(), address.width()), (19, Some(10), 10), "{text}");
    }
    for text in ["holding-register:5678{unit-id: 10}", "405678{unit-id: 10}", "4x05678 {unit-id:10}"] {
        assert_eq!((parse(text).start(), parse(text).unit()), (5677, Some(10)), "{text}");
    }
    for text in ["extended-register:9995[10]", "609995[10]", "6x09995[10]", "69995[10]", "6x9995[10]"] {
        assert_eq!((parse(text).start(), parse(text).width()), (9995, 10), "{text}");
    }
    let both = parse("input-register:7:REAL{unit-id: 5, byte-order: 'BIG_ENDIAN_BYTE_SWAP'}");
    assert_eq!((both.unit(), both.byte_order()), (Some(5), Some(ByteOrder::BigEndianByteSwap)));
}

#[test]
fn arrays_of_both_generations() {
    // (text, start on the wire, count, registers or bits)
    for (text, start, count, width) in [
        ("holding-register:1:INT[4]", 0, Some(4), 4),
        ("holding-register:1[0..3]:INT", 0, Some(4), 4),
        ("holding-register:1[4..7;4]:INT", 0, Some(4), 4),
        ("holding-register:1[2..3]:DINT", 4, Some(2), 4),
        ("holding-register:1[4]:INT", 4, None, 1),
        ("holding-register:1[4..4]:LREAL", 16, Some(1), 4),
        ("holding-register:1[4]", 0, Some(4), 4),
        ("holding-register:1:INT[1]", 0, None, 1),
        ("holding-register:1:BYTE[5]", 0, Some(5), 3),
        ("holding-register:1:BOOL[17]", 0, Some(17), 2),
        ("holding-register:1.15:BOOL[2]", 0, Some(2), 2),
        ("holding-register:5.3", 4, None, 1),
        ("holding-register:1:STRING(5)", 0, None, 3),
        ("holding-register:1:STRING[20]", 0, None, 10),
        ("holding-register:1:STRING(20)[3]", 0, Some(3), 30),
        ("holding-register:1[1..2]:STRING(20)", 10, Some(2), 20),
        ("holding-register:1:WSTRING(8)", 0, None, 8),
        ("holding-register:1:RAW_BYTE_ARRAY[7]", 0, Some(7), 4),
        ("coil:1:BOOL[8]", 0, Some(8), 8),
        ("coil:1[8..15]", 8, Some(8), 8),
        ("coil:1[2000]", 0, Some(2000), 2000),
        ("holding-register:65536", 65_535, None, 1),
        ("coil:65536", 65_535, None, 1),
        ("extended-register:0", 0, None, 1),
    ] {
        let address = parse(text);
        assert_eq!((address.start(), address.count(), address.width()), (start, count, width), "{text}");
    }
}

#[test]
fn mistakes_name_their_place_and_a_right_example() {
    for (text, code, place) in [
        ("holding-regster:1", "address-area", "holding-regster"),
        ("register:1", "address-area", "register"),
        ("", "address-area", ""),
        ("50001", "address-area", "50001"),
        ("holding-register:", "address-number", ""),
        ("holding-register:x", "address-number", "x"),
        ("401", "address-number", "401"),
        ("4x123456", "address-number", "4x123456"),
        ("holding-register:0", "address-range", "0"),
        ("40000", "address-range", "40000"),
        ("holding-register:65537", "address-range", "65537"),
        ("holding-register:65536:DINT", "address-range", "65536"),
        ("coil:65530:BOOL[8]", "address-range", "65530"),
        ("holding-register:1:INT[126]", "address-size", "1:INT[126]"),
        ("coil:1[2001]", "address-size", "1[2001]"),
        ("holding-register:1:REEL", "address-type", "REEL"),
        ("holding-register:1:TIME", "address-type", "TIME"),
        ("coil:1:INT", "address-type", "INT"),
        ("holding-register:1:STRING", "address-string", "STRING"),
        ("holding-register:1:INT(4)", "address-string", "INT(4)"),
        ("holding-register:1.16", "address-bit", ".16"),
        ("holding-register:1.3:INT", "address-bit", ".3"),
        ("coil:1.3", "address-bit", ".3"),
        ("holding-register:1[3..1]:INT", "address-array", "[3..1]"),
        ("holding-register:1[0..3]:INT[4]", "address-array", "[0..3]"),
        ("holding-register:1[3]:BOOL", "address-array", "[3]"),
        ("holding-register:1[0]", "address-array", "[0]"),
        ("holding-register:1:INT[0]", "address-array", "[0]"),
        ("holding-register:1:INT[", "address-array", "["),
        ("holding-register:1:INT{unit-id: 300}", "address-option", "300"),
        ("holding-register:1:INT{unit: 3}", "address-option", "unit"),
        ("holding-register:1:INT{byte-order: 'MIDDLE'}", "address-option", "MIDDLE"),
        ("holding-register:1:INT{unit-id: 1, unit-id: 2}", "address-option", "unit-id"),
        ("holding-register:1:INT{unit-id 1}", "address-option", "{unit-id 1}"),
        ("holding-register:1:INT foo", "address-trailing", "foo"),
        ("holding-register:1;INT", "address-trailing", ";INT"),
    ] {
        let mistake = text.parse::<Address>().expect_err(text);
        assert_eq!(mistake.code, code, "{text}: {mistake:?}");
        assert_eq!(&text[mistake.span.clone().unwrap().range], place, "{text}: {mistake:?}");
        assert!(!mistake.label.is_empty() && mistake.help.is_some(), "{text}: {mistake:?}");
    }
}

#[test]
fn the_nearest_right_word_is_named() {
    for (text, word) in [
        ("holding-regster:1", "holding-register:"),
        ("holding-register:1:REEL", "REAL"),
        ("holding-register:1{byte-order: 'LITLE_ENDIAN'}", "LITTLE_ENDIAN"),
    ] {
        let help = text.parse::<Address>().unwrap_err().help.unwrap();
        assert!(help.contains(word), "{text}: {help}");
    }
}

/// Texts that mostly are addresses.
fn texts() -> impl Strategy<Value = String> {
    let area = prop_oneof![
        (0_usize..5, 0_u32..70_000).prop_map(|(area, n)| format!("{}:{n}", Area::ALL[area])),
        (0_usize..5, 0_u32..100_000).prop_map(|(area, n)| format!("{}{n:05}", Area::ALL[area].digit())),
        (0_usize..5, 0_u32..10_000).prop_map(|(area, n)| format!("{}x{n:04}", Area::ALL[area].digit())),
    ];
    let middle = prop_oneof![
        5 => Just(String::new()),
        1 => (0_u8..18).prop_map(|bit| format!(".{bit}")),
        1 => (0_u32..40).prop_map(|n| format!("[{n}]")),
        1 => (0_u32..20, 0_u32..40).prop_map(|(a, n)| format!("[{a}..{}]", a + n)),
        1 => (0_u32..20, 0_u32..40, 0_u32..20).prop_map(|(a, n, b)| format!("[{a}..{};{b}]", a + n)),
    ];
    let data_type = prop_oneof![
        2 => Just(String::new()),
        8 => (0..DataType::ALL.len()).prop_map(|i| format!(":{}", DataType::ALL[i])),
        2 => (0..DataType::ALL.len(), 0_u32..30).prop_map(|(i, n)| format!(":{}[{n}]", DataType::ALL[i])),
        2 => (0_u32..30).prop_map(|n| format!(":STRING({n})")),
        1 => (0_u32..30, 0_u32..4).prop_map(|(n, m)| format!(":WSTRING({n})[{m}]")),
    ];
    let options = prop_oneof![
        3 => Just(String::new()),
        1 => any::<u8>().prop_map(|unit| format!("{{unit-id: {unit}}}")),
        1 => (any::<u8>(), 0_usize..8).prop_map(|(unit, order)| {
            format!(" {{ byte-order: \"{}\", unit-id:{unit} }}", ByteOrder::NAMES[order])
        }),
    ];
    (area, middle, data_type, options).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_printed_parses_to_the_same(text in texts()) {
        if let Ok(address) = text.parse::<Address>() {
            let printed = address.to_string();
            prop_assert_eq!(printed.parse::<Address>(), Ok(address), "{} -> {}", text, printed);
            let last = address.start() + u32::from(address.width()) - 1;
            prop_assert!(address.width() >= 1 && address.width() <= address.area().value_max());
            prop_assert!(last + address.area().first() <= address.area().last());
        }
    }

    #[test]
    fn no_text_panics_and_every_place_lies_inside(text in "(holding-register|coil|4x)?[:.\\[\\]{}();'0-9A-Zé ,|#x-]{0,30}") {
        if let Err(mistake) = text.parse::<Address>() {
            let range = mistake.span.unwrap().range;
            prop_assert!(text.get(range.clone()).is_some(), "{:?} in {:?}", range, text);
        }
    }
}
