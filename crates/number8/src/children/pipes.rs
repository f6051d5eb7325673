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
pub(crate) struct End(AsyncFd<OwnedFd>);

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
        sys::watch(descriptor, interest).map(Self)
    }

    /// Reads what there is, as soon as there is something; 0 at the end. Nothing is lost if this is dropped.
    ///
    /// # Errors
    /// Those of read(2).
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = |end: &AsyncFd<OwnedFd>| match rustix::io::read(end, &mut *buffer) {
                // A terminal that nobody has open any more.
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
        rustix::io::read(&self.0, buffer).unwrap_or(0)
    }

    /// Writes as much as there is room for, as soon as there is room. Nothing is lost if this is dropped.
    ///
    /// # Errors
    /// Those of write(2): `BrokenPipe` where nobody reads any more.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.writable().await?;
            match ready.try_io(|end| Ok(rustix::io::write(end, bytes)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
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
        resize(&self.0, size)
    }
}

/// # Errors
/// It is no terminal.
pub(super) fn resize(terminal: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}
