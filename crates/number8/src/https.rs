//! Leading whoever comes without TLS to where there is TLS.

use number8_proto::host::{name_of, valid_host};

use crate::handler::{Answer, Call, Handler};
use crate::response::Response;

/// Answers every request 308, to the same host and path by https: for a server at port 80 beside one with
/// [`Tls`](crate::server). A request without a host, or with one that is none, is 400.
///
/// ```
/// use number8::{App, ToHttps};
///
/// let app = App::new().mount("/", ToHttps::new(8443));
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let answer = app.test().get("/songs?page=2").field("Host", "farm.example").send().await?;
/// assert_eq!(answer.field("location"), Some("https://farm.example:8443/songs?page=2"));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ToHttps {
    port: u16,
}

impl ToHttps {
    /// Leads to this port.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port }
    }
}

impl Handler for ToHttps {
    fn handle(&self, call: Call<'_>) -> Answer {
        to_https(call.head.host(), call.head.path(), call.head.query(), Some(self.port)).into()
    }
}

/// The answer that leads there; with no port, to that of the request.
pub(crate) fn to_https(
    host: Option<&[u8]>,
    path: &[u8],
    query: Option<&[u8]>,
    port: Option<u16>,
) -> Response {
    let Some(host) = host.filter(|host| !host.is_empty() && valid_host(host)) else {
        return Response::error(400, "this is served over HTTPS only, and Host does not say where");
    };
    let mut location = b"https://".to_vec();
    match port {
        None => location.extend_from_slice(host),
        Some(port) => {
            location.extend_from_slice(name_of(host));
            if port != 443 {
                location.extend_from_slice(format!(":{port}").as_bytes());
            }
        }
    }
    // What is asked of the server as a whole has no path (`OPTIONS *`).
    location.extend_from_slice(if path.starts_with(b"/") { path } else { b"/" });
    if let Some(query) = query {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    Response::new(308, "This is served over HTTPS only.\n").with_known("Location", location)
}
