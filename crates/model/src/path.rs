//! Asset paths after ISA-95: `enterprise/site/area/line/cell`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The place of a machine in the plant, for example `acme/berlin/stamping/line2/press1`.
///
/// One to [`AssetPath::SEGMENTS_MAX`] segments separated by `/`; no segment is empty; none contains a control
/// character or one of `+`, `#` (they are wildcards in MQTT). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetPath(Arc<str>);

/// Why a text is no asset path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathError {
    /// A segment between two `/` is empty; the byte offset.
    EmptySegment(usize),
    /// A character that is not allowed; the byte offset.
    Character(usize, char),
    /// More than [`AssetPath::SEGMENTS_MAX`] segments.
    TooDeep,
}

impl AssetPath {
    /// The most segments a path may have.
    pub const SEGMENTS_MAX: usize = 16;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the enterprise down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for AssetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AssetPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut at = 0;
        for (index, segment) in text.split('/').enumerate() {
            if index >= Self::SEGMENTS_MAX {
                return Err(PathError::TooDeep);
            }
            if segment.trim().is_empty() {
                return Err(PathError::EmptySegment(at));
            }
            if let Some((offset, c)) =
                segment.char_indices().find(|(_, c)| c.is_control() || matches!(c, '+' | '#'))
            {
                return Err(PathError::Character(at + offset, c));
            }
            at += segment.len() + 1;
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySegment(_) => f.write_str("a segment of the asset path is empty"),
            Self::Character(_, c) => write!(f, "`{}` may not stand in an asset path", c.escape_debug()),
            Self::TooDeep => write!(f, "an asset path has at most {} segments", AssetPath::SEGMENTS_MAX),
        }
    }
}

impl std::error::Error for PathError {}
