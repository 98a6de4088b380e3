//! Reading an address: every mistake names its place, what was expected there and a right example.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{Address, Area, ByteOrder, is_packed, registers_per_element, width};
use millstream_model::{DataType, Diagnostic, nearest};
use std::ops::Range;

/// The data types that Modbus carries.
const TYPES: [DataType; 20] = [
    DataType::Bool,
    DataType::Byte,
    DataType::Word,
    DataType::DWord,
    DataType::LWord,
    DataType::SInt,
    DataType::USInt,
    DataType::Int,
    DataType::UInt,
    DataType::DInt,
    DataType::UDInt,
    DataType::LInt,
    DataType::ULInt,
    DataType::Real,
    DataType::LReal,
    DataType::Char,
    DataType::WChar,
    DataType::String,
    DataType::WString,
    DataType::Raw,
];

/// `[index]`, `[first..last]`, either with `;base`.
#[derive(Debug, Clone)]
struct Selection {
    first: u32,
    last: Option<u32>,
    range: Range<usize>,
}

/// `:TYPE(length)[count]`.
#[derive(Debug, Clone)]
struct TypePart {
    data_type: DataType,
    length: Option<u32>,
    count: Option<u32>,
    range: Range<usize>,
}

pub(super) fn address(text: &str) -> Result<Address, Diagnostic> {
    let mut cursor = Cursor { text, at: 0 };
    let (area, number, number_range) = area_and_number(&mut cursor)?;
    let bit = bit(&mut cursor, area)?;
    let selection = selection(&mut cursor)?;
    let type_part = type_part(&mut cursor)?;
    let (unit, byte_order) = options(&mut cursor)?;
    if cursor.at < text.len() {
        let rest = cursor.at..text.len();
        let shown = text.get(rest.clone()).unwrap_or_default();
        return Err(mistake("address-trailing", rest, format!("`{shown}` does not belong here"), area)
            .label("expected the end of the address, `:TYPE`, `[n]` or `{unit-id: 1}`"));
    }
    let shape = shape(area, bit.as_ref(), selection.as_ref(), type_part.as_ref(), text.len())?;
    let end = number.saturating_add(shape.offset);
    let width = width(area, shape.data_type, shape.length, bit.as_ref().map(|b| b.0), shape.count);
    if number < area.first() || end.saturating_add(width).saturating_sub(1) > area.last() {
        return Err(mistake(
            "address-range",
            number_range,
            format!("{area} {number} with {width} element(s) is outside the area"),
            area,
        )
        .label(format!("expected {} to {}", area.first(), area.last())));
    }
    if width > u32::from(area.value_max()) {
        let unit = if area.is_bits() { "bits" } else { "registers" };
        return Err(mistake(
            "address-size",
            number_range.start..text.len(),
            format!("the value takes {width} {unit}"),
            area,
        )
        .label(format!("expected at most {}, so that one request can read it whole", area.value_max())));
    }
    Ok(Address {
        area,
        start: end.saturating_sub(area.first()),
        bit: bit.map(|(bit, _)| bit),
        data_type: shape.data_type,
        length: shape.length,
        count: shape.count,
        unit,
        byte_order,
    })
}

/// A mistake with an example of the same area.
fn mistake(code: &'static str, range: Range<usize>, message: String, area: Area) -> Diagnostic {
    let example = match area {
        Area::Coil => "coil:1 or coil:1:BOOL[8]",
        Area::DiscreteInput => "discrete-input:1",
        Area::InputRegister => "input-register:1:UINT",
        Area::HoldingRegister => "holding-register:1:REAL, holding-register:5.3:BOOL or 400001:INT[4]",
        Area::ExtendedRegister => "extended-register:1:INT",
    };
    Diagnostic::error(code, message).at(range).help(format!("for example {example}"))
}

fn area_and_number(cursor: &mut Cursor<'_>) -> Result<(Area, u32, Range<usize>), Diagnostic> {
    for area in Area::ALL {
        if cursor.take(area.name()) && cursor.take(":") {
            let range = cursor.digits();
            let number = cursor.number(range.clone());
            return match number {
                Some(number) => Ok((area, number, range)),
                None => Err(number_mistake(cursor, range, area)),
            };
        }
        cursor.at = 0;
    }
    for area in Area::ALL {
        let mut buffer = [0; 4];
        if cursor.take(area.digit().encode_utf8(&mut buffer)) {
            let _ = cursor.take("x") || cursor.take("X");
            let range = cursor.digits();
            return match cursor.number(range.clone()) {
                Some(number) if matches!(range.len(), 4 | 5) => Ok((area, number, 0..range.end)),
                _ => Err(mistake(
                    "address-number",
                    0..range.end.max(1),
                    format!("`{}` is no short address", cursor.shown(0..range.end)),
                    area,
                )
                .label(format!(
                    "expected `{digit}` or `{digit}x` and 4 or 5 digits, such as {digit}00001",
                    digit = area.digit()
                ))),
            };
        }
    }
    let end = cursor.text.find(':').unwrap_or(cursor.text.len());
    let word = cursor.shown(0..end);
    let mistake = Diagnostic::error("address-area", format!("`{word}` is no Modbus area"))
        .at(0..end)
        .label("expected `coil:`, `discrete-input:`, `input-register:`, `holding-register:` or `extended-register:`, or 0, 1, 3, 4 or 6 and the number");
    Err(match nearest(word, Area::ALL.map(Area::name)) {
        Some(name) => mistake.help(format!("did you mean `{name}:`?")),
        None => mistake.help(format!("for example {}", super::EXAMPLE)),
    })
}

fn number_mistake(cursor: &Cursor<'_>, range: Range<usize>, area: Area) -> Diagnostic {
    let shown = cursor.shown(range.clone());
    let place = if range.is_empty() { range.start..cursor.text.len() } else { range };
    mistake("address-number", place, format!("`{shown}` is no {area} number"), area).label(format!(
        "expected a number from {} to {}",
        area.first(),
        area.last()
    ))
}

/// `.3`: a bit of a register, 0 being the least significant.
fn bit(cursor: &mut Cursor<'_>, area: Area) -> Result<Option<(u8, Range<usize>)>, Diagnostic> {
    if !cursor.take(".") {
        return Ok(None);
    }
    let range = cursor.digits();
    let bit = cursor.number(range.clone()).and_then(|bit| u8::try_from(bit).ok()).filter(|bit| *bit < 16);
    let place = range.start.saturating_sub(1)..range.end.max(range.start);
    match bit {
        _ if area.is_bits() => {
            Err(mistake("address-bit", place, format!("a {area} is one bit already"), area)
                .label("expected no bit number"))
        }
        None => Err(mistake("address-bit", place, "there is no such bit in a register".to_owned(), area)
            .label("expected 0 (least significant) to 15")),
        Some(bit) => Ok(Some((bit, place))),
    }
}

fn selection(cursor: &mut Cursor<'_>) -> Result<Option<Selection>, Diagnostic> {
    let start = cursor.at;
    if !cursor.take("[") {
        return Ok(None);
    }
    let first = cursor.digits();
    let first = cursor.number(first);
    let ranged = cursor.take("..");
    let last = if ranged { Some(cursor.digits()).and_then(|range| cursor.number(range)) } else { None };
    let base =
        if cursor.take(";") { Some(cursor.digits()).and_then(|range| cursor.number(range)) } else { Some(0) };
    let closed = cursor.take("]");
    let range = start..cursor.at.max(start.saturating_add(1)).min(cursor.text.len());
    let wrong = || {
        Diagnostic::error(
            "address-array",
            format!("`{}` is no selection", cursor.shown(start..cursor.end_of_brackets(start))),
        )
        .at(start..cursor.end_of_brackets(start))
        .label("expected `[n]`, `[first..last]` or `[first..last;base]`, first not after last, base not after first")
        .help("for example holding-register:1[0..3]:INT or holding-register:1:INT[4]")
    };
    let (Some(first), Some(base), true, true) = (first, base, closed, ranged == last.is_some()) else {
        return Err(wrong());
    };
    let Some(first_offset) = first.checked_sub(base) else { return Err(wrong()) };
    let last_offset = match last {
        Some(last) if last >= first => last.checked_sub(base),
        Some(_) => return Err(wrong()),
        None => None,
    };
    Ok(Some(Selection { first: first_offset, last: last_offset, range }))
}

fn type_part(cursor: &mut Cursor<'_>) -> Result<Option<TypePart>, Diagnostic> {
    if !cursor.take(":") {
        return Ok(None);
    }
    let start = cursor.at;
    let name = cursor.word();
    let shown = cursor.shown(name.clone());
    let known = shown.parse::<DataType>().ok().filter(|data_type| TYPES.contains(data_type));
    let Some(data_type) = known else {
        let names = TYPES.map(DataType::name);
        let place = if name.is_empty() { start.saturating_sub(1)..cursor.text.len() } else { name.clone() };
        let wrong = Diagnostic::error("address-type", format!("`{shown}` is no Modbus data type"))
            .at(place)
            .label(format!("expected {}", names.join(", ")));
        return Err(match nearest(shown, names) {
            Some(name) => wrong.help(format!("did you mean `{name}`?")),
            None => wrong.help(format!("for example {}", super::EXAMPLE)),
        });
    };
    let mut part = TypePart { data_type, length: None, count: None, range: name };
    let counted = |cursor: &mut Cursor<'_>, close: &str, what: &str| {
        let open = cursor.at.saturating_sub(1);
        let digits = cursor.digits();
        let number = cursor.number(digits).filter(|number| *number > 0);
        match (number, cursor.take(close)) {
            (Some(number), true) => Ok(number),
            _ => Err(Diagnostic::error("address-array", format!("there is no {what} here"))
                .at(open..cursor.end_of_brackets(open))
                .label(format!("expected a {what} from 1 and `{close}`"))
                .help("for example holding-register:1:INT[4], holding-register:1[0..3]:INT or holding-register:1:STRING(20)")),
        }
    };
    if cursor.take("(") {
        part.length = Some(counted(cursor, ")", "length")?);
    }
    if cursor.take("[") {
        part.count = Some(counted(cursor, "]", "count")?);
    }
    part.range.end = cursor.at;
    Ok(Some(part))
}

/// What selection and type say together.
struct Shape {
    data_type: DataType,
    length: u16,
    count: Option<u16>,
    /// Elements of the area from the number to the first one selected.
    offset: u32,
}

fn shape(
    area: Area,
    bit: Option<&(u8, Range<usize>)>,
    selection: Option<&Selection>,
    type_part: Option<&TypePart>,
    text_len: usize,
) -> Result<Shape, Diagnostic> {
    let default = if area.is_bits() || bit.is_some() { DataType::Bool } else { DataType::Int };
    let data_type = type_part.map_or(default, |part| part.data_type);
    let type_range = type_part.map_or(0..text_len, |part| part.range.clone());
    if area.is_bits() && data_type != DataType::Bool {
        return Err(mistake("address-type", type_range, format!("a {area} is no {data_type}"), area)
            .label("expected BOOL, or no type"));
    }
    if let Some((_, range)) = bit.filter(|_| data_type != DataType::Bool) {
        return Err(mistake("address-bit", range.clone(), format!("a bit is no {data_type}"), area)
            .label("expected BOOL behind a bit number"));
    }
    let (length, after_type) = string_length(data_type, type_part, type_range)?;
    let (offset, count) = match (selection, after_type) {
        (Some(selection), Some(_)) => {
            return Err(mistake(
                "address-array",
                selection.range.clone(),
                "elements are counted twice".to_owned(),
                area,
            )
            .label("expected `[first..last]` before the type or `[n]` behind it, not both"));
        }
        (None, None) => (0, None),
        // `TYPE[1]` is one value, as in PLC4X 0.x.
        (None, Some(count)) => (0, Some(count).filter(|count| *count > 1)),
        // Without a type, `[n]` is a count: what PLC4X up to 0.13 reads.
        (Some(Selection { first, last: None, .. }), None) if type_part.is_none() => {
            (0, Some(*first).filter(|count| *count > 1))
        }
        (Some(Selection { first, last: None, .. }), None) => (*first, None),
        (Some(Selection { first, last: Some(last), .. }), None) => {
            (*first, Some(last.saturating_sub(*first).saturating_add(1)))
        }
    };
    let zero_count = matches!(selection, Some(Selection { first: 0, last: None, .. })) && type_part.is_none();
    let count = count.map(|count| u16::try_from(count).unwrap_or(u16::MAX));
    let selection_range = selection.map_or(0..text_len, |selection| selection.range.clone());
    if zero_count {
        return Err(mistake("address-array", selection_range, "an array of nothing".to_owned(), area)
            .label("expected a count from 1"));
    }
    if offset > 0 && is_packed(data_type) && !area.is_bits() {
        return Err(mistake(
            "address-array",
            selection_range,
            format!("several {data_type}s share a register, so element {offset} is not well placed"),
            area,
        )
        .label("expected `[0..n]`, or the number of the register itself"));
    }
    let stride = if area.is_bits() { 1 } else { registers_per_element(data_type, length) };
    Ok(Shape { data_type, length, count, offset: offset.saturating_mul(stride) })
}

/// The length of one string, and the count behind the type that is left after it.
fn string_length(
    data_type: DataType,
    part: Option<&TypePart>,
    range: Range<usize>,
) -> Result<(u16, Option<u32>), Diagnostic> {
    let (length, count) = part.map_or((None, None), |part| (part.length, part.count));
    let help =
        "for example holding-register:1:STRING(20), or holding-register:1[0..2]:STRING(20) for three of them";
    match (matches!(data_type, DataType::String | DataType::WString), length, count) {
        (true, Some(length), count) => Ok((u16::try_from(length).unwrap_or(u16::MAX), count)),
        // PLC4X 0.x: `STRING[20]` is one string of 20.
        (true, None, Some(length)) => Ok((u16::try_from(length).unwrap_or(u16::MAX), None)),
        (true, None, None) => {
            Err(Diagnostic::error("address-string", format!("how long is the {data_type}?"))
                .at(range)
                .label(format!("expected {data_type}(n) with the number of characters"))
                .help(help))
        }
        (false, Some(_), _) => {
            Err(Diagnostic::error("address-string", format!("a {data_type} has no length"))
                .at(range)
                .label("expected a length behind STRING and WSTRING only; arrays are `[n]`")
                .help(help))
        }
        (false, None, count) => Ok((1, count)),
    }
}

const OPTIONS: [&str; 2] = ["unit-id", "byte-order"];

fn options(cursor: &mut Cursor<'_>) -> Result<(Option<u8>, Option<ByteOrder>), Diagnostic> {
    let (mut unit, mut order) = (None, None);
    cursor.spaces();
    let open = cursor.at;
    if !cursor.take("{") {
        return Ok((unit, order));
    }
    let help = "for example {unit-id: 5, byte-order: 'LITTLE_ENDIAN'}";
    cursor.spaces();
    while !cursor.take("}") {
        let name = cursor.word();
        cursor.spaces();
        let colon = cursor.take(":");
        cursor.spaces();
        let value = cursor.quoted();
        let (key, text) = (cursor.shown(name.clone()), cursor.shown(value.clone()));
        let wrong = |range: Range<usize>, message: String, label: String| {
            Err(Diagnostic::error("address-option", message).at(range).label(label).help(help))
        };
        if name.is_empty() || !colon || value.is_empty() {
            let end = cursor.text.len();
            return wrong(
                open..end,
                "the tag's options cannot be read".to_owned(),
                "expected `name: value` pairs between braces".to_owned(),
            );
        }
        match key {
            "unit-id" if unit.is_none() => match text.parse() {
                Ok(id) => unit = Some(id),
                Err(_) => {
                    return wrong(value, format!("`{text}` is no unit id"), "expected 0 to 255".to_owned());
                }
            },
            "byte-order" if order.is_none() => {
                order = ByteOrder::from_name(text);
                if order.is_none() {
                    let near = nearest(text, ByteOrder::NAMES.iter().copied())
                        .map_or_else(|| help.to_owned(), |name| format!("did you mean `{name}`?"));
                    return Err(Diagnostic::error("address-option", format!("`{text}` is no byte order"))
                        .at(value)
                        .label(format!("expected one of {}", ByteOrder::NAMES.join(", ")))
                        .help(near));
                }
            }
            _ if OPTIONS.contains(&key) => {
                return wrong(name, format!("`{key}` is given twice"), "give it once".to_owned());
            }
            _ => {
                let label = nearest(key, OPTIONS).map_or_else(
                    || "expected `unit-id` or `byte-order`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                return wrong(name, format!("there is no tag option `{key}`"), label);
            }
        }
        cursor.spaces();
        let _ = cursor.take(",");
        cursor.spaces();
    }
    Ok((unit, order))
}

/// A place in the text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn shown(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at = self.at.saturating_add(token.len());
        }
        found
    }

    fn run(&mut self, accepts: impl Fn(char) -> bool) -> Range<usize> {
        let rest = self.rest();
        let len = rest.find(|c: char| !accepts(c)).unwrap_or(rest.len());
        let start = self.at;
        self.at = start.saturating_add(len);
        start..self.at
    }

    fn digits(&mut self) -> Range<usize> {
        self.run(|c| c.is_ascii_digit())
    }

    /// A word of a type or an option name.
    fn word(&mut self) -> Range<usize> {
        self.run(|c| c.is_alphanumeric() || c == '_' || c == '-')
    }

    fn spaces(&mut self) {
        self.run(|c| c == ' ');
    }

    /// A word, or a text between quotes of either kind; the range is without the quotes.
    fn quoted(&mut self) -> Range<usize> {
        for quote in ['\'', '"'] {
            let mut buffer = [0; 4];
            if self.take(quote.encode_utf8(&mut buffer)) {
                let inner = self.run(|c| c != quote);
                self.take(quote.encode_utf8(&mut buffer));
                return inner;
            }
        }
        self.word()
    }

    fn number(&self, range: Range<usize>) -> Option<u32> {
        Some(self.shown(range)).filter(|digits| digits.len() <= 9).and_then(|digits| digits.parse().ok())
    }

    /// Where the brackets that open at `open` close, or the text ends.
    fn end_of_brackets(&self, open: usize) -> usize {
        let rest = self.text.get(open..).unwrap_or_default();
        rest.find([']', ')']).map_or(self.text.len(), |len| open.saturating_add(len).saturating_add(1))
    }
}
