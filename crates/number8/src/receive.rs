//! The content of a request on its way to the disk: gathered in pieces, written by the lane.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::body::{Gathered, join_small};
use crate::response::{Response, try_again};
use crate::server::lane::{Lane, LaneFailure, OnLane, on_lane};
use crate::store::{Clash, WriteError, is_shortage, tell_of_disk};

/// How much content is gathered before it is written: fewer, larger writes cost less, more would only cost memory.
const PIECE_BYTES: usize = 512 * 1024;

/// Where content goes.
pub(crate) trait Sink: Send + Sized + 'static {
    /// Why nothing will come of it.
    type Error: From<LaneFailure> + Send + 'static;

    /// Waits for the disk.
    fn write(self, chunks: &[Bytes]) -> Result<Self, Self::Error>;
}

/// Writes content as it comes. The last of it, less than a piece, is left to whoever writes and commits at once.
pub(crate) async fn receive<S: Sink>(
    lane: &Lane,
    sink: S,
    gathered: &Gathered,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Bytes>, S::Error>>,
) -> Result<(OnLane<S>, Vec<Bytes>), S::Error> {
    let mut sink = OnLane::new(sink, lane);
    let mut piece = Vec::new();
    let mut length = 0;
    while let Some(chunk) = poll_fn(&mut next).await? {
        length += chunk.len();
        gather(&mut piece, chunk);
        gathered.is(length);
        if length >= PIECE_BYTES {
            let rest = cut_excess(&mut piece, length % PIECE_BYTES);
            let (file, chunks) = (sink, std::mem::replace(&mut piece, rest));
            let written = on_lane(lane, move || file.take()?.write(&chunks)).await?;
            sink = OnLane::new(written, lane);
            length %= PIECE_BYTES;
        }
    }
    gathered.is(0);
    Ok((sink, piece))
}

/// Puts a chunk behind the others.
fn gather(piece: &mut Vec<Bytes>, chunk: Bytes) {
    if piece.last_mut().is_none_or(|last| !join_small(last, &chunk)) {
        piece.push(chunk);
    }
}

/// Takes the last `excess` bytes away, so that what stays is whole pieces: the kernel keeps a file that is written at even
/// places in fewer, larger runs of pages, and both writing and syncing cost less.
fn cut_excess(chunks: &mut [Bytes], excess: usize) -> Vec<Bytes> {
    match chunks.last_mut() {
        // A chunk that completes a piece begins before its end.
        Some(last) if excess > 0 => vec![last.split_off(last.len() - excess)],
        _ => Vec::new(),
    }
}

/// What a client is told about a change that was not made.
pub(crate) fn refuse_write(error: &WriteError) -> Response {
    match error {
        WriteError::NotFound => Response::error(404, "there is nothing at this address"),
        WriteError::Clash(Clash::NotEmpty) => {
            Response::error(409, "the folder is not empty; ?force=1 removes all that it holds too")
        }
        WriteError::Clash(clash) => Response::error(409, clash.to_string()),
        WriteError::Refused(_) => Response::error(403, "nothing can be written there"),
        WriteError::ReadOnly => Response::error(403, error.to_string()),
        WriteError::BadName => Response::error(400, error.to_string()),
        WriteError::NoSpace => Response::error(507, "the disk has no room for it"),
        WriteError::TooLarge => Response::error(413, error.to_string()),
        WriteError::Unsynced(error) => {
            tell_of_disk("the disk failed as something was written", error);
            Response::error(
                500,
                "it is written, but may be lost where the power fails: the disk failed",
            )
        }
        WriteError::Io(error) if is_shortage(error) => busy(),
        WriteError::Io(error) => {
            tell_of_disk("the disk failed as something was written", error);
            failed()
        }
    }
}

/// There is no room for now.
pub(crate) fn busy() -> Response {
    try_again("the server is busy")
}

/// The fault is ours.
pub(crate) fn failed() -> Response {
    Response::error(500, "nothing was written: the disk failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_chunks_of_a_byte_take_little_more_memory_than_their_bytes() {
        let content: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        let mut piece = Vec::new();
        for byte in content.chunks(1) {
            gather(&mut piece, Bytes::copy_from_slice(byte));
        }
        assert!(piece.len() <= content.len() / 1024, "{} chunks", piece.len());
        assert_eq!(piece.concat(), content);
        // Larger ones are left where they are.
        let large = Bytes::from(vec![8; 64 * 1024]);
        gather(&mut piece, large.clone());
        assert_eq!(piece.last().map(|last| last.as_ptr()), Some(large.as_ptr()));
    }

    #[test]
    fn what_is_written_is_whole_pieces() {
        for (lengths, excess) in
            [(&[PIECE_BYTES][..], 0), (&[1, PIECE_BYTES], 1), (&[PIECE_BYTES - 1, 10], 9)]
        {
            let mut chunks: Vec<_> =
                lengths.iter().map(|&length| Bytes::from(vec![8; length])).collect();
            let rest = cut_excess(&mut chunks, excess);
            assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>() % PIECE_BYTES, 0);
            assert_eq!(rest.iter().map(Bytes::len).sum::<usize>(), excess);
        }
    }
}
