//! Turns at names: who would change what another changes just now waits here, and not on a thread that others need.
//!
//! What makes it right is that the store holds a name while it is changed. That knows all spellings and all rooms; this knows
//! only the paths of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{Mutex as Place, OwnedMutexGuard};

use crate::store::SafePath;
use crate::sync::lock;

/// Who is at work on which path.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Vec<u8>, Weak<Place<()>>>>);

/// A turn, which is over when this is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until nobody else is at work on the path; whoever came first is first.
    pub(super) async fn take(&self, path: &SafePath) -> Turn {
        self.place(path).lock_owned().await
    }

    /// The same for two paths, which may be one.
    pub(super) async fn take_two(&self, one: &SafePath, other: &SafePath) -> (Turn, Option<Turn>) {
        // All take them in one order, so that nobody waits for one who waits.
        let (first, second) =
            if one.as_bytes() <= other.as_bytes() { (one, other) } else { (other, one) };
        let turn = self.take(first).await;
        let is_one = first.as_bytes() == second.as_bytes();
        (turn, if is_one { None } else { Some(self.take(second).await) })
    }

    fn place(&self, path: &SafePath) -> Arc<Place<()>> {
        let mut places = lock(&self.0);
        if let Some(place) = places.get(path.as_bytes()).and_then(Weak::upgrade) {
            return place;
        }
        if places.len() == places.capacity() {
            places.retain(|_, place| place.strong_count() > 0);
        }
        let place = Arc::default();
        places.insert(path.as_bytes().to_vec(), Arc::downgrade(&place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Hidden;

    fn path(name: &str) -> SafePath {
        SafePath::parse(name.as_bytes(), Hidden::Refuse).unwrap()
    }

    #[tokio::test]
    async fn turns_at_a_path_come_one_after_the_other_and_others_at_once() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(&path("/a")).await;
        let other = turns.take(&path("/b")).await;
        let both = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take_two(&path("/b"), &path("/a")).await.1.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!both.is_finished());
        drop((first, other));
        assert!(both.await.unwrap());
        assert!(turns.take_two(&path("/a"), &path("/a")).await.1.is_none());
    }

    #[tokio::test]
    async fn paths_that_nobody_is_at_work_on_are_forgotten() {
        let turns = Turns::default();
        for number in 0..1000 {
            turns.take(&path(&format!("/{number}"))).await;
        }
        assert!(lock(&turns.0).len() < 100);
    }
}
