//! How one simulated value moves over time.

use millstream_model::{DataType, Diagnostic, OptionKind, OptionSpec, Options, TagType, Value};
use std::sync::Arc;
use std::time::Duration;

/// The shape of a signal before it follows anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignalKind {
    /// Always `value`.
    Constant,
    /// `value` until somebody writes another one: a setpoint.
    #[default]
    Hold,
    /// From `min` up to `max` in one `period`, then again from `min`.
    Ramp,
    /// A sine between `min` and `max`.
    Sine,
    /// `min` for the first half of a `period`, `max` for the second.
    Square,
    /// Moves by up to `step` every `period`, at random but always the same for one seed; turns back at `min` and `max`.
    RandomWalk,
    /// Grows by `step` every `period` from `min`; starts again after `max` where one is given.
    Counter,
}

const KINDS: [(&str, SignalKind); 7] = [
    ("constant", SignalKind::Constant),
    ("hold", SignalKind::Hold),
    ("ramp", SignalKind::Ramp),
    ("sine", SignalKind::Sine),
    ("square", SignalKind::Square),
    ("random-walk", SignalKind::RandomWalk),
    ("counter", SignalKind::Counter),
];

/// One simulated value: a shape, plus what it follows, behind a lag.
///
/// `value(t) = lag(shape(t) + offset + Σ gain × followed(t))`, kept within `min` and `max` where they are given.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The shape.
    pub kind: SignalKind,
    /// Of `constant` and `hold`.
    pub value: Value,
    /// Smallest value; 0 for shapes that need one.
    pub min: Option<f64>,
    /// Largest value; 100 for shapes that need one.
    pub max: Option<f64>,
    /// One round of `ramp`, `sine` and `square`; one step of `random-walk` and `counter`.
    pub period: Duration,
    /// Of `random-walk` and `counter`.
    pub step: f64,
    /// Where in its period the signal starts, 0 to 1.
    pub phase: f64,
    /// Other tags whose values are added.
    pub follow: Vec<Follow>,
    /// Added to the shape.
    pub offset: f64,
    /// Time constant of a first-order lag: after this time 63 % of a change has come through. Zero for none.
    pub lag: Duration,
}

/// One tag that a signal follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    /// `device/tag`, or a tag of the same device.
    pub tag: Arc<str>,
    /// What its value is multiplied with.
    pub gain: f64,
}

impl Default for Signal {
    /// Holds 0, and moves (where its kind moves) within 10 s.
    fn default() -> Self {
        Self {
            kind: SignalKind::Hold,
            value: Value::Int(0),
            min: None,
            max: None,
            period: Duration::from_secs(10),
            step: 1.0,
            phase: 0.0,
            follow: Vec::new(),
            offset: 0.0,
            lag: Duration::ZERO,
        }
    }
}

/// The keys of a signal in a plant folder, for [`Signal::from_options`].
pub const SIGNAL_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "signal",
        kind: OptionKind::OneOf(&[
            "constant",
            "hold",
            "ramp",
            "sine",
            "square",
            "random-walk",
            "counter",
            "follow",
        ]),
        default: "hold",
        doc: "The shape of the value over time; `follow` is a constant 0 to which `follow` adds.",
    },
    OptionSpec {
        name: "value",
        kind: OptionKind::Text,
        default: "0",
        doc: "The value of `constant`, the first one of `hold`.",
    },
    OptionSpec {
        name: "min",
        kind: OptionKind::Number,
        default: "",
        doc: "The smallest value; 0 where a shape needs one.",
    },
    OptionSpec {
        name: "max",
        kind: OptionKind::Number,
        default: "",
        doc: "The largest value; 100 where a shape needs one.",
    },
    OptionSpec {
        name: "period",
        kind: OptionKind::Millis,
        default: "10s",
        doc: "One round of a wave, or the time between two steps.",
    },
    OptionSpec {
        name: "step",
        kind: OptionKind::Number,
        default: "1",
        doc: "The most a random walk moves at once, or what a counter grows by.",
    },
    OptionSpec {
        name: "phase",
        kind: OptionKind::Number,
        default: "0",
        doc: "Where in its period the signal starts, from 0 to 1.",
    },
    OptionSpec {
        name: "follow",
        kind: OptionKind::Text,
        default: "",
        doc: "Tags whose values are added, as `device/tag * gain`, several with commas between them; without a gain `gain` counts.",
    },
    OptionSpec {
        name: "gain",
        kind: OptionKind::Number,
        default: "1",
        doc: "What followed values are multiplied with.",
    },
    OptionSpec { name: "offset", kind: OptionKind::Number, default: "0", doc: "What is added to the shape." },
    OptionSpec {
        name: "lag",
        kind: OptionKind::Millis,
        default: "0",
        doc: "The time constant with which the value runs after what it follows.",
    },
];

impl Signal {
    /// A signal of `kind` with everything else at its default.
    pub fn new(kind: SignalKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// A value that stays until it is written.
    pub fn hold(value: Value) -> Self {
        Self { value, ..Self::default() }
    }

    /// A signal from options that were checked against [`SIGNAL_OPTIONS`].
    pub fn from_options(options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let given = |name: &str| options.is_given(name).then(|| options.number(name));
        let name = options.text("signal");
        // `follow` is a constant 0 that something is added to.
        let kind =
            KINDS.iter().find(|(text, _)| *text == name).map_or(SignalKind::Constant, |(_, kind)| *kind);
        let mut follow = Vec::new();
        for part in options.text("follow").split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (tag, gain) = match part.rsplit_once('*') {
                Some((tag, gain)) => {
                    (tag.trim(), gain.trim().parse::<f64>().ok().filter(|gain| gain.is_finite()))
                }
                None => (part, Some(options.number("gain"))),
            };
            match gain {
                Some(gain) if !tag.is_empty() => follow.push(Follow { tag: tag.into(), gain }),
                _ => mistakes.push(
                    Diagnostic::error("signal", format!("`{part}` in `follow` is no tag with a gain"))
                        .label("expected `device/tag * gain`"),
                ),
            }
        }
        if name == "follow" && follow.is_empty() && mistakes.is_empty() {
            mistakes.push(
                Diagnostic::error("signal", "signal `follow` has nothing to follow")
                    .help("add `follow = \"device/tag\"`"),
            );
        }
        let (min, max) = (given("min"), given("max"));
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            mistakes.push(Diagnostic::error("signal", format!("`min` {min} is above `max` {max}")));
        }
        let period = options.duration("period");
        if period.is_zero() {
            mistakes
                .push(Diagnostic::error("signal", "`period` is zero").help("give a time such as \"10s\""));
        }
        let signal = Self {
            kind,
            value: if name == "follow" { Value::Int(0) } else { literal(options.text("value")) },
            min,
            max,
            period,
            step: options.number("step"),
            phase: options.number("phase"),
            follow,
            offset: options.number("offset"),
            lag: options.duration("lag"),
        };
        if mistakes.is_empty() { Ok(signal) } else { Err(mistakes) }
    }

    /// A signal that moves visibly, for a tag whose plant says nothing about it.
    pub fn for_type(tag_type: TagType, phase: f64) -> Self {
        let kind = match tag_type.data_type {
            DataType::Bool => SignalKind::Square,
            DataType::Real | DataType::LReal => SignalKind::Sine,
            data_type if data_type.is_numeric() => SignalKind::Ramp,
            _ => SignalKind::Hold,
        };
        let value =
            if tag_type.data_type.is_text() { Value::Text("simulated".into()) } else { Value::Int(0) };
        let max = (tag_type.data_type == DataType::Bool).then_some(1.0);
        Self { kind, value, max, phase, ..Self::default() }
    }

    /// The shape's value `seconds` after the start, for the kinds that are functions of time.
    pub(super) fn shape(&self, seconds: f64) -> f64 {
        let min = self.min.unwrap_or(0.0);
        let max = self.max.unwrap_or(100.0);
        let turns = seconds / self.period.as_secs_f64() + self.phase;
        let within = turns.rem_euclid(1.0);
        match self.kind {
            // A walk's state lives in the world; this is where it starts.
            SignalKind::RandomWalk => min.midpoint(max),
            SignalKind::Constant | SignalKind::Hold => number(&self.value),
            SignalKind::Ramp => min + (max - min) * within,
            SignalKind::Sine => min + (max - min) * 0.5 * (1.0 + (within * std::f64::consts::TAU).sin()),
            SignalKind::Square => {
                if within < 0.5 {
                    min
                } else {
                    max
                }
            }
            SignalKind::Counter => {
                let grown = turns.floor() * self.step;
                match self.max {
                    // A counter that runs from 0 to 9 has ten values.
                    Some(max) if max > min => min + grown.rem_euclid(max - min + self.step.abs()),
                    _ => min + grown,
                }
            }
        }
    }

    /// Keeps `value` within the limits that were given.
    pub(super) fn limited(&self, value: f64) -> f64 {
        let value = self.min.map_or(value, |min| value.max(min));
        self.max.map_or(value, |max| value.min(max))
    }

    /// Whether the value is the held one as it is, whatever its type.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.kind, SignalKind::Constant | SignalKind::Hold)
            && self.follow.is_empty()
            && self.lag.is_zero()
            && self.offset == 0.0
    }
}

/// A number for the arithmetic of signals: truth values are 0 and 1, what is no number is 0.
pub(super) fn number(value: &Value) -> f64 {
    value.as_bool().map(f64::from).or_else(|| value.as_f64()).unwrap_or(0.0)
}

fn literal(text: &str) -> Value {
    let bool = text.parse().map(Value::Bool);
    let number = bool.or_else(|_| text.parse().map(Value::Int)).or_else(|_| text.parse().map(Value::LReal));
    number.unwrap_or_else(|_: std::num::ParseFloatError| Value::Text(text.into()))
}
