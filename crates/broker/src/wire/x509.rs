//! What a certificate says: its subject as Java prints it (RFC 2253), and how long it is valid (RFC 5280). Nothing is verified here.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::fmt::Write;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// One value of the distinguished encoding rules.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and length.
    whole: &'a [u8],
}

/// Takes the first element off `bytes`.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        let length = digits
            .iter()
            .try_fold(0_usize, |length, digit| length.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
    *bytes = rest;
    Some(Element { tag: *tag, content, whole })
}

fn take_tagged<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(bytes).filter(|element| element.tag == tag).map(|element| element.content)
}

/// The parts of a certificate that are looked at.
struct Parts<'a> {
    validity: &'a [u8],
    subject: &'a [u8],
}

fn parts(mut certificate: &[u8]) -> Option<Parts<'_>> {
    let mut signed = take_tagged(&mut certificate, SEQUENCE)?;
    let mut fields = take_tagged(&mut signed, SEQUENCE)?;
    let first = take(&mut fields)?;
    if first.tag == VERSION {
        take(&mut fields)?;
    }
    let _algorithm = take_tagged(&mut fields, SEQUENCE)?;
    let _issuer = take_tagged(&mut fields, SEQUENCE)?;
    let validity = take_tagged(&mut fields, SEQUENCE)?;
    let subject = take_tagged(&mut fields, SEQUENCE)?;
    Some(Parts { validity, subject })
}

/// Since when and until when a certificate is valid, in seconds since 1970.
pub(crate) fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let mut validity = parts(certificate)?.validity;
    Some((time(take(&mut validity)?)?, time(take(&mut validity)?)?))
}

fn time(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok().filter(|text| text.is_ascii())?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(match element.tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    })?;
    let year = number(year)?;
    let year = match element.tag {
        UTC_TIME if year < 50 => year.checked_add(2000)?,
        UTC_TIME => year.checked_add(1900)?,
        _ => year,
    };
    let mut rest = rest;
    let mut two = || {
        let (digits, behind) = rest.split_at_checked(2)?;
        rest = behind;
        number(digits)
    };
    let (month, day, hour, minute, second) = (two()?, two()?, two()?, two()?, two()?);
    let seconds = days(year, month, day)?.checked_mul(86_400)?;
    let of_day = hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    seconds.checked_add(of_day)
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Days since 1970, counted in years that begin with March.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let is_early = i64::from(month <= 2);
    let year = year.checked_sub(is_early)?;
    let from_march = month.checked_add(9)?.checked_rem(12)?;
    let of_months = from_march.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let leaps = year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let of_years = year.checked_mul(365)?.checked_add(leaps)?;
    of_years.checked_add(of_months)?.checked_add(day)?.checked_sub(719_469)
}

/// The subject's distinguished name, the most specific part first.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut names = parts(certificate)?.subject;
    let mut relative = Vec::new();
    while !names.is_empty() {
        let mut set = take_tagged(&mut names, SET)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            let mut pair = take_tagged(&mut set, SEQUENCE)?;
            let kind = take_tagged(&mut pair, OBJECT_IDENTIFIER)?;
            values.push(attribute(kind, take(&mut pair)?)?);
        }
        relative.push(values.join("+"));
    }
    relative.reverse();
    Some(relative.join(","))
}

/// `KEYWORD=value`, or `1.2.3=#hex` for what RFC 2253 has no keyword for.
fn attribute(kind: &[u8], value: Element<'_>) -> Option<String> {
    let keyword = match kind {
        [85, 4, 3] => Some("CN"),
        [85, 4, 6] => Some("C"),
        [85, 4, 7] => Some("L"),
        [85, 4, 8] => Some("ST"),
        [85, 4, 9] => Some("STREET"),
        [85, 4, 10] => Some("O"),
        [85, 4, 11] => Some("OU"),
        [9, 146, 38, 137, 147, 242, 44, 100, 1, 1] => Some("UID"),
        [9, 146, 38, 137, 147, 242, 44, 100, 1, 25] => Some("DC"),
        _ => None,
    };
    match (keyword, text(value)) {
        (Some(keyword), Some(text)) => Some(format!("{keyword}={}", escaped(&text))),
        (keyword, _) => {
            let kind = keyword.map_or_else(|| dotted(kind), |keyword| Some(keyword.to_owned()))?;
            let mut printed = format!("{kind}=#");
            for byte in value.whole {
                write!(printed, "{byte:02x}").ok()?;
            }
            Some(printed)
        }
    }
}

fn text(value: Element<'_>) -> Option<String> {
    match value.tag {
        // UTF8String, PrintableString, IA5String.
        12 | 19 | 22 => std::str::from_utf8(value.content).ok().map(str::to_owned),
        // TeletexString, as Latin-1.
        20 => Some(value.content.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        30 => {
            let units = value.content.chunks(2).map(|unit| unit.try_into().map(u16::from_be_bytes));
            String::from_utf16(&units.collect::<Result<Vec<u16>, _>>().ok()?).ok()
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::new();
    for (at, character) in text.chars().enumerate() {
        let is_outer_space = character == ' ' && (at == 0 || at == last);
        if is_outer_space || ",=+<>#;\"\\".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// An object identifier in numbers.
fn dotted(kind: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in kind {
        number = number.checked_mul(128)?.checked_add(u64::from(*byte & 0x7f))?;
        if *byte < 0x80 {
            if numbers.is_empty() {
                let first = number.checked_div(40)?.min(2);
                numbers.extend([first, number.checked_sub(first.checked_mul(40)?)?]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    Some(numbers.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, date_time_ymd};

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut parameters);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn subjects_print_as_java_prints_them() {
        let der = certificate(|parameters| {
            let name = &mut parameters.distinguished_name;
            name.push(DnType::CountryName, "DE");
            name.push(DnType::OrganizationName, "Acme, Inc.");
            name.push(DnType::OrganizationalUnitName, DnValue::BmpString("Müller=1".try_into().unwrap()));
            name.push(DnType::CommonName, " press\"1\\ ");
            let mail = DnValue::Ia5String("a@b".try_into().unwrap());
            name.push(DnType::from_oid(&[1, 2, 840, 113_549, 1, 9, 1]), mail);
        });
        let expected =
            r#"1.2.840.113549.1.9.1=#1603614062,CN=\ press\"1\\\ ,OU=Müller\=1,O=Acme\, Inc.,C=DE"#;
        assert_eq!(subject(&der).as_deref(), Some(expected));
    }

    #[test]
    fn a_comma_in_a_name_cannot_pass_for_another_part() {
        let der = certificate(|parameters| {
            parameters.distinguished_name.push(DnType::CommonName, "eve,OU=admins");
        });
        assert_eq!(subject(&der).as_deref(), Some(r"CN=eve\,OU\=admins"));
    }

    #[test]
    fn validity_is_read_in_both_forms() {
        let der = certificate(|parameters| {
            parameters.not_before = date_time_ymd(2024, 2, 29);
            parameters.not_after = date_time_ymd(2100, 1, 1);
        });
        assert_eq!(validity(&der), Some((1_709_164_800, 4_102_444_800)));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (subject(&bytes), validity(&bytes));
        }

        #[test]
        fn a_damaged_certificate_is_read_without_a_panic(at in 0_usize..400, byte in any::<u8>(), end in 0_usize..500) {
            let mut der = certificate(|parameters| parameters.distinguished_name.push(DnType::CommonName, "a"));
            if let Some(damaged) = der.get_mut(at) {
                *damaged = byte;
            }
            let der = der.get(..end).unwrap_or(&der);
            let _ = (subject(der), validity(der));
        }
    }
}
