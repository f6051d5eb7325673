//! Whole blocks on their way to the disk past the page cache.
//!
//! A large file that is written through memory pushes everything else out of it, is copied once more than it has to be,
//! and makes the wait for the disk at its end long. So what follows the first part of one goes to the disk directly, which
//! takes memory at even places and whole blocks.

/// Gathers content into one block.
#[derive(Debug)]
pub(super) struct Blocks {
    memory: Vec<u8>,
    /// Where in the memory the block begins.
    start: usize,
    filled: usize,
}

impl Blocks {
    /// Room for one block.
    pub(super) fn new() -> Self {
        let memory = vec![0; BLOCK_BYTES + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start, filled: 0 }
    }

    /// Takes what there is room for, and returns the rest.
    pub(super) fn take<'a>(&mut self, content: &'a [u8]) -> &'a [u8] {
        let count = content.len().min(BLOCK_BYTES - self.filled);
        let (taken, rest) = content.split_at(count);
        let end = self.start + self.filled;
        self.memory[end..end + count].copy_from_slice(taken);
        self.filled += count;
        rest
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == BLOCK_BYTES
    }

    /// What has been gathered.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }
}

/// What is written at once: enough to keep a disk busy.
pub(super) const BLOCK_BYTES: usize = 512 * 1024;

/// A multiple of every disk's sectors.
const ALIGNMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_and_at_even_places() {
        let mut blocks = Blocks::new();
        let content: Vec<u8> = (0..2 * BLOCK_BYTES + 5).map(|at| (at % 251) as u8).collect();
        let mut seen = Vec::new();
        for chunk in content.chunks(100_003) {
            let mut rest = chunk;
            while !rest.is_empty() {
                rest = blocks.take(rest);
                if blocks.is_full() {
                    assert!(blocks.bytes().as_ptr().addr().is_multiple_of(ALIGNMENT));
                    seen.extend_from_slice(blocks.bytes());
                    blocks.clear();
                }
            }
        }
        seen.extend_from_slice(blocks.bytes());
        assert!(seen == content && blocks.bytes().len() == 5);
    }
}
