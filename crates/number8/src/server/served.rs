//! What is served: replaced as a whole, while whoever has the one before goes on with it.

use std::sync::{Arc, PoisonError};

use crate::sync::{AtomicU64, Ordering, RwLock};

/// The app of a server.
#[derive(Debug)]
pub(crate) struct Served<T> {
    current: RwLock<Arc<T>>,
    /// The id of `current`, to see a change without the lock.
    id: AtomicU64,
}

impl<T> Served<T> {
    pub(crate) fn new(app: T, id: u64) -> Self {
        Self { current: RwLock::new(Arc::new(app)), id: AtomicU64::new(id) }
    }

    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The id of what is served, or of what was a moment ago.
    pub(crate) fn id(&self) -> u64 {
        self.id.load(Ordering::Acquire)
    }

    /// It takes the place of the one before, which it is shown first.
    pub(crate) fn replace(&self, mut app: T, id: u64, succeed: impl FnOnce(&mut T, &T)) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // SECURITY: under the lock, or of two who replace it at once one could be served while what goes on goes by the
        // rules of the other.
        succeed(&mut app, &current);
        let before = std::mem::replace(&mut *current, Arc::new(app));
        // Under the lock, or two who replace it at once could leave the one's app with the other's id.
        self.id.store(id, Ordering::Release);
        drop(current);
        // An app holds what its user has put there, whose end may take time.
        drop(before);
    }
}
