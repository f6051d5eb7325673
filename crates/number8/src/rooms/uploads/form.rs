//! Forms (RFC 7578): each file of one is received as if it had come alone, and all are committed when the form is whole.
//!
//! A form that is cut, or a file of which nothing can come, leaves nothing. Only a name that somebody else takes between
//! two commits can stop it half-way.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Context;

use number8_proto::headers::{Known, is_media_type};
use number8_proto::http1::Head;
use number8_proto::uri::Query;

use super::Inner;
use super::answer::{self, Fail, refused};
use super::conditions::Conditions;
use super::permit::Permits;
use super::target::Target;
use super::upload::{Receiving, Stored, Upload};
use crate::body::Body;
use crate::error::Error;
use crate::handler::{Answer, Call};
use crate::multipart::Multipart;
use crate::receive::{Sink, receive};
use crate::response::Response;
use crate::results::IntoResponse;
use crate::server::lane::{Lane, OnLane, begin_on_lane, on_lane};
use crate::store::{Clash, Kind, SafePath, WriteError};

/// Files in one form: each has an open descriptor until the form is whole.
const FILES_MAX: usize = 100;

/// A form on its way.
struct Form {
    inner: Arc<Inner>,
    folder: Target,
    permits: Permits,
    conditions: Conditions,
    /// Where the page is that a browser is to show afterwards; `None` for a client that wants to know what was stored.
    page: Option<Vec<u8>>,
    lane: Lane,
}

pub(super) fn is_form(head: &Head<'_>) -> bool {
    is_media_type(head.get(Known::ContentType).unwrap_or_default(), b"multipart/form-data")
}

/// Stores the files of a form in a folder.
pub(super) fn store(
    inner: &Arc<Inner>,
    call: Call<'_>,
    folder: Target,
) -> Result<Answer, Box<Response>> {
    inner.check_head(call.head)?;
    let content_type = call.head.get(Known::ContentType).unwrap_or_default();
    let permits = Permits::of(&call);
    let page = answer::is_browser(call.head).then(|| {
        let mut page = answer::location(&folder.prefix, &folder.path, Kind::Directory);
        // The form was on a listing that was asked for.
        if Query::new(call.head.query().unwrap_or_default()).any(|pair| *pair.key == *b"list") {
            page.extend_from_slice(b"?list");
        }
        page
    });
    let conditions = Conditions::of(call.head);
    let lane = call.lane.clone();
    let form = Form { inner: Arc::clone(inner), folder, permits, conditions, page, lane };
    let body = call.body.limit(inner.settings.bytes_max);
    let parts =
        Multipart::new(content_type, body).map_err(|error| Box::new(error.into_response()))?;
    Ok(Answer::later(async move { form.store(parts).await.unwrap_or_else(Fail::into_response) }))
}

impl Form {
    async fn store(self, parts: Multipart) -> Result<Response, Fail> {
        let (inner, folder) = (Arc::clone(&self.inner), self.folder.clone());
        let is_there = begin_on_lane(&self.lane, move || check_folder(&inner, &folder)).await?;
        // The request names the folder, whatever files it brings.
        self.conditions.check_folder(is_there)?;
        let (files, paths) = self.receive(parts).await?;
        if files.is_empty() {
            return Err(refused(400, "there is no file in the form").into());
        }
        let turns = self.inner.turns.take_all(paths).await;
        let commit = move || {
            let _turns = turns;
            files.into_iter().map(|file| file.take()?.commit()).collect()
        };
        let stored: Vec<_> = on_lane(&self.lane, commit).await?;
        Ok(self.stored(&stored))
    }

    /// What there is of the files, and where they go.
    async fn receive(
        &self,
        mut form: Multipart,
    ) -> Result<(Vec<OnLane<Receiving>>, Vec<SafePath>), Fail> {
        let (mut files, mut paths, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        while let Some(mut part) = form.next().await? {
            let Some(name) = part.file_name().map(|name| name.as_bytes().to_vec()) else {
                continue;
            };
            if name.is_empty() {
                // A field for files in which none was chosen.
                continue;
            }
            if files.len() == FILES_MAX {
                return Err(refused(413, "there are too many files in the form").into());
            }
            let target = self.folder.file(&name, &self.inner.roots)?;
            let permit = self.permits.store(&target)?;
            let upload = Upload::of_form(&self.inner, target, permit, !names.insert(name));
            let path = upload.target.path.clone();
            let turn = self.inner.turns.take(&path).await;
            let begin = move || {
                let _turn = turn;
                upload.begin(None)
            };
            let receiving = on_lane(&self.lane, begin).await?;
            let gathered = part.gathered().clone();
            let next = |cx: &mut Context<'_>| part.poll_chunk(cx).map_err(Fail::from);
            let (file, rest) = receive(&self.lane, receiving, &gathered, next).await?;
            let finish = move || file.take()?.write(&rest)?.finish();
            files.push(OnLane::new(on_lane(&self.lane, finish).await?, &self.lane));
            paths.push(path);
        }
        Ok((files, paths))
    }

    fn stored(&self, stored: &[Stored]) -> Response {
        if let Some(page) = &self.page {
            // RFC 9110 §15.4.4: loading the page again does not send the form again.
            return Response::new(303, Body::empty()).with_known("Location", page);
        }
        let files: Vec<_> = stored
            .iter()
            .map(|Stored { target, written, .. }| {
                let location = answer::location(&target.prefix, &written.path, Kind::File);
                serde_json::json!({
                    "location": String::from_utf8_lossy(&location),
                    "size": written.meta.size,
                    "created": written.created,
                })
            })
            .collect();
        let document = serde_json::json!({ "files": files }).to_string();
        Response::new(201, document).with_known("Content-Type", "application/json")
    }
}

/// Whether the folder is there. A path without a slash at its end has to be one: it is more likely a file's.
fn check_folder(inner: &Inner, folder: &Target) -> Result<bool, Fail> {
    let is_made = folder.path.names_folder();
    match inner.roots.of(&folder.path)?.root.stat_blocking(&folder.path) {
        Ok(meta) if is_made || meta.kind == Kind::Directory => Ok(true),
        Ok(_) => Err(WriteError::Clash(Clash::NotFolder).into()),
        // What is wrong with it shows as it is made.
        Err(_) if is_made => Ok(false),
        Err(error) => Err(WriteError::from(error).into()),
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Answer(Box::new(error.into_response()))
    }
}
