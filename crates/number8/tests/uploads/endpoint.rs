//! One address for all files, whose names come from Content-Disposition; and two folders, one over the other.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use number8::access::Rights;
use number8::store::OnClash;
use number8::{ByMethod, Files, Overlay, Uploads};
use tempfile::TempDir;

use super::{open_to, send, writable};
use crate::files::{Served, serve_app};

#[test]
pub(crate) fn u26_u27_the_name_comes_from_content_disposition() {
    let temp = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(temp.path()).unwrap().endpoint("/files");
    let server = serve_app(writable().mount("/upload", uploads));
    for (number, (value, status, name)) in [
        ("attachement; filename=\"/path/to/file\"", 201, "path/to/file"),
        ("attachment; filename=\"/path/to/other\"", 201, "path/to/other"),
        ("attachment; filename=plain.txt", 201, "plain.txt"),
        ("attachment; filename=x; filename*=UTF-8''%C3%A9", 201, "é"),
        ("attachment; filename=\"/path/to/file\"", 204, "path/to/file"),
        ("attachment", 400, ""),
        ("inline; filename=x", 400, ""),
        ("attachment; filename=\"/../x\"", 400, ""),
        ("attachment; filename=\"/.x\"", 403, ""),
        ("attachment; filename=\"/path/\"", 409, ""),
        ("attachment; filename=\"\"", 409, ""),
        ("attachment; filename=\"a", 400, ""),
    ]
    .into_iter()
    .enumerate()
    {
        let field = format!("Content-Disposition: {value}");
        let content = number.to_string();
        let answer = send(&server, "POST", "/upload", &[&field], content.as_bytes());
        assert_eq!(answer.status, status, "{value}: {answer:?}");
        if status < 300 {
            assert_eq!(fs::read_to_string(temp.path().join(name)).unwrap(), content);
        }
        if status == 201 {
            let location = answer.field("Location").unwrap();
            assert!(location.starts_with("/files/"), "{location}");
        }
    }
    // Mandatory, at this very address, and nothing else is done here.
    assert_eq!(send(&server, "POST", "/upload", &[], b"x").status, 400);
    let name = "Content-Disposition: attachment; filename=x";
    for target in ["/upload/", "/upload/x"] {
        assert_eq!(send(&server, "POST", target, &[name], b"x").status, 404);
    }
    for method in ["DELETE", "GET", "MOVE"] {
        let answer = send(&server, method, "/upload", &[name], b"x");
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("PUT, POST, OPTIONS")));
    }
    assert_eq!(send(&server, "OPTIONS", "/upload", &[], b"").status, 204);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3);
}

#[test]
pub(crate) fn u19_u28_files_go_to_the_external_storage_while_it_is_there() {
    for only in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let (internal, external) = (temp.path().join("flash"), temp.path().join("card"));
        fs::create_dir(&internal).unwrap();
        fs::create_dir(&external).unwrap();
        fs::write(internal.join("old"), "").unwrap();
        let uploads = Uploads::new(&internal).unwrap().external(&external, only);
        let server = serve_app(writable().mount("/", uploads));

        assert_eq!(send(&server, "PUT", "/new", &[], b"x").status, 201);
        assert!(external.join("new").exists() && !internal.join("new").exists());
        // What is only in the first folder is removed from there, unless nothing may be.
        let status = send(&server, "DELETE", "/old", &[], b"").status;
        assert_eq!(status, if only { 404 } else { 204 });
        assert_eq!(internal.join("old").exists(), only);

        fs::remove_dir_all(&external).unwrap();
        let status = send(&server, "PUT", "/later", &[], b"x").status;
        assert_eq!(status, if only { 503 } else { 201 });
        assert_eq!(internal.join("later").exists(), !only);
    }
}

#[test]
pub(crate) fn u19_what_the_external_storage_lacks_comes_from_the_internal_one() {
    let temp = tempfile::tempdir().unwrap();
    let (internal, external) = (temp.path().join("flash"), temp.path().join("card"));
    for (folder, names) in [(&internal, ["both", "low"]), (&external, ["both", "high"])] {
        fs::create_dir(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), folder.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
    }
    let files = Overlay::new(Files::new(&external).unwrap(), Files::new(&internal).unwrap());
    let uploads = Uploads::new(&internal).unwrap().external(&external, false).keep_free(0);
    let server = serve_app(writable().mount("/", ByMethod::new().with(files).with(uploads)));
    for (target, want) in [("/both", "card"), ("/high", "card"), ("/low", "flash")] {
        assert_eq!(server.get(target).text(), want, "{target}");
    }
    assert_eq!(server.get("/neither").status, 404);
    assert!(server.get("/?json").text().contains("high"));
    // What is written lies over what was there, and shows at once.
    assert_eq!(send(&server, "PUT", "/low", &[], b"new").status, 204);
    assert_eq!(server.get("/low").text(), "new");
    assert_eq!(send(&server, "DELETE", "/low", &[], b"").status, 204);
    assert_eq!(server.get("/low").text(), "flash");
}

/// Two folders that are shown as one, with a file each, and one in both; who may do what, and which names are kept.
fn overlaid(rights: Rights, on_clash: OnClash) -> (TempDir, Served) {
    let temp = tempfile::tempdir().unwrap();
    let (internal, external) = (temp.path().join("flash"), temp.path().join("card"));
    fs::create_dir_all(internal.join("folder")).unwrap();
    fs::create_dir(&external).unwrap();
    let of_internal = ["both", "low", "other", "folder/low"].map(|name| internal.join(name));
    let of_external = ["both", "high", "up"].map(|name| external.join(name));
    for path in of_internal.into_iter().chain(of_external) {
        // Old enough for a tag that is a strong one.
        let modified = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::File::create(path).unwrap().set_modified(modified).unwrap();
    }
    let files = Overlay::new(Files::new(&external).unwrap(), Files::new(&internal).unwrap());
    let uploads = Uploads::new(&internal).unwrap().external(&external, false).keep_free(0);
    let both = ByMethod::new().with(files).with(uploads.on_clash(on_clash));
    (temp, serve_app(open_to(rights).mount("/", both)))
}

#[test]
pub(crate) fn u19_what_is_there_is_what_readers_see() {
    let (_temp, server) = overlaid(Rights::RW, OnClash::Replace);
    for target in ["/low", "/folder/low", "/both", "/high"] {
        let matching = format!("If-Match: {}", server.get(target).etag());
        for (field, status) in [("If-None-Match: *", 412), (&*matching, 204), (&matching, 412)] {
            let answer = send(&server, "PUT", target, &[field], b"new");
            assert_eq!(answer.status, status, "{target} {field}");
        }
        assert_eq!(server.get(target).text(), "new");
    }
    assert_eq!(send(&server, "PUT", "/folder", &[], b"new").status, 409);
    assert_eq!(send(&server, "POST", "/folder/", &[], b"").status, 409);
    assert_eq!(send(&server, "PUT", "/folder/new", &["If-None-Match: *"], b"").status, 201);
}

#[test]
pub(crate) fn u19_who_may_add_replaces_nothing_that_readers_see() {
    let may_add = Rights::UP;
    for (rights, on_clash, status) in [
        (may_add, OnClash::Replace, 403),
        (Rights::RW, OnClash::Refuse, 409),
        (may_add, OnClash::KeepBoth, 201),
    ] {
        let (temp, server) = overlaid(rights, on_clash);
        for target in ["/low", "/folder/low", "/high"] {
            let answer = send(&server, "PUT", target, &[], b"new");
            assert_eq!(answer.status, status, "{target} {on_clash:?}");
        }
        let card = temp.path().join("card");
        assert!(!card.join("low").exists() && !card.join("folder/low").exists());
        assert_eq!(card.join("low (2)").exists(), status == 201);
    }
}

#[test]
pub(crate) fn u19_a_move_hides_nothing_that_readers_see() {
    let to = |name: &str| format!("Destination: /{name}");
    for (from, name, overwrite, status) in [
        ("/low", "high", "F", 412),
        ("/low", "both", "F", 412),
        ("/up", "low", "F", 412),
        ("/up", "folder", "T", 409),
        ("/folder/", "high", "T", 409),
        // It would lie beneath what is to give way.
        ("/low", "high", "T", 409),
        ("/up", "low", "T", 204),
        ("/other", "elsewhere", "F", 201),
    ] {
        let (_temp, server) = overlaid(Rights::RW, OnClash::Replace);
        let overwrite = format!("Overwrite: {overwrite}");
        let answer = send(&server, "MOVE", from, &[&to(name), &overwrite], b"");
        assert_eq!(answer.status, status, "{from} to {name}, {overwrite}");
    }
    let (temp, server) = overlaid(Rights::RW, OnClash::KeepBoth);
    for (from, name, place) in
        [("/low", "up", "flash/up (2)"), ("/high", "other", "card/other (2)")]
    {
        assert_eq!(send(&server, "MOVE", from, &[&to(name)], b"").status, 201);
        assert!(temp.path().join(place).exists(), "{place}");
    }
    let (_temp, server) = overlaid(Rights::UP | Rights::DELETE, OnClash::Replace);
    assert_eq!(send(&server, "MOVE", "/up", &[&to("low")], b"").status, 403);
}
