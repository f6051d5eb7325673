//! Reading opened files, and noticing that they changed.

use std::fs;
use std::io::{self, ErrorKind};

use number8::store::{File, OpenError, RootOptions};
use rustix::fs::{Advice, fadvise};

use super::{Folders, content, open_file, path};

/// Reads without waiting where the file system can, as the server does.
fn read(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.try_read_at(buf, offset) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => file.read_at(buf, offset),
        result => result,
    }
}

#[test]
fn ranges_are_read_where_asked() {
    let folders = Folders::new();
    folders.write("root/digits", "0123456789");
    for root in folders.both_roots(RootOptions::default()) {
        let file = open_file(&root, "/digits");
        assert_eq!(file.meta().size, 10);
        assert_eq!(file.read_range(3, 4).unwrap(), b"3456");
        assert_eq!(file.read_range(10, 0).unwrap(), b"");
        assert_eq!(file.read_range(8, 3).unwrap_err().kind(), ErrorKind::UnexpectedEof);

        let mut buf = [0; 4];
        assert_eq!(read(&file, &mut buf, 8).unwrap(), 2);
        assert_eq!(&buf[..2], b"89");
        assert_eq!(read(&file, &mut buf, 10).unwrap(), 0);

        file.fill(0, 10).unwrap();
        file.fill(5, 1000).unwrap();
        assert!(file.is_cached(0, 10));
        assert!(file.is_cached(10, 0));
    }
}

#[test]
fn a_cold_file_is_not_read_without_waiting() {
    let folders = Folders::new();
    let size = 8 << 20;
    fs::write(folders.path("root/big"), vec![b'x'; size]).unwrap();
    let root = folders.open(RootOptions::default());
    let file = open_file(&root, "/big");
    if rustix::fs::fstatfs(&file).unwrap().f_type == 0x0102_1994 {
        return; // tmpfs keeps all in memory.
    }
    fs::File::open(folders.path("root/big")).unwrap().sync_all().unwrap();
    // A busy system may keep in memory what it is told to drop.
    let cold = |is_so: &dyn Fn() -> bool| {
        (0..100).any(|_| fadvise(&file, 0, None, Advice::DontNeed).is_ok() && is_so())
    };
    assert!(cold(&|| !file.is_cached(0, size as u64)));

    let waits = || matches!(file.try_read_at(&mut [0; 16], size as u64 / 2), Err(error) if error.kind() == ErrorKind::WouldBlock);
    assert!(cold(&waits));
    assert_eq!(file.read_range(size as u64 / 2, 3).unwrap(), b"xxx");
}

#[test]
fn a_changed_file_differs_in_its_meta() {
    let folders = Folders::new();
    for root in folders.both_roots(RootOptions::default()) {
        folders.write("root/page", "inside");
        let url = path(&root, "/page");
        let file = open_file(&root, "/page");
        assert_eq!(*file.meta(), root.stat_blocking(&url).unwrap());
        match root.try_stat(&url) {
            Ok(meta) => assert_eq!(*file.meta(), meta),
            Err(error) => assert!(matches!(error, OpenError::WouldBlock), "{error:?}"),
        }

        // A new file of the same length in its place, as editors and uploads make it.
        folders.write("root/page.new", "INSIDE");
        fs::rename(folders.path("root/page.new"), folders.path("root/page")).unwrap();
        assert_ne!(*file.meta(), root.stat_blocking(&url).unwrap());
        assert_eq!(content(&file), "inside", "what was opened stays what it was");

        folders.write("root/page", "longer than before");
        assert_eq!(root.stat_blocking(&url).unwrap().size, 18);
        fs::remove_file(folders.path("root/page")).unwrap();
        assert!(matches!(root.stat_blocking(&url), Err(OpenError::NotFound)));
    }
}

#[test]
fn a_file_of_somebody_elses_is_taken_where_it_is_one() {
    let folders = Folders::new();
    folders.write("root/digits", "0123456789");
    let file = File::adopt(fs::File::open(folders.path("root/digits")).unwrap().into()).unwrap();
    assert_eq!(file.meta().size, 10);
    assert_eq!(file.read_range(3, 4).unwrap(), b"3456");
    let (pipe, _) = io::pipe().unwrap();
    for other in [fs::File::open(folders.path("root")).unwrap().into(), pipe.into()] {
        assert_eq!(File::adopt(other).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
