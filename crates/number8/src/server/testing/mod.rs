//! Connections to an app without a socket: for tests, which run the same code as a server and depend on no port
//! and no network.

mod request;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::AbortHandle;

use super::Handle;
use super::connection::Connection;
use super::memory::{self, End};
use super::options::Options;
pub use request::{TestRequest, TestResponse};

use super::shared::{Shared, Stop};
use super::worker::Worker;
use crate::app::App;

/// A server in memory, in the tokio runtime that made it. Dropping it cuts its connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use number8::App;
///
/// let server = App::new().get("/", async || "Hello, world.").test();
/// assert_eq!(server.get("/").send().await?.text(), "Hello, world.");
///
/// // The same, byte by byte.
/// let client = server.connect();
/// client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
/// assert!(client.read_to_end().await?.ends_with(b"\r\n\r\nHello, world."));
/// # Ok(())
/// # }
/// ```
pub struct TestServer {
    worker: Arc<Worker>,
    sweep: AbortHandle,
}

/// Bytes that one side may have sent and the other not yet read.
const CAPACITY: usize = 64 * 1024;

impl TestServer {
    /// Serves an app.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled, and where the app has a mistake ([`App::check`]).
    #[must_use]
    pub fn new(app: App, options: Options) -> Self {
        if let Err(mistake) = app.check() {
            panic!("{mistake}");
        }
        let shared = Shared::new(app, options);
        shared.is_serving.store(true, Ordering::Release);
        let worker = Arc::new(Worker::new(Arc::new(shared)));
        let sweeping = Arc::clone(&worker);
        let sweep = tokio::spawn(async move {
            let tell_all = async {
                for stop in [Stop::Gracefully, Stop::Now] {
                    sweeping.shared.stopped(stop).await;
                    sweeping.wake_all();
                }
            };
            tokio::join!(sweeping.sweep(), tell_all)
        })
        .abort_handle();
        Self { worker, sweep }
    }

    /// A new connection; the client's end of it. Each direction holds up to 64 KiB.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn connect(&self) -> End {
        self.connect_with(CAPACITY)
    }

    /// A new connection of which each direction holds up to `capacity` bytes.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn connect_with(&self, capacity: usize) -> End {
        self.accept(capacity, None)
    }

    /// A new connection that seems to come from that address.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn connect_from(&self, peer: SocketAddr) -> End {
        self.accept(CAPACITY, Some(peer))
    }

    fn accept(&self, capacity: usize, peer: Option<SocketAddr>) -> End {
        let (client, server) = memory::pair(capacity);
        if let Some(place) = self.worker.enter(peer) {
            tokio::spawn(Connection::new(Arc::new(server), place, peer));
        }
        client
    }

    /// A way to steer the server.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.worker.shared) }
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").field("handle", &self.handle()).finish_non_exhaustive()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.sweep.abort();
        self.worker.shared.set_stop(Stop::Now);
        self.worker.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    async fn answer(client: &End) -> String {
        let mut buf = vec![0; 1024];
        let count = client.read(&mut buf).await.unwrap();
        buf.truncate(count);
        String::from_utf8(buf).unwrap()
    }

    /// The order is that in which they became idle; those with half a request come last.
    #[tokio::test]
    async fn idle_connections_make_room_the_longest_waiting_first() {
        let server = App::new().get("/", async || "Hello, world.").test();
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = server.connect();
            client.write_all(REQUEST).await.unwrap();
            assert!(answer(&client).await.ends_with("Hello, world."));
            clients.push(client);
            // Deadlines have a resolution of some milliseconds.
            let now = super::super::clock::monotonic_ms();
            while super::super::clock::monotonic_ms() < now + 10 {
                tokio::task::yield_now().await;
            }
        }
        clients[0].write_all(&REQUEST[..9]).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(server.worker.evict_idle(1), 1);
        assert_eq!(answer(&clients[1]).await, "");
        // A request that crosses is still answered, and so is the rest of one.
        clients[2].write_all(REQUEST).await.unwrap();
        clients[0].write_all(&REQUEST[9..]).await.unwrap();
        assert_eq!(server.worker.evict_idle(5), 2);
        for client in [&clients[0], &clients[2]] {
            assert!(answer(client).await.contains("\r\nConnection: close\r\n"));
        }
        assert_eq!(server.worker.evict_idle(5), 0);
        // Half a request is no reason to stay.
        let half = server.connect();
        half.write_all(&REQUEST[..9]).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(server.worker.evict_idle(1), 1);
        assert_eq!(answer(&half).await, "");
    }
}
