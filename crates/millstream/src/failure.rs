//! How a command ends when it does not end well.

use millstream_bus::BusError;
use std::fmt;
use std::process::ExitCode;

/// A command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's mistake, with what to do: exit code 2.
    Mistake(Words),
    /// It failed: exit code 1.
    Failed(Words),
    /// Everything was said already (diagnostics were printed): this exit code.
    Said(u8),
    /// Whoever read our output has gone, as `head` does: that is no failure.
    Closed,
}

/// What happened, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Failure {
    /// A mistake of the user, with the remedy.
    pub(crate) fn mistake(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Mistake(Words { message: message.into(), help: Some(help.into()) })
    }

    /// A mistake of the user that says by itself what is right.
    pub(crate) fn plain_mistake(message: impl Into<String>) -> Self {
        Self::Mistake(Words { message: message.into(), help: None })
    }

    /// Something failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Words { message: message.into(), help: None })
    }

    /// Adds the remedy.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        if let Self::Mistake(words) | Self::Failed(words) = &mut self {
            words.help = Some(help.into());
        }
        self
    }

    /// What the process answers.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Mistake(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Said(code) => ExitCode::from(*code),
            Self::Closed => ExitCode::SUCCESS,
        }
    }

    /// What is still to be said.
    pub(crate) fn words(&self) -> Option<&Words> {
        match self {
            Self::Mistake(words) | Self::Failed(words) => Some(words),
            Self::Said(_) | Self::Closed => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().map_or("", |words| &words.message))
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        match error {
            BusError::UnknownTopic(_) => {
                Self::mistake(error.to_string(), "`millstream topic list` shows the topics there are")
            }
            BusError::TopicExists(_) | BusError::Invalid(_) | BusError::OffsetOutOfRange { .. } => {
                Self::plain_mistake(error.to_string())
            }
            _ => Self::failed(error.to_string()),
        }
    }
}
