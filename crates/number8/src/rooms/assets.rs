//! Files that are part of the program: compressed when it was built, sent as they are.

use bytes::Bytes;
use number8_proto::headers::Known;
use number8_proto::http1::Method;
use number8_proto::negotiate::{Coding, Encodings, accepted_encodings};

use crate::body::Body;
use crate::handler::{Answer, Call, Handler};
use crate::response::{Response, failed};

const ALLOW: &str = "GET, HEAD, OPTIONS";

/// One file that is part of the program.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path below the mount, without a slash in front.
    pub name: &'static str,
    /// Its Content-Type.
    pub media_type: &'static str,
    /// Its content, compressed by gzip.
    pub gzip: &'static [u8],
    /// What tells it from the file of that name in another build: letters and digits.
    pub version: &'static str,
}

/// Serves files that are part of the program. They are the same for everybody, and asked for anew each time, which a tag
/// makes short.
///
/// ```
/// use number8::{App, Asset, Assets};
///
/// static ASSETS: &[Asset] = &[];
/// let app = App::new().mount("/assets", Assets::new(ASSETS));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Assets(&'static [Asset]);

impl Assets {
    /// Serves these files.
    #[must_use]
    pub fn new(files: &'static [Asset]) -> Self {
        Self(files)
    }
}

impl Handler for Assets {
    fn handle(&self, call: Call<'_>) -> Answer {
        match call.head.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Response::options(ALLOW).into(),
            _ => return Response::not_allowed(ALLOW).into(),
        }
        let name = call.path.strip_prefix(b"/").unwrap_or(call.path);
        let Some(asset) = self.0.iter().find(|asset| asset.name.as_bytes() == name) else {
            return Response::error(404, "there is nothing at this address").into();
        };
        let accepted = call.head.joined(Known::AcceptEncoding);
        let accepted = accepted.map_or_else(Encodings::default, |value| accepted_encodings(&value));
        let is_coded = accepted.accepts(Coding::Gzip);
        let etag = format!("\"{}{}\"", asset.version, if is_coded { "-gzip" } else { "" });
        let known = call.head.get(Known::IfNoneMatch);
        let is_known =
            known.is_some_and(|tags| tags.windows(etag.len()).any(|tag| tag == etag.as_bytes()));
        let content = match (is_known, is_coded) {
            (true, _) => Ok(Body::empty()),
            (false, true) => Ok(Body::kept(Bytes::from_static(asset.gzip))),
            // For the few clients that read nothing compressed.
            (false, false) => number8_codings::gunzip(asset.gzip).map(Body::from),
        };
        let Ok(content) = content else { return failed().into() };
        let mut response = Response::new(if is_known { 304 } else { 200 }, content)
            .with_known("ETag", etag)
            .with_known("Vary", "Accept-Encoding")
            .with_known("Cache-Control", "no-cache");
        if !is_known {
            response = response
                .with_known("Content-Type", asset.media_type)
                .with_known("X-Content-Type-Options", "nosniff");
            if is_coded {
                response = response.with_known("Content-Encoding", "gzip");
            }
        }
        response.into()
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}
