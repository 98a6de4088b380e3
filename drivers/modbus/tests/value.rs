//! Values in registers: every type, every byte order, arrays, strings, bits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_modbus::address::{Address, ByteOrder};
use millstream_modbus::value::Encoding;
use millstream_model::{Cell, DataType, Status, Value};
use proptest::prelude::*;

fn encoding(address: &str, order: ByteOrder) -> Encoding {
    Encoding::new(&address.parse::<Address>().unwrap(), order)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn byte_orders_lie_as_plc4x_documents_them() {
    let long: u64 = 0x0102_0304_0506_0708;
    for (order, short, word, wide) in [
        (ByteOrder::BigEndian, [1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
        (ByteOrder::LittleEndian, [2, 1], [4, 3, 2, 1], [8, 7, 6, 5, 4, 3, 2, 1]),
        (ByteOrder::BigEndianByteSwap, [2, 1], [2, 1, 4, 3], [2, 1, 4, 3, 6, 5, 8, 7]),
        (ByteOrder::LittleEndianByteSwap, [1, 2], [3, 4, 1, 2], [7, 8, 5, 6, 3, 4, 1, 2]),
        (ByteOrder::BigEndianWordSwap, [1, 2], [3, 4, 1, 2], [3, 4, 1, 2, 7, 8, 5, 6]),
        (ByteOrder::LittleEndianWordSwap, [2, 1], [2, 1, 4, 3], [6, 5, 8, 7, 2, 1, 4, 3]),
        (ByteOrder::BigEndianWordSwapByteSwap, [2, 1], [4, 3, 2, 1], [4, 3, 2, 1, 8, 7, 6, 5]),
        (ByteOrder::LittleEndianWordSwapByteSwap, [1, 2], [1, 2, 3, 4], [5, 6, 7, 8, 1, 2, 3, 4]),
    ] {
        let bytes = |address, value| encoding(address, order).encode(&Value::UInt(value)).unwrap();
        assert_eq!(bytes("400001:WORD", 0x0102), short, "{order:?}");
        assert_eq!(bytes("400001:DWORD", 0x0102_0304), word, "{order:?}");
        assert_eq!(bytes("400001:LWORD", long), wide, "{order:?}");
        assert_eq!(encoding("400001:LWORD", order).decode(&wide), Cell::Good(Value::UInt(long)), "{order:?}");
    }
}

#[test]
fn a_tag_s_own_byte_order_stands_above_the_connection_s() {
    let own = encoding("400001:DINT{byte-order: 'LITTLE_ENDIAN'}", ByteOrder::BigEndian);
    assert_eq!(own.decode(&[4, 3, 2, 1]), Cell::Good(Value::Int(0x0102_0304)));
}

#[test]
fn eight_bit_values_bits_and_texts_lie_as_documented() {
    let be = ByteOrder::BigEndian;
    let swapped = ByteOrder::BigEndianByteSwap;
    let bools = |bits: &str| Value::List(bits.chars().map(|c| Value::Bool(c == '1')).collect());
    let bytes = |list: &[u64]| Value::List(list.iter().map(|v| Value::UInt(*v)).collect());
    for (address, order, registers, value) in [
        ("400001:BYTE", be, &[0, 0x2A][..], Value::UInt(0x2A)),
        ("400001:SINT", be, &[0, 0xFF], Value::Int(-1)),
        ("400001:CHAR", be, &[0, b'A'], text("A")),
        ("400001:CHAR", swapped, &[b'A', 0], text("A")),
        ("400001:BYTE[3]", be, &[1, 2, 3, 0], bytes(&[1, 2, 3])),
        ("400001:BYTE[3]", swapped, &[2, 1, 0, 3], bytes(&[1, 2, 3])),
        ("400001:BYTE[4]", ByteOrder::LittleEndian, &[1, 2, 3, 4], bytes(&[1, 2, 3, 4])),
        ("400001:BOOL", be, &[0, 1], Value::Bool(true)),
        ("400001.3:BOOL", be, &[0, 8], Value::Bool(true)),
        ("400001.15:BOOL", be, &[0x80, 0], Value::Bool(true)),
        ("400001:BOOL[16]", be, &[0x80, 0x01], bools("1000000000000001")),
        ("400001.0:BOOL[16]", be, &[0x80, 0x03], bools("1100000000000001")),
        ("400001.14:BOOL[4]", be, &[0x40, 0, 0, 2], bools("1001")),
        ("400001:STRING(5)", be, b"Hello\0", text("Hello")),
        ("400001:STRING(6)", be, b"Hi\0\0\0\0", text("Hi")),
        ("400001:STRING(4)", swapped, b"lPC4", text("Pl4C")),
        ("400001:STRING(4)", be, "käx".as_bytes(), text("käx")),
        ("400001:WSTRING(3)", be, &[0, b'a', 0x20, 0xAC, 0, 0], text("a€")),
        ("400001:WSTRING(2)", ByteOrder::LittleEndian, &[b'a', 0, 0xAC, 0x20], text("a€")),
        ("400001:WCHAR", be, &[0x20, 0xAC], text("€")),
        ("400001:RAW_BYTE_ARRAY[3]", be, &[7, 8, 9, 0], Value::Bytes([7, 8, 9].into())),
        ("400001:RAW_BYTE_ARRAY", be, &[0, 9], Value::Bytes([9].into())),
        ("400001:STRING(2)[2]", be, b"abc\0", Value::List(vec![text("ab"), text("c")])),
        ("400001:REAL", ByteOrder::LittleEndianByteSwap, &[0, 0, 0x41, 0x20], Value::Real(10.0)),
        ("400001[0..0]:INT", be, &[0, 5], Value::List(vec![Value::Int(5)])),
    ] {
        let encoding = encoding(address, order);
        assert_eq!(encoding.decode(registers), Cell::Good(value.clone()), "{address} {order:?}");
        assert_eq!(encoding.encode(&value).unwrap(), registers, "{address} {order:?}");
    }
    assert_eq!(encoding("400001:STRING(2)", be).decode(&[0xFF, 0xFE]), Cell::Bad(Status::BadDecodingError));
    assert_eq!(encoding("400001:DINT", be).decode(&[0, 1]), Cell::Bad(Status::BadDecodingError));
}

#[test]
fn bits_change_by_mask_and_byte_orders_move_the_mask_too() {
    let mask = |address, order, value| {
        let mask = encoding(address, order).mask(&value).unwrap().unwrap();
        (mask.and, mask.or)
    };
    assert_eq!(mask("400001.3:BOOL", ByteOrder::BigEndian, Value::Bool(true)), (0xFFF7, 8));
    assert_eq!(mask("400001.3:BOOL", ByteOrder::BigEndian, Value::Bool(false)), (0xFFF7, 0));
    assert_eq!(mask("400001.3:BOOL", ByteOrder::BigEndianByteSwap, Value::Bool(true)), (0xF7FF, 0x0800));
    let three = Value::List(vec![Value::Bool(true), Value::Bool(false), Value::Bool(true)]);
    assert_eq!(mask("400001.1:BOOL[3]", ByteOrder::BigEndian, three.clone()), (0xFFF1, 0x000A));
    assert_eq!(mask("400001:BOOL[3]", ByteOrder::BigEndian, three), (0x1FFF, 0xA000));
    assert_eq!(encoding("400001:BOOL", ByteOrder::BigEndian).mask(&Value::Bool(true)), Ok(None));
}

#[test]
fn values_that_do_not_fit_are_refused_in_words() {
    let be = ByteOrder::BigEndian;
    for (address, value, status, words) in [
        ("400001:INT", Value::Int(40_000), Status::BadOutOfRange, "`40000` does not fit in INT"),
        ("400001:UINT", Value::Int(-1), Status::BadOutOfRange, "`-1` does not fit in UINT"),
        ("400001:BYTE", Value::UInt(256), Status::BadOutOfRange, "`256` does not fit in BYTE"),
        ("400001:INT", text("5"), Status::BadTypeMismatch, "`5` is no INT"),
        ("400001:INT", Value::LReal(5.0), Status::BadTypeMismatch, "`5` is no INT"),
        ("400001:REAL", Value::LReal(1e300), Status::BadOutOfRange, "does not fit in REAL"),
        ("400001:STRING(2)", text("abc"), Status::BadOutOfRange, "`abc` does not fit in STRING(2)"),
        (
            "400001:INT[2]",
            Value::List(vec![Value::Int(1)]),
            Status::BadOutOfRange,
            "`[1]` does not fit in INT[2]",
        ),
        ("400001:BOOL", Value::Int(1), Status::BadTypeMismatch, "`1` is no BOOL"),
        ("400001:CHAR", text("€"), Status::BadOutOfRange, "`€` does not fit in CHAR"),
    ] {
        let error = encoding(address, be).encode(&value).unwrap_err();
        assert_eq!(error.status(), status, "{address}");
        assert!(error.to_string().contains(words), "{address}: {error}");
    }
}

fn values(data_type: DataType) -> BoxedStrategy<Value> {
    use DataType as T;
    match data_type {
        T::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        T::Byte | T::USInt => any::<u8>().prop_map(|v| Value::UInt(v.into())).boxed(),
        T::Word | T::UInt => any::<u16>().prop_map(|v| Value::UInt(v.into())).boxed(),
        T::DWord | T::UDInt => any::<u32>().prop_map(|v| Value::UInt(v.into())).boxed(),
        T::LWord | T::ULInt => any::<u64>().prop_map(Value::UInt).boxed(),
        T::SInt => any::<i8>().prop_map(|v| Value::Int(v.into())).boxed(),
        T::Int => any::<i16>().prop_map(|v| Value::Int(v.into())).boxed(),
        T::DInt => any::<i32>().prop_map(|v| Value::Int(v.into())).boxed(),
        T::LInt => any::<i64>().prop_map(Value::Int).boxed(),
        T::Real => any::<f32>().prop_map(Value::Real).boxed(),
        T::LReal => any::<f64>().prop_map(Value::LReal).boxed(),
        T::Char => any::<u8>().prop_map(|v| Value::Text(char::from(v).to_string().into())).boxed(),
        T::WChar => "[ -~À-ſ€]".prop_map(|v| Value::Text(v.into())).boxed(),
        T::String => "[ -~é€]{0,6}".prop_map(|v| Value::Text(v.into())).boxed(),
        T::WString => "[ -~é€😀]{0,10}".prop_map(|v| Value::Text(v.into())).boxed(),
        _ => any::<u8>().prop_map(|v| Value::Bytes([v].into())).boxed(),
    }
}

/// An address on holding registers and a value that it takes.
fn cases() -> impl Strategy<Value = (String, Value)> {
    let data_type = prop::sample::select(DataType::ALL[..19].to_vec());
    (data_type, 0_usize..6).prop_flat_map(|(data_type, count)| {
        let length = if matches!(data_type, DataType::String | DataType::WString) { "(20)" } else { "" };
        let values = prop::collection::vec(values(data_type), count.max(1));
        values.prop_map(move |values| match count {
            0 => (format!("400001:{data_type}{length}"), values[0].clone()),
            n => (format!("400001[0..{}]:{data_type}{length}", n - 1), Value::List(values)),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_written_is_read_back((address, value) in cases(), order in prop::sample::select(ByteOrder::ALL.to_vec())) {
        let encoding = encoding(&address, order);
        let bytes = encoding.encode(&value).unwrap();
        let width = address.parse::<Address>().unwrap().width();
        prop_assert_eq!(bytes.len(), usize::from(width) * 2, "{}", address);
        let read = encoding.decode(&bytes);
        prop_assert_eq!(format!("{:?}", read), format!("{:?}", Cell::Good(value)), "{} {:?}", address, order);
    }

    #[test]
    fn whatever_the_registers_hold_never_panics((address, _) in cases(), bytes in prop::collection::vec(any::<u8>(), 0..40), order in prop::sample::select(ByteOrder::ALL.to_vec())) {
        let _ = encoding(&address, order).decode(&bytes);
        let _ = encoding("coil:1[9]", order).decode_bits(&bytes, 3);
    }
}
