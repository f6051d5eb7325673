//! A program at the terminal that is part of this process: an interpreter that runs here already.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::terminal::{Ended, KEYS_MAX, Shared};
use crate::children::Exit;

/// The program's end of a terminal: keys come in, and what is shown goes out. The session is over when it is dropped.
///
/// Both ends may wait, so they are for threads of their own.
pub struct Console {
    keys: mpsc::Receiver<Bytes>,
    output: ConsoleOutput,
    _ending: oneshot::Sender<()>,
}

/// The half that shows; as many clones as are wanted.
#[derive(Clone)]
pub struct ConsoleOutput {
    shared: Arc<Shared>,
}

/// Has the session's thread begin with its console.
#[derive(Clone)]
pub(super) struct Start(pub(super) Arc<dyn Fn(Console) + Send + Sync>);

impl Console {
    /// The next keys, as bytes; waits for them. `None` when nobody types any more, and the session is to end.
    ///
    /// # Panics
    /// In a task.
    pub fn read(&mut self) -> Option<Bytes> {
        self.keys.blocking_recv()
    }

    /// The half that shows.
    #[must_use]
    pub fn output(&self) -> ConsoleOutput {
        self.output.clone()
    }
}

impl ConsoleOutput {
    /// Shows some bytes; waits while a client that has to have every one of them is behind.
    pub fn write(&self, bytes: &[u8]) {
        self.shared.show(bytes);
    }
}

/// Has the program run until it has ended; it is told to end by there being no more keys.
pub(super) async fn attend(
    shared: &Arc<Shared>,
    start: &Start,
    typed: &mut mpsc::Receiver<Bytes>,
) -> Ended {
    let (keys, theirs) = mpsc::channel(KEYS_MAX);
    let (ending, ended) = oneshot::channel();
    let output = ConsoleOutput { shared: Arc::clone(shared) };
    (start.0)(Console { keys: theirs, output, _ending: ending });
    let mut input = Some(Box::pin(async move {
        while let Some(bytes) = typed.recv().await {
            if keys.send(bytes).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    }));
    tokio::pin!(ended);
    loop {
        let typing = async {
            match &mut input {
                Some(input) => input.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = &mut ended => return Ended::Exit(Exit::Code(0)),
            () = typing => {}
            () = shared.told_to_stop() => input = None,
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl fmt::Debug for ConsoleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleOutput").finish_non_exhaustive()
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start")
    }
}
