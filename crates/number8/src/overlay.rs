//! One handler over another: what the first does not find, the second is asked for.

use std::fmt;
use std::sync::Arc;

use number8_proto::http1::Method;

use crate::body::Body;
use crate::handler::{Answer, Call, Handler};

/// Lays one handler over another one (row U19): GET and HEAD go to the upper first, and to the lower where that answers
/// 404. All else goes to the upper alone, since content can be read only once.
///
/// A folder that is in both shows what the upper has.
///
/// ```no_run
/// use number8::{App, Files, Overlay};
///
/// let files = Overlay::new(Files::new("/media/card")?, Files::new("flash")?);
/// let app = App::new().mount("/", files);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Overlay {
    upper: Box<dyn Handler>,
    lower: Arc<dyn Handler>,
}

impl Overlay {
    /// Lays `upper` over `lower`.
    #[must_use]
    pub fn new(upper: impl Handler, lower: impl Handler) -> Self {
        Self { upper: Box::new(upper), lower: Arc::new(lower) }
    }
}

impl Handler for Overlay {
    fn handle(&self, mut call: Call<'_>) -> Answer {
        if !matches!(call.head.method(), Method::Get | Method::Head) {
            return self.upper.handle(call);
        }
        match self.upper.handle(call.again()) {
            Answer::Ready(response) if response.status() == 404 => self.lower.handle(call.again()),
            Answer::Ready(response) => response.into(),
            Answer::Later(answer) => {
                let (lower, mut kept) = (Arc::clone(&self.lower), call.keep());
                Answer::later(async move {
                    let response = answer.await;
                    if response.status() != 404 {
                        return response;
                    }
                    let response = kept.ask(&*lower, Body::empty()).wait().await;
                    kept.told(response)
                })
            }
        }
    }

    fn allow(&self) -> &str {
        self.upper.allow()
    }

    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.upper.measure(sheet);
        self.lower.measure(sheet);
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}
