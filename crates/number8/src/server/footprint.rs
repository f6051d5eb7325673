//! Memory that the start of a program has used and serving does not.

use std::ops::Range;

use crate::sys;

/// Lets go of the pages of code and constants, of the program and its libraries, that its start has brought into memory:
/// reading the command line touches more of them than serving does, and the system counts it all as memory of this
/// process. What is needed again comes back from the page cache, or from the file. Call it once, when the server listens,
/// and while no other thread takes a library out of memory (dlclose(3)).
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

/// The addresses of what is as it is in its file and cannot be written, from `/proc/PID/smaps` (proc_pid_smaps(5)).
fn unchanged(maps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in maps.lines() {
        match line.strip_prefix("Private_Dirty:") {
            // What the loader or a debugger has changed is nowhere else.
            Some(dirty) if dirty.trim() == "0 kB" => found.extend(mapping.take()),
            Some(_) => mapping = None,
            None if !line.contains(": ") => mapping = constant(line),
            None => {}
        }
    }
    found
}

/// The addresses in the first line about a mapping, if it is one of a file, private and not writable.
fn constant(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (addresses, rights) = (words.next()?, words.next()?);
    let path = words.nth(3)?;
    let (start, end) = addresses.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    (matches!(rights, "r-xp" | "r--p") && path.starts_with('/'))
        .then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_it_is_in_its_file_is_let_go() {
        const ADDRESSES: Range<usize> = 0x55d0_a000..0x55d0_c000;
        for (first, dirty, is_found) in [
            ("55d0a000-55d0c000 r-xp 00001000 fe:00 7 /usr/bin/number8", "0 kB", true),
            ("55d0a000-55d0c000 r-xp 00001000 fe:00 7 /usr/bin/number8 (deleted)", "0 kB", true),
            ("55d0a000-55d0c000 r-xp 00001000 fe:00 7 /usr/bin/number8", "4 kB", false),
            ("55d0a000-55d0c000 r--p 00001000 fe:00 7 /usr/bin/number8", "0 kB", true),
            ("55d0a000-55d0c000 r--p 00001000 fe:00 7 /usr/bin/number8", "8 kB", false),
            ("55d0a000-55d0c000 rw-p 00001000 fe:00 7 /usr/bin/number8", "0 kB", false),
            ("55d0a000-55d0c000 rwxp 00001000 fe:00 7 /usr/bin/number8", "0 kB", false),
            ("55d0a000-55d0c000 r-xs 00001000 fe:00 7 /usr/bin/number8", "0 kB", false),
            ("55d0a000-55d0c000 r-xp 00000000 00:00 0 [vdso]", "0 kB", false),
            ("55d0a000-55d0c000 r-xp 00000000 00:00 0 ", "0 kB", false),
            ("x-y r-xp 00000000 00:00 0 /x", "0 kB", false),
            ("", "0 kB", false),
        ] {
            let maps = format!(
                "{first}\nSize:          8 kB\nPrivate_Dirty:         {dirty}\nTHPeligible:           0\n"
            );
            let found = unchanged(&maps);
            assert_eq!(found, if is_found { vec![ADDRESSES] } else { vec![] }, "{maps}");
        }
    }
}
