//! Patterns of Java's `DateTimeFormatter`: what letters there are, and how wide their numbers are.

use super::zone::Moment;

/// The longest pattern in bytes.
const PATTERN_BYTES_MAX: usize = 256;
/// How deeply optional sections may be nested.
const OPTIONAL_DEPTH_MAX: usize = 8;

/// A pattern, read once.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) items: Vec<Item>,
}

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Text that stands for itself.
    Literal(String),
    /// A number; while parsing, a number of any width leaves so many digits to the fixed ones right behind it.
    Number { field: Number, width: Width, leave: usize },
    /// A word.
    Word(Word, usize),
    /// The digits behind the second's point, so many.
    Fraction(usize),
    /// A zone or an offset from UTC: the letter and how often it stands.
    Zone(char, usize),
    /// `[…]`: written where there is what it asks for, read where it is there.
    Optional(Vec<Self>),
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Year,
    YearOfEra,
    DayOfYear,
    Month,
    Day,
    Quarter,
    /// 1 to 12.
    ClockHourOfHalf,
    /// 0 to 11.
    HourOfHalf,
    /// 1 to 24.
    ClockHour,
    /// 0 to 23.
    Hour,
    Minute,
    Second,
    MilliOfDay,
    NanoOfSecond,
    NanoOfDay,
}

/// How many digits a number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Exactly so many.
    Fixed(usize),
    /// At least so many; a sign where there are more, once there are four.
    AtLeast(usize),
    /// The last two digits of a year from 2000 to 2099.
    TwoDigitYear,
}

/// What a word names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Era,
    Month,
    Weekday,
    Quarter,
    HalfOfDay,
}

impl Item {
    /// How many digits it always has, where it is a number that does.
    fn fixed_digits(&self) -> Option<usize> {
        match self {
            Self::Number { width: Width::Fixed(digits), .. } | Self::Fraction(digits) => Some(*digits),
            Self::Number { width: Width::TwoDigitYear, .. } => Some(2),
            _ => None,
        }
    }
}

impl Pattern {
    /// Reads a pattern; the error says what is not supported, in words.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern of more than {PATTERN_BYTES_MAX} bytes is not supported"));
        }
        let mut open: Vec<Vec<Item>> = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let item = match c {
                '\'' => Item::Literal(quoted(&mut chars, text)?),
                '[' if open.len() <= OPTIONAL_DEPTH_MAX => {
                    open.push(Vec::new());
                    continue;
                }
                ']' if open.len() > 1 => Item::Optional(finished(open.pop().unwrap_or_default())),
                '[' | ']' | '{' | '}' | '#' => {
                    return Err(format!("'{c}' in '{text}' has no meaning here; write '{c}' in quotes"));
                }
                c if c.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    letters(c, count).map_err(|why| format!("the pattern '{text}': {why}"))?
                }
                c => Item::Literal(c.to_string()),
            };
            if let Some(items) = open.last_mut() {
                items.push(item);
            }
        }
        if open.len() > 1 {
            return Err(format!("'[' in '{text}' is not closed"));
        }
        Ok(Self { items: finished(open.pop().unwrap_or_default()) })
    }

    /// The moment as text.
    pub(super) fn format(&self, moment: &Moment<'_>) -> Result<String, String> {
        let mut out = String::new();
        super::format::write(&self.items, moment, &mut out)?;
        Ok(out)
    }
}

/// The rest of a quoted text; two quotes are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, pattern: &str) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => break,
            Some(c) => text.push(c),
            None => return Err(format!("a quote in '{pattern}' is not closed")),
        }
    }
    Ok(if text.is_empty() { "'".to_owned() } else { text })
}

/// Settles how many digits a number of any width leaves to those behind it: `yyyyMMdd`.
fn finished(mut items: Vec<Item>) -> Vec<Item> {
    let mut behind = 0;
    for item in items.iter_mut().rev() {
        let fixed = item.fixed_digits();
        if let Item::Number { width: Width::AtLeast(_), leave, .. } = item {
            *leave = behind;
        }
        behind = fixed.map_or(0, |digits| behind + digits);
    }
    items
}

/// One letter, so many times.
fn letters(letter: char, count: usize) -> Result<Item, String> {
    let too_many = || Err(format!("{count} times the letter {letter} is too often"));
    let number = |field, width| Ok(Item::Number { field, width, leave: 0 });
    let short = |field| match count {
        1 => number(field, Width::AtLeast(1)),
        2 => number(field, Width::Fixed(2)),
        _ => too_many(),
    };
    match letter {
        'u' | 'y' => {
            let field = if letter == 'u' { Number::Year } else { Number::YearOfEra };
            match count {
                2 => number(field, Width::TwoDigitYear),
                3..=18 | 1 => number(field, Width::AtLeast(count)),
                _ => too_many(),
            }
        }
        'M' | 'L' if count <= 2 => short(Number::Month),
        'M' | 'L' if count <= 5 => Ok(Item::Word(Word::Month, count)),
        'Q' | 'q' if count <= 2 => short(Number::Quarter),
        'Q' | 'q' if count <= 4 => Ok(Item::Word(Word::Quarter, count)),
        'D' => match count {
            1 => number(Number::DayOfYear, Width::AtLeast(1)),
            2 | 3 => number(Number::DayOfYear, Width::Fixed(count)),
            _ => too_many(),
        },
        'd' => short(Number::Day),
        'H' => short(Number::Hour),
        'k' => short(Number::ClockHour),
        'h' => short(Number::ClockHourOfHalf),
        'K' => short(Number::HourOfHalf),
        'm' => short(Number::Minute),
        's' => short(Number::Second),
        'S' if count <= 9 => Ok(Item::Fraction(count)),
        'A' if count <= 18 => number(Number::MilliOfDay, Width::AtLeast(count)),
        'n' if count <= 18 => number(Number::NanoOfSecond, Width::AtLeast(count)),
        'N' if count <= 18 => number(Number::NanoOfDay, Width::AtLeast(count)),
        'G' if count <= 5 => Ok(Item::Word(Word::Era, count)),
        'E' if count <= 5 => Ok(Item::Word(Word::Weekday, count)),
        'e' | 'c' if (3..=5).contains(&count) => Ok(Item::Word(Word::Weekday, count)),
        'a' if count == 1 => Ok(Item::Word(Word::HalfOfDay, 1)),
        'V' if count == 2 => Ok(Item::Zone('V', 2)),
        'z' if count <= 3 => Ok(Item::Zone('z', 1)),
        'O' if count == 1 || count == 4 => Ok(Item::Zone('O', count)),
        'X' | 'x' if count <= 3 => Ok(Item::Zone(letter, count)),
        'Z' if count <= 5 => Ok(Item::Zone('Z', count)),
        'Y' | 'w' | 'W' | 'e' | 'c' | 'F' => {
            Err(format!("{letter} counts weeks, which begin on another day in every country; use y, M and d"))
        }
        'M' | 'L' | 'Q' | 'q' | 'S' | 'A' | 'n' | 'N' | 'G' | 'E' | 'a' | 'V' | 'z' | 'O' | 'X' | 'x'
        | 'Z' => too_many(),
        _ => Err(format!(
            "the letter {letter} is not supported; text stands in quotes, letters are G u y M L Q D d E a h H k K m s S A n N V z O X x Z"
        )),
    }
}
