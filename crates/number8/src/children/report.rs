//! What a supervisor tells the server: records of one size, each written with one call.

/// Something that has happened to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// The program has ended, with this exit code, or by this signal, negative; what it has started may not have.
    Ended(i32),
    /// It went past a limit and is being killed.
    Limit(Limit),
}

/// A limit that the supervisor looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Memory of all processes together.
    Memory,
    /// How many processes there are.
    Processes,
}

/// Bytes of a record.
pub(super) const RECORD_BYTES: usize = 16;

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD_BYTES] {
        let words: [u64; 2] = match *self {
            Self::Ended(code) => [ENDED, u64::from(code.cast_unsigned())],
            Self::Limit(Limit::Memory) => [MEMORY, 0],
            Self::Limit(Limit::Processes) => [PROCESSES, 0],
        };
        let mut bytes = [0; RECORD_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|word| {
            word.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        });
        let mut next = || words.next().unwrap_or_default();
        Some(match next() {
            ENDED => Self::Ended((next() as u32).cast_signed()),
            MEMORY => Self::Limit(Limit::Memory),
            PROCESSES => Self::Limit(Limit::Processes),
            _ => return None,
        })
    }
}

const ENDED: u64 = 1;
const MEMORY: u64 = 2;
const PROCESSES: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        for record in [
            Record::Ended(255),
            Record::Ended(-9),
            Record::Limit(Limit::Memory),
            Record::Limit(Limit::Processes),
        ] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[0; RECORD_BYTES]), None);
        assert_eq!(Record::decode(&[0xff; RECORD_BYTES]), None);
    }
}
