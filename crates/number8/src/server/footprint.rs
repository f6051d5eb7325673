//! Memory that the start of a program has used and serving does not.

use std::collections::HashSet;
use std::ops::Range;

use crate::sys;

/// Lets go of the pages of code and constants, of the program and its libraries, that its start has brought into memory:
/// reading the command line touches more of them than serving does, and the system counts it all as memory of this
/// process. What is needed again comes back from the page cache, or from the file. Call it once, when the server listens,
/// and while no other thread takes a library out of memory (dlclose(3)); [`Options::release_start`](super::Options::release_start) has a server do it then.
///
/// Returns how many bytes of such files are mapped; 0 where `/proc` does not say.
///
/// ```
/// assert!(number8::server::release_start() > 0);
/// ```
pub fn release_start() -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let unchanged = unchanged(&maps).into_iter();
    unchanged.filter(|range| sys::drop_pages_of_file(range.clone())).map(|range| range.len()).sum()
}

/// The addresses of what is as it is in its file and cannot be written, from `/proc/PID/smaps` (proc_pid_smaps(5)), of files that
/// are code: others come and go while the program runs.
///
/// What the loader or a debugger has changed is nowhere else: those pages count as `Anonymous` while they are in memory, and as
/// `Swap` when they are not. Where the system does not tell of both, nothing is let go.
fn unchanged(maps: &str) -> Vec<Range<usize>> {
    let code: HashSet<_> = maps
        .lines()
        .filter_map(mapping)
        .filter(|mapping| mapping.rights == "r-xp")
        .map(|mapping| mapping.path)
        .collect();
    let mut found = Vec::new();
    let mut addresses = None;
    let mut zeros = 0;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("Anonymous:" | "Swap:") if words.by_ref().eq(["0", "kB"]) => zeros += 1,
            Some(name) if name.ends_with(':') => {}
            _ => {
                let constant = mapping(line).filter(|mapping| {
                    matches!(mapping.rights, "r-xp" | "r--p") && code.contains(mapping.path)
                });
                (addresses, zeros) = (constant.map(|mapping| mapping.addresses), 0);
            }
        }
        if zeros == 2 {
            found.extend(addresses.take());
        }
    }
    found
}

/// The first line about a mapping.
struct Mapping<'a> {
    addresses: Range<usize>,
    rights: &'a str,
    /// With what stands behind it.
    path: &'a str,
}

/// What the line says, if it is the first about a mapping of a file.
fn mapping(line: &str) -> Option<Mapping<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (addresses, rights) = (words.next()?, words.next()?);
    let (start, end) = addresses.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let addresses = address(start)?..address(end)?;
    Some(Mapping { addresses, rights, path: &line[line.find('/')?..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_it_is_in_its_file_is_let_go() {
        const ADDRESSES: Range<usize> = 0x55d0_a000..0x55d0_c000;
        const FILE: &str = "55d0a000-55d0c000 r-xp 00001000 fe:00 7 /usr/bin/number8";
        const CLEAN: &str = "Anonymous: 0 kB\nSwap: 0 kB";
        for (first, rest, is_found) in [
            (FILE, CLEAN, true),
            ("55d0a000-55d0c000 r-xp 00001000 fe:00 7 /usr/bin/number8 (deleted)", CLEAN, true),
            ("55d0a000-55d0c000 r--p 00001000 fe:00 7 /usr/bin/number8", CLEAN, true),
            ("55d0a000-55d0c000 r-xp 00001000 fe:00 7 /a file: with words", CLEAN, true),
            (FILE, "Anonymous:             4 kB\nSwap: 0 kB", false),
            (FILE, "Anonymous: 0 kB\nSwap:                  4 kB", false),
            (FILE, "Anonymous: 0 kB", false),
            (FILE, "Swap: 0 kB", false),
            (FILE, "", false),
            ("55d0a000-55d0c000 rw-p 00001000 fe:00 7 /usr/bin/number8", CLEAN, false),
            ("55d0a000-55d0c000 rwxp 00001000 fe:00 7 /usr/bin/number8", CLEAN, false),
            ("55d0a000-55d0c000 r-xs 00001000 fe:00 7 /usr/bin/number8", CLEAN, false),
            ("55d0a000-55d0c000 r-xp 00000000 00:00 0 [vdso]", CLEAN, false),
            ("55d0a000-55d0c000 r-xp 00000000 00:00 0 ", CLEAN, false),
            ("x-y r-xp 00000000 00:00 0 /x", CLEAN, false),
            // It is no code, and whoever has mapped it may let it go at any time.
            (
                "55d0a000-55d0c000 r--p 00000000 fe:00 9 /usr/lib/locale/C.utf8/LC_CTYPE",
                CLEAN,
                false,
            ),
            ("", CLEAN, false),
        ] {
            let maps = format!(
                "{FILE}\nSize:          8 kB\n{first}\nSize:          8 kB\n{rest}\nTHPeligible:           0\n"
            );
            let found = unchanged(&maps);
            assert_eq!(found, if is_found { vec![ADDRESSES] } else { vec![] }, "{maps}");
        }
    }
}
