//! How a request comes to its answer, told to who wants to know.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What was decided on the way of a request to its answer, step by step. Nobody listens to that of a usual request, which
/// costs nothing; a layer that puts [`Story::begin`] into [`Caller::story`](crate::Caller::story) hears it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use number8::{App, Call, Story};
///
/// let story = Story::begin();
/// let listener = story.clone();
/// let app = App::new()
///     .before(move |call: &mut Call<'_>| {
///         call.caller.story = listener.clone();
///         None
///     })
///     .get("/users/{id}", async |id: u32| format!("user {id}"));
/// app.test().get("/users/7").send().await?;
/// assert_eq!(story.steps(), [("route", "/users/{id}".to_owned())]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Story(Option<Arc<Mutex<Vec<Step>>>>);

/// What a step is about, and what was decided.
type Step = (&'static str, String);

impl Story {
    /// One that is listened to; a clone hears the same.
    #[must_use]
    pub fn begin() -> Self {
        Self(Some(Arc::default()))
    }

    /// Tells one step: what it is about, in a word, and what was decided. The text is made only if somebody listens.
    pub fn tell(&self, about: &'static str, text: impl FnOnce() -> String) {
        if let Some(steps) = &self.0 {
            let step = (about, text());
            steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        }
    }

    /// The steps so far.
    #[must_use]
    pub fn steps(&self) -> Vec<(&'static str, String)> {
        let steps = self.0.as_ref();
        steps.map_or_else(Vec::new, |steps| {
            steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Whether somebody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}

/// The same story, not one that goes alike.
impl PartialEq for Story {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Story {}
