//! Compresses what the pages load, so that it is part of the command: the style that every page has, and, where `make web`
//! has built it, what `web/` adds. Has what the system writes into the command at its start packed, where it can read that.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut rows = String::new();
    let dist = crate_folder.join("../../web/dist");
    for folder in [crate_folder.join("src/pages/assets"), dist] {
        // A folder that is not there yet is looked at again when it is.
        println!("cargo::rerun-if-changed={}", folder.display());
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths.iter().filter(|path| path.is_file()) {
            rows += &embed(path, &out)?;
        }
    }
    if !rows.contains(".js\"") {
        println!(
            "cargo::warning=the pages will be without scripts: run `make web` first (it needs npm)"
        );
    }
    fs::write(out.join("assets.rs"), format!("&[\n{rows}]\n"))?;
    pack_relocations();
    Ok(())
}

/// The places whose addresses are known only at the start take a quarter of a megabyte, or 3 KB packed (DT_RELR), which glibc reads
/// since 2.36. A command that is built for another machine, statically, with an older glibc, or by a linker that somebody has
/// chosen and that may not know it, has them as they always were.
fn pack_relocations() {
    let of = |name| env::var(name).unwrap_or_default();
    let is_for_here = of("TARGET") == of("HOST") && of("CARGO_CFG_TARGET_ENV") == "gnu";
    let is_usual = of("RUSTC_LINKER").is_empty()
        && of("CARGO_CFG_TARGET_FEATURE").split(',').all(|feature| feature != "crt-static");
    if is_for_here && is_usual && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The row of one file.
fn embed(path: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name is no UTF-8")?;
    let media_type = match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("{name}: build.rs knows no media type for it").into()),
    };
    let content = fs::read(path)?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let compressed = out.join(format!("{name}.gz"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&content)?;
    fs::write(&compressed, encoder.finish()?)?;
    let mut row = String::new();
    writeln!(
        row,
        "Asset {{ name: {name:?}, media_type: {media_type:?}, gzip: include_bytes!({compressed:?}), version: \"{:016x}\" }},",
        hasher.finish()
    )?;
    Ok(row)
}
