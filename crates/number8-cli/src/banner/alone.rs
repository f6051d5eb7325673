//! A file that is served alone: its address has its name, so that what is downloaded from there is called so.

use std::os::unix::ffi::OsStrExt;

use crate::config::Config;

/// The name as it stands in the address; none of a hidden file, which is answered under `/` only.
pub(super) fn name(config: &Config) -> Option<String> {
    let mount = config.files.mounts.iter().find(|mount| mount.url == "/")?;
    let name = mount.path.file_name().filter(|_| mount.path.is_file())?.as_bytes();
    let byte = |&byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    (!name.starts_with(b".")).then(|| name.iter().map(byte).collect())
}
