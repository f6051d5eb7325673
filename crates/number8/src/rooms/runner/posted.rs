//! The program that a request brings (row B9): a form with a field `code`, or the text itself.

use number8_proto::headers::is_media_type;
use number8_proto::http1::Head;
use number8_proto::uri::Query;

use crate::error::Error;

/// What to run, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Posted {
    pub(super) code: String,
    pub(super) language: Option<String>,
    pub(super) name: Option<String>,
    /// Lines a second; slow motion where there is one.
    pub(super) pace: Option<f64>,
}

impl Posted {
    /// Whether the content is a form.
    ///
    /// # Errors
    /// 415: it is a form of a kind that is not read here.
    pub(super) fn is_form(head: &Head<'_>) -> Result<bool, Error> {
        let content_type = head.named("Content-Type").unwrap_or_default();
        if is_media_type(content_type, b"multipart/form-data") {
            let why =
                "a form is sent as application/x-www-form-urlencoded, or the program as it is";
            return Err(Error::new(415, why));
        }
        Ok(is_media_type(content_type, b"application/x-www-form-urlencoded"))
    }

    /// Reads the content, and the query for what a text cannot say.
    ///
    /// # Errors
    /// 400 or 422, with what is wrong.
    pub(super) fn read(query: &[u8], is_form: bool, content: &[u8]) -> Result<Self, Error> {
        let mut posted = Self::default();
        let mut code = None;
        posted.take(query, &mut None)?;
        if is_form {
            posted.take(content, &mut code)?;
            let why = "the form has no field `code`; a program as it is has another Content-Type, such as text/plain";
            posted.code = code.ok_or_else(|| Error::new(400, why))?;
        } else {
            posted.code = text(content.to_vec())?;
        }
        // Browsers send the lines of a form with CR LF.
        if posted.code.contains('\r') {
            posted.code = posted.code.replace("\r\n", "\n");
        }
        Ok(posted)
    }

    fn take(&mut self, pairs: &[u8], code: &mut Option<String>) -> Result<(), Error> {
        for pair in Query::new(pairs) {
            let place = match &*pair.key {
                b"code" => &mut *code,
                b"language" => &mut self.language,
                b"name" => &mut self.name,
                b"pace" => {
                    let value = text(pair.value.unwrap_or_default().into_owned())?;
                    self.pace = pace(value.trim())?;
                    continue;
                }
                // What else there is belongs to somebody else.
                _ => continue,
            };
            let value = text(pair.value.unwrap_or_default().into_owned())?;
            *place = Some(value).filter(|value| &*pair.key == b"code" || !value.is_empty());
        }
        Ok(())
    }
}

fn pace(value: &str) -> Result<Option<f64>, Error> {
    if value.is_empty() || value == "0" {
        return Ok(None);
    }
    let pace = value.parse().ok().filter(|pace| PACES.contains(pace));
    let why = "`pace` is lines a second, from 0.1 to 1000; empty or 0 is full speed";
    pace.map(Some).ok_or_else(|| Error::new(422, why))
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::new(400, "a program is UTF-8"))
}

const PACES: std::ops::RangeInclusive<f64> = 0.1..=1000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b9_b14_forms_and_texts_are_read() {
        let read = |query: &str, is_form, content: &str| {
            Posted::read(query.as_bytes(), is_form, content.as_bytes())
                .map_err(|error| error.status())
        };
        let code = |code: &str| Posted { code: code.into(), ..Posted::default() };
        assert_eq!(read("", true, "code=print%281+%2B+1%29%0D%0A"), Ok(code("print(1 + 1)\n")));
        assert_eq!(read("", true, "a=b&code="), Ok(code("")));
        assert_eq!(read("", false, "code=1\r\n\ta"), Ok(code("code=1\n\ta")));
        let full = Posted {
            language: Some("sh".into()),
            name: Some("a.sh".into()),
            pace: Some(2.5),
            ..code("ls")
        };
        assert_eq!(read("", true, "code=ls&language=sh&name=a.sh&pace=2.5"), Ok(full.clone()));
        assert_eq!(read("language=sh&name=a.sh&pace=2.5", false, "ls"), Ok(full));
        assert_eq!(read("code=other", false, "ls"), Ok(code("ls")), "not from the address");
        assert_eq!(read("", true, "code=ls&language=&name=&pace="), Ok(code("ls")));
        for (query, is_form, content, status) in [
            ("", true, "print(1)", 400),
            ("", true, "code=%ff", 400),
            ("", true, "code=1&pace=fast", 422),
            ("pace=-1", false, "1", 422),
            ("pace=nan", false, "1", 422),
            ("pace=1e9", false, "1", 422),
        ] {
            assert_eq!(read(query, is_form, content), Err(status), "{query} {content}");
        }
        assert_eq!(Posted::read(b"", false, b"\xff").unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn b9_what_a_form_says_arrives(code in "[^\r]{0,60}", name in "[a-z.]{1,9}") {
            let fields = [("name", &name), ("code", &code)];
            let form = serde_html_form::to_string(fields).unwrap();
            let posted = Posted::read(b"", true, form.as_bytes()).unwrap();
            prop_assert_eq!((posted.code, posted.name), (code, Some(name)));
        }

        #[test]
        fn b9_any_content_is_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..60), is_form in any::<bool>()) {
            if let Err(error) = Posted::read(&content, is_form, &content) {
                prop_assert!([400, 422].contains(&error.status()));
            }
        }
    }
}
