//! How many descriptors may be open for as long as clients like.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::kept;

/// Of the descriptors that the process may open, the share that these may be: a half. Connections need the others.
const SHARE: u64 = 2;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// How many there may be: a server has set its limit before it sends a file.
pub(in crate::store) static MOST: LazyLock<usize> = LazyLock::new(|| {
    let most = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |all| all / SHARE);
    usize::try_from(most).unwrap_or(usize::MAX)
});

/// Counts a descriptor that a client keeps open, by not taking what is sent or not sending what it has announced, until this
/// is dropped.
///
/// SECURITY: over HTTP/2 one connection can have a hundred of these.
#[derive(Debug)]
pub(in crate::store) struct Held(());

impl Held {
    /// # Errors
    /// There are as many as there may be: EMFILE, as where the system refuses it.
    pub(in crate::store) fn new() -> io::Result<Self> {
        // What is kept was sent once, and counts.
        Self::count().or_else(|full| if kept::let_go_of_one() { Self::count() } else { Err(full) })
    }

    fn count() -> io::Result<Self> {
        // Counted from here on, also where it is one too many.
        let held = Self(());
        match HELD.fetch_add(1, Ordering::Relaxed) >= *MOST {
            true => Err(Errno::MFILE.into()),
            false => Ok(held),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}
