//! Function codes.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::fmt;

macro_rules! functions {
    ($($variant:ident $code:literal $words:literal;)*) => {
        /// What a request asks for (V1.1b3, 5.1). Only what is here can be sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Function { $(#[doc = concat!("Function ", stringify!($code), ": ", $words, ".")] $variant,)* }

        impl Function {
            /// Every function, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code on the wire.
            pub const fn code(self) -> u8 { match self { $(Self::$variant => $code,)* } }

            /// The function of a code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// In words.
            pub const fn words(self) -> &'static str { match self { $(Self::$variant => $words,)* } }
        }
    };
}

functions! {
    ReadCoils 1 "read coils";
    ReadDiscreteInputs 2 "read discrete inputs";
    ReadHoldingRegisters 3 "read holding registers";
    ReadInputRegisters 4 "read input registers";
    WriteSingleCoil 5 "write single coil";
    WriteSingleRegister 6 "write single register";
    WriteMultipleCoils 15 "write multiple coils";
    WriteMultipleRegisters 16 "write multiple registers";
    ReadFileRecord 20 "read file record";
    WriteFileRecord 21 "write file record";
    MaskWriteRegister 22 "mask write register";
    ReadWriteMultipleRegisters 23 "read/write multiple registers";
    ReadDeviceIdentification 43 "read device identification";
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
