//! Java's regular expressions as the engine here reads them: what is the same stays, what differs is written
//! another way, and what there is nothing for is refused in words.

use std::fmt::Write as _;

/// The shorthand classes of Java, which are of ASCII only, without their brackets.
const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r" \t\n\x0B\f\r";
const VERTICAL: &str = r"\n\x0B\f\r\x{85}\x{2028}\x{2029}";
const HORIZONTAL: &str = r" \t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
/// What a dot does not match: the ends of lines.
const LINE_END: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// POSIX classes of `\p{…}`, without their brackets.
const POSIX: &[(&str, &str)] = &[
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7F"),
    ("Alpha", "A-Za-z"),
    ("Digit", "0-9"),
    ("Alnum", "A-Za-z0-9"),
    ("Punct", r"!-/:-@\[-`{-~"),
    ("Graph", "!-~"),
    ("Print", " -~"),
    ("Blank", r" \t"),
    ("Cntrl", r"\x00-\x1F\x7F"),
    ("XDigit", "0-9A-Fa-f"),
    ("Space", SPACE),
];

/// The flags that hold inside a group.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `(?s)`: a dot matches ends of lines, too.
    dot_all: bool,
    /// `(?m)`: `^` and `$` match at every line.
    multi_line: bool,
    /// `(?x)`: white space and comments are left out.
    comments: bool,
}

/// Rewrites a pattern of Java's.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translation = Translation {
        chars: pattern.chars().peekable(),
        out: String::new(),
        flags: Flags::default(),
        open: Vec::new(),
    };
    translation.run().map_err(|why| format!("the pattern '{pattern}': {why}"))?;
    Ok(translation.out)
}

struct Translation<'p> {
    chars: std::iter::Peekable<std::str::Chars<'p>>,
    out: String,
    flags: Flags,
    /// The flags outside of every open group.
    open: Vec<Flags>,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    self.flags = self.open.pop().ok_or("a closing bracket has no opening one")?;
                    self.out.push(')');
                }
                '.' if !self.flags.dot_all => self.set(LINE_END, true, false),
                // At the end, or before the line's end that is the last sign.
                '$' if !self.flags.multi_line => {
                    self.out.push_str(r"(?=(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)");
                }
                '#' if self.flags.comments => while self.chars.next_if(|c| *c != '\n').is_some() {},
                c => self.out.push(c),
            }
        }
        if self.open.is_empty() { Ok(()) } else { Err("an opening bracket has no closing one".to_owned()) }
    }

    /// What stands behind `(`.
    fn group(&mut self) -> Result<(), String> {
        self.open.push(self.flags);
        self.out.push('(');
        if self.chars.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let letter = |c: &char| c.is_ascii_alphabetic() || *c == '-';
        if !self.chars.peek().is_some_and(letter) {
            return Ok(());
        }
        let mut on = true;
        let mut kept = String::new();
        let mut flags = self.flags;
        while let Some(c) = self.chars.next_if(letter) {
            match c {
                '-' => on = false,
                's' => flags.dot_all = on,
                'm' => flags.multi_line = on,
                'x' => flags.comments = on,
                // Letters of other alphabets are in every letter case anyway.
                'u' => continue,
                'i' => {}
                _ => return Err(format!("the flag {c} is not supported; i, m, s and x are")),
            }
            kept.push(c);
        }
        match self.chars.next() {
            Some(':') => self.flags = flags,
            Some(')') => {
                self.open.pop();
                self.flags = flags;
                if kept.is_empty() || kept == "-" {
                    self.out.truncate(self.out.len() - 2);
                } else {
                    self.out.push_str(&kept);
                    self.out.push(')');
                }
                return Ok(());
            }
            _ => return Err("flags end with ')' or ':'".to_owned()),
        }
        self.out.push_str(&kept);
        self.out.push(':');
        Ok(())
    }

    /// What stands behind `[`, up to its `]`.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut depth = 1;
        let mut first = true;
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => self.escape(true)?,
                '[' => {
                    depth += 1;
                    self.out.push('[');
                    if self.chars.next_if_eq(&'^').is_some() {
                        self.out.push('^');
                    }
                    first = true;
                    continue;
                }
                ']' if first => self.out.push_str(r"\]"),
                ']' => {
                    self.out.push(']');
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '&' if self.chars.next_if_eq(&'&').is_some() => self.out.push_str("&&"),
                // These mean something here when they are doubled, and nothing in Java.
                '~' | '&' => self.out.extend(['\\', c]),
                '-' if self.chars.peek() == Some(&'-') || self.out.ends_with('-') => self.out.push_str(r"\-"),
                '#' | ' ' if self.flags.comments => self.out.extend(['\\', c]),
                c => self.out.push(c),
            }
            first = false;
        }
        Err("a class has no closing bracket".to_owned())
    }

    /// A set of characters, bare inside a class.
    fn set(&mut self, members: &str, negated: bool, in_class: bool) {
        let text = match (negated, in_class) {
            (false, true) => members.to_owned(),
            (false, false) => format!("[{members}]"),
            (true, _) => format!("[^{members}]"),
        };
        self.out.push_str(&text);
    }

    /// What stands behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.chars.next().ok_or("it ends with a backslash")?;
        match c {
            'd' | 'D' => self.set(DIGIT, c == 'D', in_class),
            'w' | 'W' => self.set(WORD, c == 'W', in_class),
            's' | 'S' => self.set(SPACE, c == 'S', in_class),
            'v' | 'V' => self.set(VERTICAL, c == 'V', in_class),
            'h' | 'H' => self.set(HORIZONTAL, c == 'H', in_class),
            'p' | 'P' => self.property(c == 'P', in_class)?,
            'Q' => self.literal(),
            'u' => {
                let code = self.hexadecimal(4)?;
                self.character(code)?;
            }
            'x' if self.chars.peek() == Some(&'{') => {
                let digits: String = self.chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                self.character(
                    u32::from_str_radix(&digits, 16).map_err(|_| "hexadecimal digits must follow \\x{")?,
                )?;
            }
            'x' => {
                let code = self.hexadecimal(2)?;
                self.character(code)?;
            }
            '0' => {
                let mut code = 0;
                for _ in 0..3 {
                    match self
                        .chars
                        .peek()
                        .and_then(|c| c.to_digit(8))
                        .filter(|digit| code * 8 + digit <= 0o377)
                    {
                        Some(digit) => code = code * 8 + digit,
                        None => break,
                    }
                    self.chars.next();
                }
                self.character(code)?;
            }
            'c' => {
                let letter = self.chars.next().filter(char::is_ascii).ok_or("a letter must follow \\c")?;
                self.character(u32::from(letter) ^ 64)?;
            }
            't' | 'n' | 'r' | 'f' | 'a' | 'e' => self.out.extend(['\\', c]),
            'Z' if !in_class => self.out.push_str(r"(?=(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)"),
            'b' | 'B' | 'A' | 'z' | 'R' | 'k' | '1'..='9' if !in_class => self.out.extend(['\\', c]),
            c if c.is_ascii_alphanumeric() => return Err(format!("\\{c} is not supported here")),
            c => self.character(u32::from(c))?,
        }
        Ok(())
    }

    fn hexadecimal(&mut self, count: usize) -> Result<u32, String> {
        let digits: String = self.chars.by_ref().take(count).collect();
        let right = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| right);
        code.ok_or_else(|| format!("{count} hexadecimal digits must follow \\u or \\x"))
    }

    /// One character that stands for itself.
    fn character(&mut self, code: u32) -> Result<(), String> {
        let c = char::from_u32(code).ok_or_else(|| format!("{code:x} is no character"))?;
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            let _ = write!(self.out, r"\x{code:02x}");
        }
        Ok(())
    }

    /// `\Q…\E`.
    fn literal(&mut self) {
        while let Some(c) = self.chars.next() {
            if c == '\\' && self.chars.next_if_eq(&'E').is_some() {
                return;
            }
            // Every character is one.
            let _ = self.character(u32::from(c));
        }
    }

    /// `\p{…}`: POSIX classes, categories, scripts.
    fn property(&mut self, negated: bool, in_class: bool) -> Result<(), String> {
        let name: String = match self.chars.next() {
            Some('{') => self.chars.by_ref().take_while(|c| *c != '}').collect(),
            Some(letter) => letter.to_string(),
            None => return Err("a name must follow \\p".to_owned()),
        };
        if let Some((_, members)) = POSIX.iter().find(|(posix, _)| *posix == name) {
            self.set(members, negated, in_class);
            return Ok(());
        }
        if name.starts_with("java")
            || name.starts_with("In")
            || name.starts_with("blk=")
            || name.starts_with("block=")
        {
            return Err(format!(
                "\\p{{{name}}} is not supported; categories such as \\p{{Lu}} and scripts such as \\p{{IsGreek}} are"
            ));
        }
        let name = name.strip_prefix("Is").unwrap_or(&name);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=".contains(&byte))
        {
            return Err("a name such as {Lu} must follow \\p".to_owned());
        }
        let _ = write!(self.out, r"\{}{{{name}}}", if negated { 'P' } else { 'p' });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fancy_regex::Regex;

    #[test]
    fn patterns_match_as_in_java() {
        for (pattern, text, found) in [
            (r"\d+", "٣ 42", Some("42")),
            (r"\w+", "äb", Some("b")),
            (r"[\w-]+", "a-b c", Some("a-b")),
            (r"[^\d]", "1a", Some("a")),
            (r"[\D&&[^a]]", "1ab", Some("b")),
            (r"a.b", "a\nb", None),
            (r"a.b", "a\rb", None),
            (r"(?s)a.b", "a\nb", Some("a\nb")),
            (r"(?s:a.)b.", "a\nb\n", None),
            (r"b$", "ab\n", Some("b")),
            (r"^b$", "a\nb", None),
            (r"(?m)^b$", "a\nb\nc", Some("b")),
            (r"\Qa.b\E+", "a.bb", Some("a.bb")),
            (r"\u0041\x42\x{43}\0104", "ABCD", Some("ABCD")),
            (r"\p{Lower}+", "ABcdÉé", Some("cd")),
            (r"\p{Punct}", "a]", Some("]")),
            (r"\p{IsGreek}+", "abγδ", Some("γδ")),
            (r"\P{L}", "a1", Some("1")),
            (r"\p{Lu}", "aÉ", Some("É")),
            (r"\<b\>", "a<b>", Some("<b>")),
            (r"\h", "dead\t", Some("\t")),
            (r"[a~~b]+", "a~b", Some("a~b")),
            (r"[]a]+", "]a", Some("]a")),
            (r"(?=b)b", "ab", Some("b")),
            (r"(?<!a)b", "ab", None),
            (r"(a)\1", "aa", Some("aa")),
            (r"a++b", "aaab", Some("aaab")),
            (r"(?>a|ab)c", "abc", None),
            (r"(?i)ABC", "xabc", Some("abc")),
            (r"(?<n>a)\k<n>", "aa", Some("aa")),
            (r"(?u)a", "a", Some("a")),
            (r"(?x) a  b # c", "ab", Some("ab")),
            (r"\.\[\]\(\)\{\}\*\+\?\^\$\|\\\/\-", r".[](){}*+?^$|\/-", Some(r".[](){}*+?^$|\/-")),
        ] {
            let translated = translate(pattern).unwrap();
            let regex = Regex::new(&translated).unwrap_or_else(|e| panic!("{pattern} {translated}: {e}"));
            assert_eq!(regex.find(text).unwrap().map(|m| m.as_str()), found, "{pattern} {translated} {text}");
        }
    }

    #[test]
    fn what_is_not_supported_says_so() {
        for (pattern, why) in [
            (r"\G", "\\G is not supported"),
            (r"\X", "\\X is not supported"),
            (r"(?d)a", "flag d"),
            (r"\p{javaLowerCase}", "\\p{javaLowerCase} is not supported"),
            (r"\p{InGreek}", "is not supported"),
            (r"[a", "no closing bracket"),
            (r"a)", "no opening one"),
            (r"(a", "no closing one"),
            ("a\\", "ends with a backslash"),
            (r"\u12", "4 hexadecimal digits"),
        ] {
            let message = translate(pattern).unwrap_err();
            assert!(message.contains(why), "{pattern}: {message}");
        }
    }
}
