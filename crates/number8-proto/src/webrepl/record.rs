//! The records of WebREPL: 82 bytes that ask, 4 that answer.

/// Bytes of a request: `<2sBBQLH64s`.
const RECORD_BYTES: usize = 82;
/// Where the name begins.
const NAME: usize = 18;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'b> {
    /// To store a file.
    Put {
        /// Its name, never empty, without NUL.
        name: &'b [u8],
        /// How many bytes follow.
        size: u32,
    },
    /// To send a file.
    Get {
        /// Its name, never empty, without NUL.
        name: &'b [u8],
    },
    /// To tell the version.
    Version,
    /// Something that no client asks for: a name without an end, an offset, another type.
    Unknown,
}

/// How something ended. Zero is good; anything else tells the client that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u16);

impl Code {
    /// It went well.
    pub const OK: Self = Self(0);
    /// It may not be done (EPERM).
    pub const NOT_ALLOWED: Self = Self(1);
    /// There is no such file (ENOENT).
    pub const NOT_FOUND: Self = Self(2);
    /// The disk failed (EIO).
    pub const FAILED: Self = Self(5);
    /// The server has too much to do (EBUSY).
    pub const BUSY: Self = Self(16);
    /// Something else has that name (EEXIST).
    pub const IN_THE_WAY: Self = Self(17);
    /// The request makes no sense (EINVAL).
    pub const BAD_REQUEST: Self = Self(22);
    /// The file is too large (EFBIG).
    pub const TOO_LARGE: Self = Self(27);
    /// The disk is full (ENOSPC).
    pub const NO_SPACE: Self = Self(28);

    /// The bytes that say so.
    #[must_use]
    pub const fn record(self) -> [u8; 4] {
        let [low, high] = self.0.to_le_bytes();
        [b'W', b'B', low, high]
    }
}

/// A request as it comes in.
#[derive(Debug, Clone)]
pub(super) struct Record {
    bytes: [u8; RECORD_BYTES],
    filled: usize,
}

/// What bytes were for a record.
pub(super) enum Taken {
    /// All of them are part of it, and more has to come.
    Part,
    /// So many of them made it whole.
    Whole(usize),
    /// With so many of them it turned out to be none.
    None(usize),
}

impl Record {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; RECORD_BYTES], filled: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// It may still be typed text.
    pub(super) const fn is_begun(&self) -> bool {
        matches!(self.filled, 1..=2)
    }

    pub(super) const fn clear(&mut self) {
        self.filled = 0;
    }

    /// What there is of it, as what was typed.
    pub(super) fn take(&mut self) -> &[u8] {
        &self.bytes[..core::mem::take(&mut self.filled)]
    }

    pub(super) fn take_from(&mut self, input: &[u8]) -> Taken {
        for (used, &byte) in input.iter().enumerate() {
            let fits = match self.filled {
                0 => byte == b'W',
                1 => byte == b'A',
                // No type is a letter: "WAIT" was typed.
                2 => byte < b' ',
                _ => true,
            };
            if !fits {
                return Taken::None(used);
            }
            self.bytes[self.filled] = byte;
            self.filled += 1;
            if self.filled == RECORD_BYTES {
                return Taken::Whole(used + 1);
            }
        }
        Taken::Part
    }

    /// What it asks for; it has to be whole.
    pub(super) fn read(&self) -> Request<'_> {
        let field = &self.bytes[NAME..];
        // Clients tell the length of the name, too; devices go by the NUL, and so does this.
        let end = field.iter().position(|&b| b == 0);
        let name = end.map_or(&[][..], |end| &field[..end]);
        let size = [self.bytes[12], self.bytes[13], self.bytes[14], self.bytes[15]];
        let has_offset = self.bytes[4..12].iter().any(|&b| b != 0);
        match self.bytes[2] {
            3 => Request::Version,
            1 | 2 if name.is_empty() || has_offset => Request::Unknown,
            1 => Request::Put { name, size: u32::from_le_bytes(size) },
            2 => Request::Get { name },
            _ => Request::Unknown,
        }
    }
}
