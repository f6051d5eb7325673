//! What a supervisor tells the server: records of one size, each written with one call.

/// Something that has happened to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// The program has ended; what it has started may not have.
    Ended(Ended),
    /// It went past a limit and is being killed.
    Limit(Limit),
    /// So many processes that it had started were there when it ended, and were ended.
    LeftBehind(u64),
}

/// How a program has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// The exit code, or the signal that ended it, negative.
    pub(super) code: i32,
    pub(super) cpu_us: u64,
    pub(super) peak_kib: u64,
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
pub(super) const RECORD_BYTES: usize = 32;

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD_BYTES] {
        let words: [u64; 4] = match *self {
            Self::Ended(Ended { code, cpu_us, peak_kib }) => {
                [ENDED, u64::from(code.cast_unsigned()), cpu_us, peak_kib]
            }
            Self::Limit(Limit::Memory) => [MEMORY, 0, 0, 0],
            Self::Limit(Limit::Processes) => [PROCESSES, 0, 0, 0],
            Self::LeftBehind(count) => [LEFT_BEHIND, count, 0, 0],
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
            ENDED => Self::Ended(Ended {
                code: (next() as u32).cast_signed(),
                cpu_us: next(),
                peak_kib: next(),
            }),
            MEMORY => Self::Limit(Limit::Memory),
            PROCESSES => Self::Limit(Limit::Processes),
            LEFT_BEHIND => Self::LeftBehind(next()),
            _ => return None,
        })
    }
}

const ENDED: u64 = 1;
const MEMORY: u64 = 2;
const PROCESSES: u64 = 3;
const LEFT_BEHIND: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        for record in [
            Record::Ended(Ended { code: 255, cpu_us: 1 << 40, peak_kib: 7 }),
            Record::Ended(Ended { code: -9, cpu_us: 0, peak_kib: 0 }),
            Record::Limit(Limit::Memory),
            Record::Limit(Limit::Processes),
            Record::LeftBehind(300),
        ] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[0; RECORD_BYTES]), None);
        assert_eq!(Record::decode(&[0xff; RECORD_BYTES]), None);
    }
}
