//! Connection strings, as PLC4X writes them: `protocol[:transport]://host[:port][/path][?option=value&…]`.

use millstream_model::{Diagnostic, OptionSpec, Options};
use std::fmt;
use std::ops::Range;

/// A connection string taken apart, without knowing the protocol yet.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// As it was written.
    pub text: String,
    /// The protocol, such as `modbus-tcp`.
    pub protocol: String,
    /// The transport where it is given, such as `tcp` in `modbus-tcp:tcp://…`.
    pub transport: Option<String>,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port where it is given.
    pub port: Option<u16>,
    /// What follows the authority up to `?`, with its slash; often empty.
    pub path: String,
    /// Option names and values with the places of the pairs, percent-decoded, in order.
    pub options: Vec<(String, String, Range<usize>)>,
}

/// A connection string whose options were checked against its driver's table.
#[derive(Clone, PartialEq)]
pub struct Target {
    /// The parts.
    pub connection: ConnectionString,
    /// The options.
    pub options: Options,
}

impl Target {
    /// Checks the options of `connection` against `table`.
    pub fn check(
        connection: ConnectionString,
        table: &'static [OptionSpec],
    ) -> Result<Self, Vec<Diagnostic>> {
        let given = connection.options.iter().map(|(name, value, range)| (&**name, &**value, range.clone()));
        let options = Options::check(table, given)?;
        Ok(Self { connection, options })
    }
}

impl fmt::Debug for ConnectionString {
    /// As it prints: a log must not hold the secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({self})")
    }
}

impl fmt::Debug for Target {
    /// The connection string; the options are in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.connection)
    }
}

impl fmt::Display for ConnectionString {
    /// The text without the values of options that look like secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.text.split('?').next().unwrap_or_default();
        f.write_str(head)?;
        for (index, (name, value, _)) in self.options.iter().enumerate() {
            let secret = ["password", "secret", "token"].iter().any(|word| name.contains(word));
            let value = if secret { "***" } else { value };
            write!(f, "{}{name}={value}", if index == 0 { "?" } else { "&" })?;
        }
        Ok(())
    }
}

impl ConnectionString {
    /// Takes `text` apart. The diagnostic's place is inside `text`.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let mistake = |range: Range<usize>, message: String| {
            Diagnostic::error("connection-string", message)
                .at(range)
                .label("expected `protocol://host:port?option=value`")
                .help("for example `modbus-tcp://10.0.0.7:502?unit-identifier=1`")
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(mistake(0..text.len(), format!("`{text}` has no `://`")));
        };
        let (protocol, transport) = match scheme.split_once(':') {
            Some((protocol, transport)) => (protocol, Some(transport.to_owned())),
            None => (scheme, None),
        };
        if protocol.is_empty() || !protocol.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(mistake(0..scheme.len(), format!("`{protocol}` is no protocol name")));
        }
        let rest_at = scheme.len() + 3;
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = location.split_at(location.find('/').unwrap_or(location.len()));
        let (host, port) = split_port(authority)
            .map_err(|message| mistake(rest_at..rest_at + authority.len(), message.to_owned()))?;
        let mut options = Vec::new();
        let mut at = rest_at + location.len() + 1;
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            let range = at..at + pair.len();
            at = range.end + 1;
            let Some((name, value)) = pair.split_once('=') else {
                return Err(mistake(range, format!("option `{pair}` has no `=`")));
            };
            options.push((decode(name), decode(value), range));
        }
        Ok(Self {
            text: text.to_owned(),
            protocol: protocol.to_owned(),
            transport,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            options,
        })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').ok_or("expected `:port` after `]`")?)),
        Some(None) => return Err("`[` of the IPv6 address is not closed"),
        None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(text) => match text.parse() {
            Ok(0) | Err(_) => return Err("the port is not a number from 1 to 65535"),
            Ok(port) => Some(port),
        },
        None => None,
    };
    if host.is_empty() { Err("there is no host") } else { Ok((host, port)) }
}

/// Percent-decoding; a `%` that is not followed by two hex digits stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (b'%', Some(decoded)) = (byte, hex) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_connection_string() {
        let parsed =
            ConnectionString::parse("modbus-tcp:tcp://[::1]:5020/x?unit-identifier=7&name=a%26b").unwrap();
        assert_eq!(parsed.protocol, "modbus-tcp");
        assert_eq!(parsed.transport.as_deref(), Some("tcp"));
        assert_eq!((&*parsed.host, parsed.port, &*parsed.path), ("::1", Some(5020), "/x"));
        assert_eq!(&parsed.text[parsed.options[0].2.clone()], "unit-identifier=7");
        assert_eq!(parsed.options[1].1, "a&b");
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, place) in [
            ("10.0.0.1", "10.0.0.1"),
            ("modbus tcp://x", "modbus tcp"),
            ("modbus-tcp://:502", ":502"),
            ("modbus-tcp://x:99999", "x:99999"),
            ("modbus-tcp://x?a", "a"),
        ] {
            let mistake = ConnectionString::parse(text).unwrap_err();
            assert_eq!(&text[mistake.span.unwrap().range], place, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let parsed = ConnectionString::parse("mqtt://h?password=x&qos=1").unwrap();
        assert_eq!(parsed.to_string(), "mqtt://h?password=***&qos=1");
        assert_eq!(format!("{parsed:?}"), "ConnectionString(mqtt://h?password=***&qos=1)");
    }
}
