//! The server's ends of what a program reads and writes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::termios::Winsize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::children as sys;

/// The end of a pipe or terminal that the server has.
#[derive(Debug)]
pub(crate) struct End {
    watched: AsyncFd<OwnedFd>,
    /// The other end of a terminal, which so is never hung up: one that is would be ready for ever, and take nothing.
    _other: Option<OwnedFd>,
}

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

impl End {
    pub(super) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        rustix::fs::fcntl_setfl(&descriptor, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self { watched: sys::watch(descriptor, interest)?, _other: None })
    }

    /// As [`End::watch`], for a terminal, whose other end is kept as long as this one.
    pub(super) fn watch_terminal(ours: OwnedFd, other: OwnedFd) -> io::Result<Self> {
        let end = Self::watch(ours, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { _other: Some(other), ..end })
    }

    /// Reads what there is, as soon as there is something; 0 at the end. Nothing is lost if this is dropped.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.watched.readable().await?;
            let read = |end: &AsyncFd<OwnedFd>| match rustix::io::read(end, &mut *buffer) {
                // A terminal that was hung up.
                Err(Errno::IO) => Ok(0),
                result => Ok(result?),
            };
            match ready.try_io(read) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_) => {}
            }
        }
    }

    /// What is there to be read now; 0 also where there is nothing.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> usize {
        rustix::io::read(&self.watched, buffer).unwrap_or(0)
    }

    /// Writes as much as there is room for, as soon as there is room. Nothing is lost if this is dropped.
    ///
    /// # Errors
    /// Those of write(2): `BrokenPipe` where nobody reads any more.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.watched.writable().await?;
            match ready.try_io(|end| Ok(rustix::io::write(end, bytes)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                // A terminal that a program of root's has hung up (vhangup(2)).
                Err(_) if ready.ready().is_write_closed() => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Err(_) => {}
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As for [`End::write`].
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Gives the terminal another size; the program is told.
    ///
    /// # Errors
    /// It is no terminal.
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        resize(&self.watched, size)
    }
}

/// # Errors
/// It is no terminal.
pub(super) fn resize(terminal: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}
