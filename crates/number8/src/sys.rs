//! The one place with `unsafe`: taking over a descriptor of which only the number is known, receiving into memory that nobody
//! has written to, letting go of pages of files that are mapped, and, in `children`, what becomes of a process between `fork` and `exec`.

#![allow(
    unsafe_code,
    reason = "a descriptor handed over at start is only a number until someone vouches for it"
)]

#[cfg(feature = "children")]
pub(crate) mod children;

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use bytes::BufMut;
use rustix::io::FdFlags;
use rustix::net::{RecvFlags, SocketType, sockopt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::server::listener::Listener;

/// Receives into the next chunk of `buf`, behind what is there, which nobody need have written to before. Returns the count of
/// bytes.
///
/// # Errors
///
/// What the system says.
pub(crate) fn receive_onto(socket: BorrowedFd<'_>, buf: &mut dyn BufMut) -> io::Result<usize> {
    // SAFETY: nothing but what was received is written to it.
    let room = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let ((received, _), _) = rustix::net::recv(socket, room, RecvFlags::empty())?;
    let count = received.len();
    // SAFETY: that many bytes of the chunk were just written.
    unsafe { buf.advance_mut(count) };
    Ok(count)
}

/// Takes ownership of the listening stream socket that this process was started with as descriptor `number`.
///
/// # Errors
///
/// The number is below 3, taken before, not open, was opened by this process itself, or is no listening stream socket.
pub(crate) fn take_inherited_listener(number: RawFd) -> io::Result<OwnedFd> {
    let refuse = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if number < 3 {
        return refuse("descriptors 0 to 2 are the standard streams");
    }
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&number) {
        return refuse("it is in use already");
    }
    // SAFETY: the number is not -1. The borrow ends with this function and only queries the descriptor; where it is
    // not open, `fcntl_getfd` says so and nothing else is done with it.
    let candidate = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(flags) = rustix::io::fcntl_getfd(candidate) else {
        return refuse("it is not open");
    };
    // Everything that Rust code opens is close-on-exec, and what survived exec cannot be. So a descriptor without the
    // flag came with the process, and no value in it is the owner.
    if flags.contains(FdFlags::CLOEXEC) {
        return refuse("it was not handed over at start (it is close-on-exec)");
    }
    if sockopt::socket_type(candidate).ok() != Some(SocketType::STREAM) {
        return refuse("it is no stream socket");
    }
    if !sockopt::socket_acceptconn(candidate)? {
        return refuse("it is a socket that does not listen");
    }
    rustix::io::fcntl_setfd(candidate, FdFlags::CLOEXEC)?;
    taken.push(number);
    // SAFETY: the descriptor is open, nobody else owns it (above), and the list makes this the only owner ever made
    // here from this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The numbers that [`take_inherited_listener`] has made owners of.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Whether [`take_inherited_listener`] has taken this one.
pub(crate) fn is_taken(number: RawFd) -> bool {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
}

/// Drops the pages of these addresses, which are those of a private mapping of a program or library that cannot be written, and in
/// which nothing differs from the file. Says whether the system has done so.
pub(crate) fn drop_pages_of_file(addresses: Range<usize>) -> bool {
    let start = std::ptr::without_provenance_mut::<c_void>(addresses.start);
    // SAFETY: the pages are as they are in the file, and the next access brings them back from there. The mapping is still the same
    // one: it is of a program or a library, and only dlclose(3) takes one out of memory, which the caller excludes.
    unsafe { libc::madvise(start, addresses.len(), libc::MADV_DONTNEED) == 0 }
}

/// Has the current tokio runtime tell when a connection waits.
///
/// # Errors
///
/// The system refuses to watch the descriptor.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
pub(crate) fn watch(listener: Listener) -> io::Result<AsyncFd<Listener>> {
    // SAFETY: a `Listener` owns its socket, always names that one, and has no method that closes or replaces it.
    Ok(unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn a_listening_stream_socket_is_taken_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let number = as_if_inherited(listener);

        let taken = TcpListener::from(take_inherited_listener(number).unwrap());
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(rustix::io::fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        assert!(is_taken(number));
        assert_refused(number, "in use already");
        // Never closed: the test beside this one must not get the number.
        let _ = taken.into_raw_fd();
    }

    #[test]
    fn anything_else_is_refused_and_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_refused(0, "standard streams");
        assert_refused(-1, "standard streams");
        assert_refused(i32::MAX, "not open");
        assert_refused(listener.as_raw_fd(), "not handed over");
        assert_refused(as_if_inherited(connected), "does not listen");
        assert_refused(
            as_if_inherited(UdpSocket::bind("127.0.0.1:0").unwrap()),
            "no stream socket",
        );
        assert_refused(as_if_inherited(File::open("/dev/null").unwrap()), "no stream socket");
    }

    #[tokio::test]
    async fn a_listener_that_is_watched_tells_of_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let watched = watch(Listener::try_from(OwnedFd::from(listener)).unwrap()).unwrap();
        for _ in 0..3 {
            let connected = TcpStream::connect(address).unwrap();
            watched.readable().await.unwrap().clear_ready();
            drop(connected);
        }
    }

    #[test]
    #[ignore = "reads memory that was freed: tests/sanitize/run looks whether its sanitizer sees that"]
    fn wrong() {
        let memory = vec![8_u8; 100];
        let freed = memory.as_ptr();
        drop(memory);
        // SAFETY: none; it is what must not be done.
        unsafe { std::ptr::read_volatile(freed.add(7)) };
    }

    #[test]
    fn code_runs_after_its_pages_were_dropped() {
        for _ in 0..3 {
            assert!(crate::server::release_start() > 0);
            assert_eq!(format!("{:?}", std::hint::black_box(vec![1, 2, 3])), "[1, 2, 3]");
        }
    }

    fn as_if_inherited(descriptor: impl AsFd + IntoRawFd) -> RawFd {
        rustix::io::fcntl_setfd(&descriptor, FdFlags::empty()).unwrap();
        descriptor.into_raw_fd()
    }

    fn assert_refused(number: RawFd, reason: &str) {
        let error = take_inherited_listener(number).unwrap_err();
        assert!(error.to_string().contains(reason), "{number}: {error}");
    }
}
