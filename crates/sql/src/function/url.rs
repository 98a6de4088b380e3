//! Functions of URLs (RFC 2396, as Java's `URI` reads it) and of what stands in them encoded.

use super::Params::Types;
use super::text::{owned, str_at};
use super::{Body, Returns, RowBody, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{self, Int, Varchar};
use std::fmt::Write as _;

const fn of(params: &'static [SqlType], returns: SqlType, body: RowBody) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(returns), body: Body::Fallible(body) }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "URL_ENCODE_PARAM",
        "The text as it stands as a parameter of a URL: a space as '+', other signs as '%20'.",
        &[of(&[Varchar], Varchar, encode_param)],
    ),
    function(
        "URL_DECODE_PARAM",
        "The text that an encoded parameter of a URL stands for.",
        &[of(&[Varchar], Varchar, decode_param)],
    ),
    function(
        "URL_EXTRACT_PROTOCOL",
        "The protocol of a URL, such as https.",
        &[of(&[Varchar], Varchar, |args| text(Url::read(str_at(args, 0))?.scheme, false))],
    ),
    function(
        "URL_EXTRACT_HOST",
        "The name of the host in a URL.",
        &[of(&[Varchar], Varchar, |args| text(Url::read(str_at(args, 0))?.host, false))],
    ),
    function(
        "URL_EXTRACT_PORT",
        "The port in a URL; NULL where none is written.",
        &[of(&[Varchar], Int, |args| Ok(Url::read(str_at(args, 0))?.port.map_or(Datum::Null, Datum::Int)))],
    ),
    function(
        "URL_EXTRACT_PATH",
        "The path of a URL, decoded.",
        &[of(&[Varchar], Varchar, |args| text(Url::read(str_at(args, 0))?.path, true))],
    ),
    function(
        "URL_EXTRACT_QUERY",
        "What stands behind the question mark of a URL, decoded.",
        &[of(&[Varchar], Varchar, |args| text(Url::read(str_at(args, 0))?.query, true))],
    ),
    function(
        "URL_EXTRACT_FRAGMENT",
        "What stands behind the # of a URL, decoded.",
        &[of(&[Varchar], Varchar, |args| text(Url::read(str_at(args, 0))?.fragment, true))],
    ),
    function(
        "URL_EXTRACT_PARAMETER",
        "URL_EXTRACT_PARAMETER(url, name): the value of a parameter, decoded; NULL where there is none of this name.",
        &[of(&[Varchar, Varchar], Varchar, parameter)],
    ),
];

/// The parts of a URL, still encoded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Url<'u> {
    scheme: Option<&'u str>,
    host: Option<&'u str>,
    port: Option<i32>,
    path: Option<&'u str>,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

impl<'u> Url<'u> {
    fn read(url: &'u str) -> Result<Self, String> {
        check(url).map_err(|why| {
            let url: String = url.chars().take(60).collect();
            format!("'{url}' is no URL: {why}")
        })?;
        let (rest, fragment) = cut(url, '#');
        let scheme = rest.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
        let (scheme, rest) = scheme.map_or((None, rest), |(scheme, rest)| (Some(scheme), rest));
        if scheme.is_some() && !rest.starts_with('/') {
            // Such as `mailto:a@b`: nothing inside has a meaning for all protocols.
            return Ok(Self { scheme, fragment, ..Self::default() });
        }
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (rest.get(..end), rest.get(end..).unwrap_or_default())
            }
            None => (None, rest),
        };
        if path.contains(['[', ']']) {
            return Err("a square bracket in the path of a URL must be encoded".to_owned());
        }
        let (host, port) = authority.and_then(server).map_or((None, None), |(host, port)| (Some(host), port));
        Ok(Self { scheme, host, port, path: Some(path), query, fragment })
    }
}

/// What stands before the first such sign, and what behind it.
fn cut(text: &str, sign: char) -> (&str, Option<&str>) {
    text.split_once(sign).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn check(url: &str) -> Result<(), &'static str> {
    if url.is_empty() {
        return Err("it is empty");
    }
    if url.chars().any(|c| c.is_ascii_control() || c.is_whitespace() || "<>\"{}|\\^`".contains(c)) {
        return Err("a sign in it must be encoded");
    }
    if url.matches('#').count() > 1 {
        return Err("a second # in it must be encoded");
    }
    if percent_decode(url).is_none() {
        return Err("two hexadecimal digits must follow a %");
    }
    match url.split_once(':') {
        Some((scheme, "")) if is_scheme(scheme) => Err("nothing stands behind the protocol"),
        Some(("", _)) => Err("no protocol stands before the colon"),
        _ => Ok(()),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Host and port of `user@host:port`; `None` where it is no server's name.
fn server(authority: &str) -> Option<(&str, Option<i32>)> {
    let rest = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, ""),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let numeric = address.is_some_and(|v6| v6.parse::<core::net::Ipv6Addr>().is_ok());
    // A last part that begins with a digit belongs to an address of four numbers.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let named = named
        && (!last.starts_with(|c: char| c.is_ascii_digit()) || host.parse::<core::net::Ipv4Addr>().is_ok());
    if host.is_empty() || !(named || numeric) {
        return None;
    }
    if port.is_empty() {
        return Some((host, None));
    }
    let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((host, Some(port)))
}

/// A part of a URL, decoded where asked.
fn text<'a>(part: Option<&str>, decode: bool) -> Result<Datum<'a>, String> {
    let Some(part) = part else { return Ok(Datum::Null) };
    let decoded = if decode { percent_decode(part) } else { Some(part.to_owned()) };
    decoded.map(owned).ok_or_else(|| "two hexadecimal digits must follow a %".to_owned())
}

/// Every `%20` as the byte it stands for; what is no UTF-8 becomes U+FFFD. `None` where digits are missing.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parameter<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let url = Url::read(str_at(args, 0))?;
    let name = str_at(args, 1);
    for pair in url.query.into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = cut(pair, '=');
        if percent_decode(key).as_deref() == Some(name) {
            // A parameter without a value is empty, as in ksqlDB.
            return text(Some(value.unwrap_or_default()), true);
        }
    }
    Ok(Datum::Null)
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn encode_param<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let mut out = String::new();
    for byte in str_at(args, 0).bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(owned(out))
}

fn decode_param<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    text(Some(&str_at(args, 0).replace('+', " ")), true)
}
