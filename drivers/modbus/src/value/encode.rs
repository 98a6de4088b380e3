//! Values into registers.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{Encoding, Mask, ValueError, arrange, swap};
use crate::address::is_packed;
use millstream_model::{DataType, Value};

impl Encoding {
    /// The bytes of the value's registers as on the wire. Registers are filled up with zeros.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, ValueError> {
        let mut bytes = Vec::new();
        match self.count {
            None => self.encode_scalar(value, &mut bytes)?,
            Some(count) => self.encode_list(value, usize::from(count), &mut bytes)?,
        }
        Ok(bytes)
    }

    /// One truth value per bit.
    pub fn encode_bits(&self, value: &Value) -> Result<Vec<bool>, ValueError> {
        match self.count {
            None => Ok(vec![value.as_bool().ok_or_else(|| self.wrong_type(value))?]),
            Some(count) => self
                .elements(value, usize::from(count))?
                .iter()
                .map(|item| item.as_bool().ok_or_else(|| self.wrong_type(value)))
                .collect(),
        }
    }

    /// For bits of one register that share it with others: what to change. `None` where whole registers are written.
    pub fn mask(&self, value: &Value) -> Result<Option<Mask>, ValueError> {
        if !self.fits_mask() {
            return Ok(None);
        }
        let (mut changed, mut set) = (0_u16, 0_u16);
        for (index, on) in self.encode_bits(value)?.into_iter().enumerate() {
            let (_, bit) =
                if self.count.is_none() { (0, self.bit.unwrap_or(0).into()) } else { self.bit_place(index) };
            let bit = 1_u16.wrapping_shl(bit);
            changed |= bit;
            if on {
                set |= bit;
            }
        }
        // A byte order that exchanges the register's bytes moves its bits too.
        let wire = |register: u16| {
            let mut bytes = register.to_be_bytes();
            arrange(self.order, &mut bytes);
            u16::from_be_bytes(bytes)
        };
        Ok(Some(Mask { and: wire(!changed), or: wire(set) }))
    }

    /// Whether it is some bits of one register.
    pub fn fits_mask(&self) -> bool {
        !self.is_bits
            && self.data_type == DataType::Bool
            && match (self.bit, self.count) {
                (None, None) => false,
                (bit, count) => {
                    let end = u32::from(bit.unwrap_or(0)).saturating_add(count.unwrap_or(1).into());
                    end <= 16 && count.unwrap_or(1) < 16
                }
            }
    }

    /// Whether writing it as whole registers would overwrite bits that are not its own.
    pub fn shares_registers(&self) -> bool {
        let bits = u32::from(self.count.unwrap_or(1));
        !self.is_bits
            && self.data_type == DataType::Bool
            && match self.bit {
                Some(bit) => bit != 0 || !bits.is_multiple_of(16),
                None => self.count.is_some() && !bits.is_multiple_of(16),
            }
    }

    fn encode_scalar(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        use DataType as T;
        match self.data_type {
            T::Bool => {
                let on = value.as_bool().ok_or_else(|| self.wrong_type(value))?;
                self.push(u16::from(on).wrapping_shl(self.bit.unwrap_or(0).into()).to_be_bytes(), out);
            }
            T::Raw => match value {
                Value::Bytes(bytes) if bytes.len() == 1 => {
                    let low = bytes.first().copied().unwrap_or(0);
                    self.push([0, low], out);
                }
                _ => return Err(self.wrong_type(value)),
            },
            T::Byte | T::SInt | T::USInt | T::Char => {
                let low = self.encode_narrow(value)?;
                self.push([0, low], out);
            }
            T::String => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                if text.len() > usize::from(self.length) {
                    return Err(self.wrong_range(value));
                }
                self.push_run(text.as_bytes(), usize::from(self.length), out);
            }
            T::WString => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut units: Vec<u16> = text.encode_utf16().collect();
                if units.len() > usize::from(self.length) {
                    return Err(self.wrong_range(value));
                }
                units.resize(self.length.into(), 0);
                for unit in units {
                    self.push(unit.to_be_bytes(), out);
                }
            }
            _ => self.encode_wide(value, out)?,
        }
        Ok(())
    }

    fn encode_wide(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        use DataType as T;
        match self.data_type {
            T::Int => self.push(self.integer::<i16>(value)?.to_be_bytes(), out),
            T::Word | T::UInt => self.push(self.integer::<u16>(value)?.to_be_bytes(), out),
            T::DInt => self.push(self.integer::<i32>(value)?.to_be_bytes(), out),
            T::DWord | T::UDInt => self.push(self.integer::<u32>(value)?.to_be_bytes(), out),
            T::LInt => self.push(self.integer::<i64>(value)?.to_be_bytes(), out),
            T::LWord | T::ULInt => self.push(self.integer::<u64>(value)?.to_be_bytes(), out),
            T::Real => {
                let real = match value {
                    Value::Real(real) => *real,
                    other => {
                        let wide = other.as_f64().ok_or_else(|| self.wrong_type(value))?;
                        to_single(wide).ok_or_else(|| self.wrong_range(value))?
                    }
                };
                self.push(real.to_be_bytes(), out);
            }
            T::LReal => {
                let real = value.as_f64().ok_or_else(|| self.wrong_type(value))?;
                self.push(real.to_be_bytes(), out);
            }
            T::WChar => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut units = text.encode_utf16();
                match (units.next(), units.next()) {
                    (Some(unit), None) => self.push(unit.to_be_bytes(), out),
                    _ => return Err(self.wrong_range(value)),
                }
            }
            _ => return Err(self.wrong_type(value)),
        }
        Ok(())
    }

    fn encode_narrow(&self, value: &Value) -> Result<u8, ValueError> {
        match self.data_type {
            DataType::SInt => self.integer::<i8>(value).map(|v| u8::from_be_bytes(v.to_be_bytes())),
            DataType::Char => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut chars = text.chars();
                match (chars.next().map(u8::try_from), chars.next()) {
                    (Some(Ok(byte)), None) => Ok(byte),
                    _ => Err(self.wrong_range(value)),
                }
            }
            _ => self.integer::<u8>(value),
        }
    }

    fn encode_list(&self, value: &Value, count: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.data_type {
            DataType::Raw => {
                let Value::Bytes(bytes) = value else { return Err(self.wrong_type(value)) };
                if bytes.len() != count {
                    return Err(self.wrong_range(value));
                }
                self.push_run(bytes, count, out);
            }
            DataType::Bool => {
                let mut registers = vec![0_u16; self.bit_place(count.saturating_sub(1)).0.saturating_add(1)];
                for (index, on) in self.encode_bits(value)?.into_iter().enumerate() {
                    let (register, bit) = self.bit_place(index);
                    if let Some(register) = registers.get_mut(register).filter(|_| on) {
                        *register |= 1_u16.wrapping_shl(bit);
                    }
                }
                for register in registers {
                    self.push(register.to_be_bytes(), out);
                }
            }
            data_type if is_packed(data_type) => {
                let items = self.elements(value, count)?;
                let bytes: Result<Vec<u8>, _> = items.iter().map(|item| self.encode_narrow(item)).collect();
                self.push_run(&bytes?, count, out);
            }
            _ => {
                let one = Self { count: None, ..*self };
                self.elements(value, count)?.iter().try_for_each(|item| one.encode_scalar(item, out))?;
            }
        }
        Ok(())
    }

    fn elements<'v>(&self, value: &'v Value, count: usize) -> Result<&'v [Value], ValueError> {
        match value {
            Value::List(items) if items.len() == count => Ok(items),
            Value::List(_) => Err(self.wrong_range(value)),
            _ => Err(self.wrong_type(value)),
        }
    }

    fn integer<T: TryFrom<i64> + TryFrom<u64>>(&self, value: &Value) -> Result<T, ValueError> {
        match value {
            Value::Int(v) => T::try_from(*v).map_err(|_| self.wrong_range(value)),
            Value::UInt(v) => T::try_from(*v).map_err(|_| self.wrong_range(value)),
            _ => Err(self.wrong_type(value)),
        }
    }

    fn push<const N: usize>(&self, mut element: [u8; N], out: &mut Vec<u8>) {
        arrange(self.order, &mut element);
        out.extend_from_slice(&element);
    }

    fn push_run(&self, bytes: &[u8], len: usize, out: &mut Vec<u8>) {
        let mut run = bytes.to_vec();
        run.resize(len.next_multiple_of(2), 0);
        swap(self.order, &mut run);
        out.extend_from_slice(&run);
    }

    fn expected(&self) -> String {
        let length = match self.data_type {
            DataType::String | DataType::WString => format!("({})", self.length),
            _ => String::new(),
        };
        let count = self.count.map_or_else(String::new, |count| format!("[{count}]"));
        format!("{}{length}{count}", self.data_type)
    }

    fn wrong_type(&self, value: &Value) -> ValueError {
        ValueError::Type { value: value.to_string(), expected: self.expected() }
    }

    fn wrong_range(&self, value: &Value) -> ValueError {
        ValueError::Range { value: value.to_string(), expected: self.expected() }
    }
}

/// The nearest single-precision number; `None` where a finite number would become infinite.
fn to_single(wide: f64) -> Option<f32> {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "rounds; overflow is checked"
    )]
    let single = wide as f32;
    (single.is_finite() || !wide.is_finite()).then_some(single)
}
