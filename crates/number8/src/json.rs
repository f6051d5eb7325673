//! Values of the user's own types: as JSON, from a query, from a form.

use std::ops::Deref;

use bytes::Bytes;
use number8_proto::headers::{Fields, Known, is_media_type, media_type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::error::Error;
use crate::handler::{Argument, Call, Taken};
use crate::response::{Response, failed};
use crate::results::IntoResponse;

/// A value as JSON: content of a request as an argument, content of an answer as a result (rows L10 and H14).
///
/// As an argument it wants `Content-Type: application/json` or another `+json` type, else the answer is 415; content
/// that is not JSON is a 400, JSON that does not fit the type a 422, each saying where.
///
/// ```
/// use number8::{App, Json};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Fence {
///     posts: u32,
///     wires: u32,
/// }
///
/// async fn mend(Json(fence): Json<Fence>) -> Json<Fence> {
///     Json(Fence { wires: fence.wires + 1, ..fence })
/// }
///
/// let app = App::new().post("/fence", mend);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The query of the target as a value of a type; a query that does not fit is a 400.
///
/// ```
/// use number8::{App, Query};
///
/// #[derive(serde::Deserialize)]
/// struct Page {
///     #[serde(default)]
///     page: u32,
/// }
///
/// let app = App::new().get("/songs", async |query: Query<Page>| format!("page {}", query.page));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// An `application/x-www-form-urlencoded` form as a value of a type (rows B9 and H13). Another type of content is a
/// 415, a form that does not fit a 422.
///
/// ```
/// use number8::{App, Form};
///
/// #[derive(serde::Deserialize)]
/// struct Person {
///     name: String,
///     surname: String,
/// }
///
/// let app = App::new().post("/form.php", async |Form(person): Form<Person>| person.name + " " + &person.surname);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<T>(pub T);

macro_rules! deref {
    ($($name:ident)*) => {$(
        impl<T> Deref for $name<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }
    )*};
}

deref!(Json Query Form);

impl<T: DeserializeOwned + Send + 'static> Argument for Json<T> {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let wanted = |content_type: &[u8]| {
            is_media_type(content_type, b"application/json")
                || media_type(content_type).to_ascii_lowercase().ends_with(b"+json")
        };
        let content = content(call, wanted, "the content has to be JSON (application/json)")?;
        Ok(Taken::later(async {
            serde_json::from_slice(&read(content).await?).map(Self).map_err(|error| {
                let status = if error.is_data() { 422 } else { 400 };
                Error::new(status, format!("the JSON is not what is wanted here: {error}"))
            })
        }))
    }
}

impl<T: DeserializeOwned + Send + 'static> Argument for Form<T> {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let wanted =
            |content_type: &[u8]| is_media_type(content_type, b"application/x-www-form-urlencoded");
        let content = content(call, wanted, "the content has to be a form, not of several parts")?;
        Ok(Taken::later(async {
            serde_html_form::from_bytes(&read(content).await?).map(Self).map_err(|error| {
                Error::new(422, format!("the form is not what is wanted here: {error}"))
            })
        }))
    }
}

impl<T: DeserializeOwned + Send + 'static> Argument for Query<T> {
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        serde_html_form::from_bytes(call.head.query().unwrap_or_default())
            .map(|value| Taken::Now(Self(value)))
            .map_err(|error| {
                Error::new(400, format!("the query is not what is wanted here: {error}"))
            })
    }
}

/// The content of a request, if its type is wanted (RFC 9110 §8.3); 415 if not.
fn content(
    call: &mut Call<'_>,
    wanted: impl Fn(&[u8]) -> bool,
    explanation: &'static str,
) -> Result<Body, Error> {
    match wanted(call.head.get(Known::ContentType).unwrap_or_default()) {
        true => Ok(std::mem::take(&mut call.body)),
        false => Err(Error::new(415, explanation)),
    }
}

async fn read(content: Body) -> Result<Bytes, Error> {
    Ok(content.bytes().await?)
}

impl<T: Serialize> IntoResponse for Json<T> {
    /// 200 with `Content-Type: application/json`; 500 where the value cannot be written as JSON.
    fn into_response(self) -> Response {
        const FIELDS: Fields = Fields::fixed("Content-Type: application/json\r\n");
        match serde_json::to_vec(&self.0) {
            Ok(json) => Response::from_fields(200, FIELDS, json.into()),
            Err(error) => {
                tracing::error!(cause = &error as &dyn std::error::Error, "a value is no JSON");
                failed()
            }
        }
    }
}

impl IntoResponse for serde_json::Value {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
