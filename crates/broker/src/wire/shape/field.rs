//! How a table of shapes is written down: a line per field, with the versions that have it.

/// The body of one request.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) api_key: i16,
    /// The first version with compact lengths and tagged fields.
    pub(crate) flexible_since: i16,
    pub(crate) fields: &'static [Field],
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    since: i16,
    until: i16,
    /// Where it is a tagged field.
    pub(crate) tag: Option<u8>,
}

/// What a field is on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(u8),
    Text,
    Bytes,
    /// An array of what is no struct.
    Row(&'static Self),
    /// An array of structs.
    Array(&'static [Field]),
    /// A struct.
    Part(&'static [Field]),
    /// A struct that may be null.
    Maybe(&'static [Field]),
}

pub(crate) const INT8: Kind = Kind::Fixed(1);
pub(crate) const INT32: Kind = Kind::Fixed(4);
pub(crate) const INT64: Kind = Kind::Fixed(8);
pub(crate) const TEXT: Kind = Kind::Text;

impl Kind {
    /// About the memory of the field itself, what it points to aside.
    pub(crate) const fn memory_bytes(&self) -> usize {
        match self {
            Self::Fixed(1..=4) => 4,
            Self::Fixed(0 | 9..) => 16,
            Self::Text | Self::Bytes => 40,
            Self::Row(_) | Self::Array(_) => 32,
            // The fields of a struct are counted one by one.
            Self::Fixed(5..=8) | Self::Part(_) | Self::Maybe(_) => 8,
        }
    }
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, since: 0, until: i16::MAX, tag: None }
    }

    /// The first version that has it.
    pub(crate) const fn since(self, since: i16) -> Self {
        Self { since, ..self }
    }

    /// The last version that has it.
    pub(crate) const fn until(self, until: i16) -> Self {
        Self { until, ..self }
    }

    /// It is written behind the others, under this number, where it differs from its default.
    pub(crate) const fn tag(self, tag: u8) -> Self {
        Self { tag: Some(tag), ..self }
    }

    pub(crate) const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }
}

pub(crate) const fn int8(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(1))
}

pub(crate) const fn flag(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(1))
}

pub(crate) const fn int16(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(2))
}

pub(crate) const fn int32(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(4))
}

pub(crate) const fn int64(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(8))
}

pub(crate) const fn float64(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(8))
}

pub(crate) const fn uuid(name: &'static str) -> Field {
    Field::new(name, Kind::Fixed(16))
}

pub(crate) const fn text(name: &'static str) -> Field {
    Field::new(name, Kind::Text)
}

pub(crate) const fn bytes(name: &'static str) -> Field {
    Field::new(name, Kind::Bytes)
}

pub(crate) const fn row(name: &'static str, of: &'static Kind) -> Field {
    Field::new(name, Kind::Row(of))
}

pub(crate) const fn array(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Kind::Array(fields))
}

pub(crate) const fn part(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Kind::Part(fields))
}

pub(crate) const fn maybe(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Kind::Maybe(fields))
}

pub(crate) const fn shape(api_key: i16, flexible_since: i16, fields: &'static [Field]) -> Shape {
    Shape { api_key, flexible_since, fields }
}
