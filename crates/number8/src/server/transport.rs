//! The seam between a connection and what carries its bytes.
//!
//! A connection holds a [`Transport`], so the same code, compiled once, runs over TCP, Unix sockets, TLS and the
//! [in-memory pair](super::memory). Everything is "try, else wait for readiness": an idle connection needs no buffer,
//! and one write can carry a whole batch of answers.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BufMut;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// A byte stream in both directions that never blocks.
///
/// The `try_` methods move what they can at once and return [`WouldBlock`](io::ErrorKind::WouldBlock) where that is
/// nothing; the caller then waits with [`poll_read_ready`](Self::poll_read_ready) or
/// [`poll_write_ready`](Self::poll_write_ready) and tries again. Readiness may be false: be prepared for another
/// `WouldBlock`. One task at a time may wait for each direction; the last waker given is the one that is woken.
pub trait Transport: Send + Sync + 'static {
    /// Reads into `buf` and returns the count of bytes; 0 is the end of what the peer sends (for a non-empty `buf`).
    ///
    /// A count smaller than `buf` means that there was no more: wait for readiness before the next try.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Like [`try_read`](Self::try_read), behind what is in `buf`: as much as fits into its next
    /// [chunk](BufMut::chunk_mut). Memory that is not used yet need not be zeroed for it, where the transport knows a way.
    fn try_read_onto(&self, buf: &mut dyn BufMut) -> io::Result<usize> {
        let mut read = vec![0; buf.chunk_mut().len()];
        let count = self.try_read(&mut read)?;
        buf.put_slice(&read[..count]);
        Ok(count)
    }

    /// Writes the start of `buf` and returns how many bytes were taken.
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Like [`try_write`](Self::try_write), for the bytes of several slices in turn.
    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until [`try_read`](Self::try_read) may succeed: there are bytes, the peer has ended, or there is an error.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until a write may succeed: there is room, or an error to report.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends up to `count` bytes of `file` from `offset` without a copy through this process, and returns how many
    /// were taken; 0 is the end of the file. The file's own position is neither used nor moved.
    ///
    /// `None`: this transport cannot, or not this file; the caller reads the file and writes.
    fn try_sendfile(
        &self,
        _file: BorrowedFd<'_>,
        _offset: u64,
        _count: usize,
    ) -> Option<io::Result<usize>> {
        None
    }

    /// Waits until what was written has been given to the network; a transport that keeps nothing has nothing to do.
    fn poll_flush(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Agrees with the peer on how to be secure, where that is [expected](Security::Expected), before anything is read.
    /// `received` was read before that and belongs to it; given once.
    fn poll_secure(&self, _received: &[u8], _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Whether strangers on the way can read and change what is sent.
    fn security(&self) -> Security {
        Security::None
    }

    /// Whether the peer chose HTTP/2 while it agreed on how to be secure (RFC 7301).
    fn has_chosen_http2(&self) -> bool {
        false
    }

    /// Bytes that are kept here: received and not yet read, or written and not yet sent.
    fn held(&self) -> usize {
        0
    }

    /// Ends the sending direction: the peer reads the end after what was written. Reading goes on.
    fn shutdown_write(&self) -> io::Result<()>;

    /// Has the end of this transport, when it is dropped, look like a fault to the peer and not like an end, where
    /// there is a way; what was written and not yet sent is forgotten.
    fn reset_on_drop(&self) {}

    /// From now on the system takes no more than this of what is not on its way yet, in bytes. A transport without such a limit has
    /// nothing to do.
    fn set_unsent_max(&self, _bytes: u32) {}
}

/// How far a [`Transport`] protects what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// It is to be TLS; nothing has been said yet.
    Expected,
    /// It was to be TLS, but the peer speaks something else, which is passed on as it is.
    Missed,
    /// By TLS.
    Tls,
}

/// Both kinds of socket have the same methods in tokio, but no trait that names them.
macro_rules! socket_transport {
    ($socket:ty) => {
        impl Transport for $socket {
            fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                let wanted = buf.len();
                short_is_drained(
                    wanted,
                    |receive| self.try_io(Interest::READABLE, receive),
                    || Ok(rustix::net::recv(self, &mut *buf, RecvFlags::empty())?.0),
                )
            }

            fn try_read_onto(&self, buf: &mut dyn BufMut) -> io::Result<usize> {
                short_is_drained(
                    buf.chunk_mut().len(),
                    |receive| self.try_io(Interest::READABLE, receive),
                    || crate::sys::receive_onto(self.as_fd(), buf),
                )
            }

            fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                short_is_drained(
                    buf.len(),
                    |send| self.try_io(Interest::WRITABLE, send),
                    || Ok(rustix::net::send(self, buf, SendFlags::NOSIGNAL)?),
                )
            }

            fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                // More slices than the system takes at once are left for the next try.
                let bufs = &bufs[..bufs.len().min(SLICES_MAX)];
                let wanted = bufs.iter().map(|buf| buf.len()).sum();
                short_is_drained(
                    wanted,
                    |send| self.try_io(Interest::WRITABLE, send),
                    || {
                        let mut no_control = SendAncillaryBuffer::default();
                        Ok(rustix::net::sendmsg(self, bufs, &mut no_control, SendFlags::NOSIGNAL)?)
                    },
                )
            }

            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_sendfile(
                &self,
                file: BorrowedFd<'_>,
                mut offset: u64,
                count: usize,
            ) -> Option<io::Result<usize>> {
                // A short count says nothing about room: it may be the end of the file or a page not read yet.
                let sent = self.try_io(Interest::WRITABLE, || {
                    let send = || rustix::fs::sendfile(self, file, Some(&mut offset), count);
                    Ok(rustix::io::retry_on_intr(send)?)
                });
                match sent {
                    Err(error) if cannot_be_sent(&error) => None,
                    sent => Some(sent),
                }
            }

            fn shutdown_write(&self) -> io::Result<()> {
                Ok(rustix::net::shutdown(self.as_fd(), Shutdown::Write)?)
            }

            fn reset_on_drop(&self) {
                // A socket that cannot is closed as any other.
                let _ = sockopt::set_socket_linger(self, Some(Duration::ZERO));
            }

            fn set_unsent_max(&self, bytes: u32) {
                // No Unix socket has it, and one that has it and cannot goes on as before.
                let _ = socket2::SockRef::from(self).set_tcp_notsent_lowat(bytes);
            }
        }
    };
}

socket_transport!(TcpStream);
socket_transport!(UnixStream);

/// The most slices Linux takes in one call (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// Whether the system sends no such files at all: since Linux 5.10 those of a file system without `splice_read`; some sandboxes
/// send none.
fn cannot_be_sent(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    matches!(error, Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM))
}

/// Runs `operation` inside tokio's `try_io` and forgets the readiness where it moved fewer bytes than `wanted`.
///
/// A short count means that the kernel's buffer is drained (or full), and with edge-triggered readiness the next change
/// makes a new event. Without this, every request costs one more call that only says "would block". tokio does the same
/// inside `poll_read` and `poll_write`, which need `&mut`.
fn short_is_drained(
    wanted: usize,
    try_io: impl FnOnce(&mut dyn FnMut() -> io::Result<usize>) -> io::Result<usize>,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    let moved = Cell::new(None);
    let result = try_io(&mut || {
        let count = operation()?;
        if 0 < count && count < wanted {
            moved.set(Some(count));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    });
    moved.get().map_or(result, Ok)
}
