//! What is known of media types.

/// True when content of that type is worth compressing: text of all kinds, and fonts and images that are
/// not compressed already.
pub(crate) fn is_compressible(mime: &str) -> bool {
    let essence = mime.split(';').next().unwrap_or_default().trim_end();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || COMPRESSIBLE.contains(&essence)
}

const COMPRESSIBLE: [&str; 12] = [
    "application/javascript",
    "application/json",
    "application/vnd.apple.mpegurl",
    "application/wasm",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-sql",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
];
