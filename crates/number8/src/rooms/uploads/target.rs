//! Where a request leads: a place in the folder, and the path under which access rules and clients know it.

use number8_proto::disposition::ContentDisposition;
use number8_proto::uri;

use super::answer::{bad_path, refused};
use super::roots::Roots;
use crate::handler::Call;
use crate::handler::path::undone;
use crate::response::Response;
use crate::store::SafePath;

/// A place that a request names.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The place in the folder.
    pub(super) path: SafePath,
    /// The decoded path from the root of the server, by which access rules know it.
    pub(super) url_path: Vec<u8>,
    /// What stands before it in the path of a URL, as the client wrote it.
    pub(super) prefix: Vec<u8>,
}

impl Target {
    /// The place that the path of the request names.
    pub(super) fn of_path(call: &Call<'_>, roots: &Roots) -> Result<Self, Box<Response>> {
        let whole = call.head.path();
        let prefix = whole.strip_suffix(call.path).unwrap_or_default();
        let rest = if call.path.is_empty() { b"/" } else { call.path };
        Self::parse(prefix, rest, roots)
    }

    /// The folder that the path of the request names, with a slash at its end or without.
    pub(super) fn of_folder(call: &Call<'_>, roots: &Roots) -> Result<Self, Box<Response>> {
        let whole = call.head.path();
        let prefix = whole.strip_suffix(call.path).unwrap_or_default();
        Self::parse(prefix, &[call.path, b"/"].concat(), roots)
    }

    /// The place that Content-Disposition names (rows U26 and U27): a path from the root of the folder.
    pub(super) fn of_disposition(
        call: &Call<'_>,
        roots: &Roots,
        served_under: &[u8],
    ) -> Result<Self, Box<Response>> {
        let missing = || {
            refused(400, "say where it goes: Content-Disposition: attachment; filename=\"/path\"")
        };
        let value = call.head.named("content-disposition").ok_or_else(missing)?;
        let disposition = ContentDisposition::parse(value).ok_or_else(missing)?;
        let (true, Some(name)) = (disposition.is_attachment(), disposition.filename) else {
            return Err(missing());
        };
        let slash: &[u8] = if name.starts_with(b"/") { b"" } else { b"/" };
        let name = [slash, &name].concat();
        let path = roots.internal.path_to_write(&name).map_err(|error| bad_path(&error))?;
        Ok(Self::new(path, served_under.to_vec()))
    }

    /// The place that Destination names, or X-Destination, beside this one (RFC 4918 §10.3).
    pub(super) fn of_destination(
        &self,
        call: &Call<'_>,
        roots: &Roots,
    ) -> Result<Self, Box<Response>> {
        let head = call.head;
        let value = head.named("destination").or_else(|| head.named("x-destination"));
        let Some(value) = value else {
            return Err(refused(400, "say where it goes, such as Destination: /new/name"));
        };
        let path = match value.windows(3).position(|three| three == b"://") {
            Some(colon) if !value.starts_with(b"/") => {
                let rest = &value[colon + 3..];
                let slash = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
                let (host, path) = rest.split_at(slash);
                let told = call.caller.host.as_deref().map(str::as_bytes);
                if !told.or(head.host()).is_some_and(|ours| ours.eq_ignore_ascii_case(host)) {
                    return Err(refused(502, "the destination is on another server"));
                }
                path
            }
            _ => value,
        };
        if !path.starts_with(b"/") || path.iter().any(|b| b"?#".contains(b)) {
            return Err(refused(400, "the destination is no path of this server"));
        }
        if call.is_here.is_some_and(|is_here| !is_here(path)) {
            return Err(refused(409, "the destination is in another part of this server"));
        }
        match path.strip_prefix(self.prefix.as_slice()) {
            Some(rest) if rest.starts_with(b"/") => Self::parse(&self.prefix, rest, roots),
            _ => Err(refused(409, "the destination is not in the same folder of this server")),
        }
    }

    /// A file in the folder that this is, by its name alone.
    #[cfg(feature = "multipart")]
    pub(super) fn file(&self, name: &[u8], roots: &Roots) -> Result<Self, Box<Response>> {
        let whole = [b"/", self.path.as_bytes(), b"/", name].concat();
        let path = roots.internal.path_to_write(&whole).map_err(|error| bad_path(&error))?;
        Ok(Self::new(path, self.prefix.clone()))
    }

    fn parse(prefix: &[u8], rest: &[u8], roots: &Roots) -> Result<Self, Box<Response>> {
        let decoded = uri::decode_path(rest)
            .map_err(|_| refused(400, "the path holds a percent sign that escapes nothing"))?;
        let path = roots.internal.path_to_write(&decoded).map_err(|error| bad_path(&error))?;
        Ok(Self::new(path, prefix.to_vec()))
    }

    /// SECURITY: rules see the path that is written to, however the client has spelled it.
    fn new(path: SafePath, prefix: Vec<u8>) -> Self {
        let decoded = undone(&prefix);
        let mut url_path = [&*decoded, b"/", path.as_bytes()].concat();
        if path.names_folder() && !url_path.ends_with(b"/") {
            url_path.push(b'/');
        }
        Self { path, url_path, prefix }
    }
}
