//! One function for each kind of value: what was typed in, what it means out, else what to do about it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use number8::server::Bind;
use rustix::system::uname;

use crate::config::Mount;

/// Fields that number8 writes itself: a second one would say something else about the same message.
const OWN_FIELDS: [&str; 8] = [
    "connection",
    "content-length",
    "content-range",
    "date",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(crate) fn non_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// A folder or a regular file that can be read.
pub(crate) fn servable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(non_empty(text)?);
    let metadata = fs::metadata(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "there is no such folder or file: check the spelling, or create it".to_owned()
        }
        _ => unreadable(&error),
    })?;
    if metadata.is_dir() {
        fs::read_dir(&path).map_err(|error| unreadable(&error))?;
    } else if metadata.is_file() {
        File::open(&path).map_err(|error| unreadable(&error))?;
    } else {
        return Err("only folders and regular files are served".to_owned());
    }
    Ok(path)
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "it cannot be read: allow it (chmod), or run as a user who may".to_owned()
        }
        _ => format!("it cannot be read: {error}"),
    }
}

/// `/URL=DIR`
pub(crate) fn mount(text: &str) -> Result<Mount, String> {
    let (url, path) = text.split_once('=').ok_or("write /URL=DIR, such as /music=/srv/music")?;
    let url = if url == "/" { url.to_owned() } else { prefix(url)? };
    Ok(Mount { url, path: servable(path).map_err(|why| format!("{path}: {why}"))? })
}

/// A path of a URL without a slash at its end; what it may hold needs no percent-encoding (RFC 3986 §3.3).
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let Some(segments) = trimmed.strip_prefix('/') else {
        return Err("a path starts with a slash and names something, such as /files".to_owned());
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c);
    for segment in segments.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return Err("a path has no empty part and no . or .. in it".to_owned());
        }
        if let Some(c) = segment.chars().find(|&c| !is_plain(c)) {
            return Err(format!(
                "'{}' cannot be in a path: use letters, digits and -._~",
                c.escape_debug()
            ));
        }
    }
    Ok(trimmed.to_owned())
}

pub(crate) fn health(text: &str) -> Result<Option<String>, String> {
    if text == "off" { Ok(None) } else { prefix(text).map(Some) }
}

/// Where metrics are: as `--bind`, but a port alone is one of the loopback.
pub(crate) fn metrics(text: &str) -> Result<Bind, String> {
    match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => Ok(Bind::Loopback { port: Some(port) }),
        Err(_) => text.parse::<Bind>().map_err(|error| error.to_string()),
    }
}

/// The name of a file in any folder.
pub(crate) fn file_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text == "." || text == ".." || text.contains(['/', '\0']) {
        return Err("write the name of a file, without a folder".to_owned());
    }
    Ok(text.to_owned())
}

/// The file of a single-page application, below the served folder; `true` for the usual one.
pub(crate) fn fallback(text: &str) -> Result<Option<String>, String> {
    match text {
        "true" => Ok(Some("index.html".to_owned())),
        "false" => Ok(None),
        _ if text.split('/').all(|part| file_name(part).is_ok()) => Ok(Some(text.to_owned())),
        _ => Err("write a path below the served folder, such as app/index.html".to_owned()),
    }
}

/// `CODE=FILE`
pub(crate) fn error_page(text: &str) -> Result<(u16, PathBuf), String> {
    let (code, path) = text.split_once('=').ok_or("write CODE=FILE, such as 404=site/404.html")?;
    let code = code
        .parse()
        .ok()
        .filter(|code| (400..=599).contains(code))
        .ok_or("the code is a number from 400 to 599")?;
    let path = servable(path).map_err(|why| format!("{path}: {why}"))?;
    if path.is_dir() {
        return Err(format!("{} is a folder: name a file", path.display()));
    }
    Ok((code, path))
}

/// `EXT=TYPE`
pub(crate) fn mime(text: &str) -> Result<(String, String), String> {
    let (extension, media_type) =
        text.split_once('=').ok_or("write EXT=TYPE, such as glb=model/gltf-binary")?;
    let extension = extension.strip_prefix('.').unwrap_or(extension);
    if extension.is_empty() || extension.contains(['/', '.', '\0']) {
        return Err("an extension is what follows the last dot of a name, such as glb".to_owned());
    }
    let (essence, _) = media_type.split_once(';').unwrap_or((media_type, ""));
    match essence.trim_end().split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => {}
        _ => {
            return Err(
                "a media type is two words with a slash between, such as text/plain".to_owned()
            );
        }
    }
    Ok((extension.to_ascii_lowercase(), field_value(media_type)?))
}

/// `Name: value`
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write 'Name: value' with a colon")?;
    if !is_token(name) {
        return Err("the name of a field is letters, digits and -, without a space".to_owned());
    }
    if OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("number8 writes {name} itself"));
    }
    Ok((name.to_owned(), field_value(value)?))
}

/// SECURITY: a line end in a value would start another field.
pub(crate) fn field_value(text: &str) -> Result<String, String> {
    let value = text.trim_matches([' ', '\t']);
    if value.is_empty() || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err("the value of a field is one line of text".to_owned());
    }
    Ok(value.to_owned())
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A host name or an IP address, without a port.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if address.parse::<IpAddr>().is_ok() {
        return Ok(address.to_ascii_lowercase());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("write a host name without scheme and port, such as board.local".to_owned());
    }
    Ok(name.to_ascii_lowercase())
}

/// One label of a name in the local network, without `.local`; `true` for the name of this machine, `false` for none.
pub(crate) fn label(text: &str) -> Result<Option<String>, String> {
    let machine;
    let name = match text {
        "false" => return Ok(None),
        "true" => {
            machine = uname().nodename().to_string_lossy().into_owned();
            machine.split('.').next().unwrap_or_default()
        }
        _ => text.strip_suffix(".local").unwrap_or(text),
    };
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=63).contains(&name.len()) || !name.bytes().all(is_fit) || name.starts_with('-') {
        return Err("write one word of letters, digits and hyphens, such as board".to_owned());
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// `true` for pages of all sites, or origins with commas between; `false` for none.
pub(crate) fn cors(text: &str) -> Result<Option<Vec<String>>, String> {
    match text {
        "true" | "*" => return Ok(Some(Vec::new())),
        "false" => return Ok(None),
        _ => {}
    }
    let origin = |text: &str| {
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_one = authority.is_some_and(|authority| match authority.rsplit_once(':') {
            Some((name, port)) if !authority.ends_with(']') => {
                host(name).is_ok() && port.parse::<u16>().is_ok()
            }
            _ => host(authority).is_ok(),
        });
        if is_one {
            return Ok(text.to_ascii_lowercase());
        }
        Err("an origin is a scheme, a host and maybe a port, such as https://app.example"
            .to_owned())
    };
    text.split(',').map(|text| origin(text.trim())).collect::<Result<_, _>>().map(Some)
}

/// `NAME:PASSWORD`, where PASSWORD may be `@FILE`.
pub(crate) fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), secret(password)?))
        }
        _ => Err("write NAME:PASSWORD, or NAME:@FILE".to_owned()),
    }
}

/// A secret, or `@FILE` for the first line of a file.
pub(crate) fn secret(text: &str) -> Result<String, String> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let content =
        fs::read_to_string(path).map_err(|error| format!("{path}: {}", unreadable(&error)))?;
    let line = content.lines().next().unwrap_or_default();
    if line.is_empty() {
        Err(format!("{path}: its first line is empty"))
    } else {
        Ok(line.to_owned())
    }
}

/// A file that can be created or appended to, as far as its folder tells.
pub(crate) fn log_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(non_empty(text)?);
    if path.is_dir() {
        return Err("this is a folder: name a file in it".to_owned());
    }
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!("there is no folder {}: create it", folder.display()));
    }
    Ok(path)
}
