//! Writes the seeds of every fuzz target: `seed FOLDER` fills one folder a target from the wire cases of
//! number8-proto. A case for heads is one for fields, paths and connections too; what stands behind its
//! head is one for bodies.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

#[allow(dead_code, reason = "the seeds are the requests alone")]
#[path = "../../crates/number8-proto/tests/wire/cases.rs"]
mod cases;

fn main() -> std::io::Result<()> {
    let root = std::env::args().nth(1).expect("usage: seed FOLDER");
    let cases =
        cases::all(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/number8-proto/tests/wire"));
    for target in ["head", "body", "connection", "range_conditional", "path"] {
        let folder = Path::new(&root).join(target);
        std::fs::create_dir_all(&folder)?;
        let mut seen = HashSet::new();
        for case in &cases {
            let seed = match target {
                "body" => behind_head(&case.request),
                _ => &case.request,
            };
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                std::fs::write(folder.join(format!("{:016x}", hasher.finish())), seed)?;
            }
        }
    }
    Ok(())
}

fn behind_head(request: &[u8]) -> &[u8] {
    let end = request.windows(4).position(|end| end == b"\r\n\r\n");
    end.map_or(request, |end| &request[end + 4..])
}
