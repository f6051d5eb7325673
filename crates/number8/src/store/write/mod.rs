//! Changing the folder: content that is seen whole or not at all, and one change of a name at a time.
//!
//! ```text
//! Root::stage ──▶ Staged ──write…──▶ finish ──▶ claim ──▶ Claim::current ──▶ commit
//!                  no name, or a hidden one       held     preconditions      link or rename
//! ```
//!
//! What is promised:
//!
//! - A reader finds the old file or the whole new one, also after this process was killed, the power went or the disk
//!   was full. What is not committed leaves nothing behind, or a hidden file for [`Root::sweep`](super::Root::sweep).
//! - What a precondition saw is still so at the commit, as far as writers of this process are concerned. Others are not
//!   kept out: between their change and ours the later one wins, each whole.
//! - No link is followed out of the root, replaced or removed with what it leads to.
//!
//! Everything here may wait for the disk.

mod blocks;
mod claim;
mod error;
mod hold;
mod remove;
mod space;
mod stage;
mod sys;
mod temporary;

use std::time::Duration;

pub use claim::{Claim, Written};
pub use error::{Clash, WriteError};
pub use stage::{StageOptions, Staged};

/// What to do where a name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClash {
    /// What is there stays, and the write fails.
    Refuse,
    /// A file takes the place of a file.
    #[default]
    Replace,
    /// Both stay: the new one is called `name (2).ext`, or the next number that is free.
    KeepBoth,
}

/// How deep the folders may be in one that is removed or swept, each of which is open meanwhile.
pub const DEPTH_MAX: usize = 128;

/// How much later a file is said to be than the one whose place it takes, where it cannot be told from it: a nanosecond, or the tick
/// of the coarsest clock, that of vfat.
const LATER_NS: [i128; 2] = [1, 2_000_000_000];

/// How often a name is tried again that others take and give up, or whose folder they remove.
const RACES_MAX: u32 = 16;

/// How long is waited for whoever removes a folder that has a name and takes no files any more, before it is tried again: they may
/// have been interrupted between the two.
fn wait_for_removal() {
    std::thread::sleep(Duration::from_millis(10));
}
