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

    /// The same for several paths, of which some may be one.
    pub(super) async fn take_all(&self, mut paths: Vec<SafePath>) -> Vec<Turn> {
        // All take them in one order, so that nobody waits for one who waits.
        paths.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        paths.dedup_by(|one, other| one.as_bytes() == other.as_bytes());
        let mut turns = Vec::with_capacity(paths.len());
        for path in &paths {
            turns.push(self.take(path).await);
        }
        turns
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
            async move { turns.take_all(vec![path("/b"), path("/a")]).await.len() }
        });
        tokio::task::yield_now().await;
        assert!(!both.is_finished());
        drop((first, other));
        assert_eq!(both.await.unwrap(), 2);
        assert_eq!(turns.take_all(vec![path("/a"), path("/a")]).await.len(), 1);
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
