//! UTF-8 that arrives in pieces, refused at the first byte that cannot belong to it (RFC 6455 §8.1).

/// What of a character has come before the piece that ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Whether the text goes on, and ends if this is its end, as UTF-8.
    pub(super) fn takes(&mut self, mut piece: &[u8], is_end: bool) -> bool {
        while self.length > 0 {
            let [next, rest @ ..] = piece else { return !is_end };
            self.begun[self.length] = *next;
            self.length += 1;
            piece = rest;
            match core::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = core::str::from_utf8(piece) else { return true };
        if error.error_len().is_some() || is_end {
            return false;
        }
        // At most three bytes: four would be a character or a fault.
        let begun = &piece[error.valid_up_to()..];
        self.begun[..begun.len()].copy_from_slice(begun);
        self.length = begun.len();
        true
    }
}
