//! Programs as processes of their own: started, limited, stopped with all that they have started, and collected.
//!
//! ```text
//!  server ── control, report ──▶ supervisor ──▶ program ──▶ whatever it starts
//!     └─────────── stdin, stdout, stderr, or a terminal ──────┘
//! ```
//!
//! The *supervisor* is a process between the two for each program. It is forked and never becomes another program, so it
//! needs no file of its own, and any program that uses this library has it. As it inherits whoever loses its parent, it can end
//! all of them; and as it hears when the server is gone, it does so even when the server was killed.
//!
//! What is promised:
//!
//! - A program has none of our descriptors, a session of its own, an environment that was made for it, and, where we are root,
//!   another user with that user's groups.
//! - When it has ended, or was stopped, or the server is gone, nothing that it has started is left.
//! - What it needs of memory, processes, files and time is bounded.
//!
//! What a program can do that runs as the server's own user: end the supervisor, and the server. Landlock keeps it from that,
//! where the kernel can (Linux 6.12).

mod confine;
mod group;
mod pipes;
pub(crate) mod plan;
mod report;
mod running;
mod scratch;
mod spawn;
mod strangers;
mod supervisor;
mod tree;
pub(crate) mod user;

pub(crate) use confine::Confine;
pub(crate) use pipes::{End, Size};
pub(crate) use report::Limit;
pub(crate) use running::{Child, Exit, Outcome, Started};
pub(crate) use scratch::Scratch;
pub(crate) use spawn::{Limits, Spawn};
pub use strangers::reap_strangers;
pub(crate) use strangers::wait_for_the_end;
pub(crate) use user::User;

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that nobody can guess and nobody else gets.
fn random_number() -> u64 {
    // Keyed by the system's randomness, anew each time.
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
