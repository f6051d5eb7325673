//! Where the command keeps what has to be there at the next start.

use std::env;
use std::path::{Path, PathBuf};

/// The folder that a service manager gives, or the one of the person who runs it; `None` where there is neither.
pub(crate) fn folder() -> Option<PathBuf> {
    let of_variable = |name: &str| {
        let value = env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    // systemd.exec(5): several have colons between.
    let of_service = env::var("STATE_DIRECTORY").ok().and_then(|all| {
        let first = Path::new(all.split(':').next()?).to_owned();
        first.is_absolute().then_some(first)
    });
    let of_user = || {
        let home = || of_variable("HOME").map(|home| home.join(".local/state"));
        of_variable("XDG_STATE_HOME").or_else(home).map(|state| state.join("number8"))
    };
    of_service.or_else(of_user)
}

/// The path from the root, by which two can be compared; without links as far as it is there.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = env::current_dir().unwrap_or_default().join(path);
    let there = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    match there {
        Some((there, real)) => {
            path.strip_prefix(there).map_or(real.clone(), |missing| real.join(missing))
        }
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_there_is_found_behind_links() {
        let top = tempfile::tempdir().unwrap();
        let real = top.path().canonicalize().unwrap();
        fs::create_dir(top.path().join("a")).unwrap();
        symlink("a", top.path().join("b")).unwrap();
        for (path, want) in [("b", "a"), ("b/c/d", "a/c/d"), ("e/f", "e/f")] {
            assert_eq!(absolute(&top.path().join(path)), real.join(want), "{path}");
        }
    }
}
