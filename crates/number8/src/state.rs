//! What the handlers of an app share.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::handler::{Argument, Call, Needs, Taken};

/// Values by type.
#[derive(Default, Clone)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn has(&self, of: TypeId) -> bool {
        self.0.contains_key(&of)
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.get(&TypeId::of::<T>())?).downcast().ok()
    }
}

/// The value of this type that was given to the app with [`App::state`](crate::App::state), shared by all handlers.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use number8::{App, State};
///
/// async fn count(visits: State<AtomicU64>) -> String {
///     format!("You are visitor {}.", visits.fetch_add(1, Ordering::Relaxed) + 1)
/// }
///
/// let app = App::new().state(AtomicU64::new(0)).get("/", count);
/// ```
#[derive(Debug)]
pub struct State<T>(Arc<T>);

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> Argument for State<T> {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        // The app was checked: every state that a handler needs is there.
        call.state()
            .map(|state| Taken::Now(Self(state)))
            .ok_or_else(|| Error::new(500, "the handler failed"))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}
