//! The media type of a file: by its extension, never by its content (row B8).

use std::borrow::Cow;
use std::collections::HashMap;

/// Types given by the user, by extension in lower case; others are those of the IANA registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    own: HashMap<String, String>,
}

impl Types {
    pub(super) fn insert(&mut self, extension: &str, mime: &str) {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        self.own.insert(extension, mime.to_owned());
    }

    /// The value of Content-Type for a file of that name.
    pub(super) fn of(&self, name: &[u8]) -> Cow<'_, str> {
        let name = String::from_utf8_lossy(name);
        let extension = match name.rsplit_once('.') {
            Some((_, extension)) => extension.to_ascii_lowercase(),
            None => String::new(),
        };
        if let Some(own) = self.own.get(&extension) {
            return own.into();
        }
        let corrected = CORRECTED.iter().find(|(of, _)| *of == extension).map(|(_, mime)| *mime);
        let known = corrected.or_else(|| mime_guess::from_ext(&extension).first_raw());
        match known.unwrap_or(UNKNOWN) {
            // RFC 9239: the one name that is left for JavaScript.
            "application/javascript" => "text/javascript; charset=utf-8".into(),
            text if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
            other => other.into(),
        }
    }
}

const UNKNOWN: &str = "application/octet-stream";

/// Where the registry and the browsers know a better name than the table that we use.
const CORRECTED: [(&str, &str); 4] = [
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("map", "application/json"),
    ("otf", "font/otf"),
    ("ts", "video/mp2t"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b8_type_by_extension_only() {
        let mut types = Types::default();
        types.insert(".LOG", "text/x-log");
        for (name, mime) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.b.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("data.json", "application/json"),
            ("app.js.map", "application/json"),
            ("part.ts", "video/mp2t"),
            ("sans.otf", "font/otf"),
            ("logo.svg", "image/svg+xml"),
            ("photo.jpg", "image/jpeg"),
            ("song.mp3", "audio/mpeg"),
            ("server.log", "text/x-log"),
            ("README", "application/octet-stream"),
            ("odd.\u{fffd}", "application/octet-stream"),
        ] {
            assert_eq!(types.of(name.as_bytes()), mime, "{name}");
        }
    }
}
