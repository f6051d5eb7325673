//! Forms of several parts, as an argument of handlers.

use std::path::Path;

use number8::server::lane::Lane;
use number8::store::{OnClash, Root, RootOptions};
use number8::testing::TestServer;
use number8::{App, Error, Multipart, MultipartLimits, State, content_limit};

const TYPE: &str = "multipart/form-data; boundary=XX";

const FORM: &str = "a preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nBow-wow\r\n\
    --XX  \r\nContent-Disposition: form-data; name=\"song\"; filename=\"C:\\\\songs\\\\b\u{e9}.mp3\"\r\n\
    Content-Type: audio/mpeg\r\n\r\nla\r\n--XY\r\nla\r\n--XX\r\ncontent-disposition: form-data; name=empty\r\n\r\n\r\n\
    --XX--\r\nan epilogue";

const TOLD: &str = "title None None \"Bow-wow\"\n\
    song Some(\"b\u{e9}.mp3\") Some(\"audio/mpeg\") \"la\\r\\n--XY\\r\\nla\"\n\
    empty None None \"\"\n";

/// Tells the parts of a form back, a line for each.
async fn tell(mut form: Multipart) -> Result<String, Error> {
    let mut told = String::new();
    while let Some(part) = form.next().await? {
        let (file_name, content_type) = (part.file_name(), part.content_type());
        let head = format!("{} {file_name:?} {content_type:?}", part.name());
        told += &format!("{head} {:?}\n", part.text().await?);
    }
    Ok(told)
}

/// A part with that head and content.
fn part(head: &str, content: &str) -> String {
    format!("--XX\r\n{head}\r\n\r\n{content}\r\n")
}

fn field(name: &str, content: &str) -> String {
    part(&format!("Content-Disposition: form-data; name=\"{name}\""), content)
}

async fn post(server: &TestServer, form: impl Into<Vec<u8>>) -> (u16, String) {
    let answer = server.post("/").field("Content-Type", TYPE).body(form).send().await.unwrap();
    (answer.status(), answer.text().to_owned())
}

#[tokio::test]
async fn r14_a_form_of_parts_is_an_argument_however_it_is_cut() {
    let server = App::new().post("/", tell).test();
    assert_eq!(post(&server, FORM).await, (200, TOLD.into()));
    for cut in 1..FORM.len() {
        let (one, two) = FORM.as_bytes().split_at(cut);
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {TYPE}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let client = server.connect();
        client.write_all(head.as_bytes()).await.unwrap();
        for piece in [one, two] {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            client.write_all(&chunk).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
        assert!(answer.ends_with(TOLD), "cut at {cut}: {answer}");
    }
}

#[tokio::test]
async fn r14_a_form_that_is_none_says_what_is_wrong() {
    let server = App::new().post("/", tell).test();
    for (content_type, status, why) in [
        ("", 415, "has to be a form of parts"),
        ("text/plain", 415, "has to be a form of parts"),
        ("application/x-www-form-urlencoded", 415, "has to be a form of parts"),
        ("multipart/form-data", 400, "does not tell its boundary"),
        ("multipart/form-data; boundary=\"", 400, "type of the form is not valid"),
        ("multipart/form-data; boundary=\"\"", 400, "type of the form is not valid"),
        (&format!("multipart/form-data; boundary={}", "8".repeat(71)), 400, "1 to 70 characters"),
    ] {
        let request = server.post("/").field("Content-Type", content_type).body(FORM);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{content_type}");
        assert!(answer.text().contains(why), "{content_type}: {}", answer.text());
    }
    let whole = field("a", "b") + "--XX--\r\n";
    for (form, status, why) in [
        (String::new(), 400, "ends before its last boundary"),
        ("no form".into(), 400, "ends before its last boundary"),
        (whole[..whole.len() - 4].into(), 400, "ends before its last boundary"),
        (field("a", "b")[..50].into(), 400, "ends before its last boundary"),
        (part("Content-Disposition: form-data", "b"), 400, "has no name"),
        (part("Content-Type: text/plain", "b"), 400, "has no name"),
        (part("no field", "b"), 400, "is not valid"),
        (part(&"A: b\r\n".repeat(40), "b"), 400, "is not valid"),
    ] {
        let (answered, text) = post(&server, form.clone()).await;
        assert_eq!(answered, status, "{form}: {text}");
        assert!(text.contains(why), "{form}: {text}");
    }
    // Text has to be text; the client's name for it is told back as text.
    let (head, bytes) = ("Content-Disposition: form-data; name=\"a\"", b"\xff");
    let form = [b"--XX\r\n", head.as_bytes(), b"\r\n\r\n", bytes, b"\r\n--XX--\r\n"].concat();
    let (status, text) = post(&server, form).await;
    assert!(status == 400 && text.contains("not text in UTF-8"), "{text}");
}

#[tokio::test]
async fn r14_n10_a_form_has_limits() {
    let app = App::new().post(
        "/",
        content_limit(1_000_000, async |form: Multipart| {
            let mut limits = MultipartLimits::default();
            limits.parts_max = 3;
            limits.part_head_bytes_max = 200;
            limits.part_bytes_max = 1000;
            tell(form.limits(limits)).await
        }),
    );
    let server = app.test();
    let end = "--XX--\r\n";
    let fields = |count| field("a", "b").repeat(count) + end;
    let large = |count| field("a", &"b".repeat(count)) + end;
    let head = |count| {
        let disposition = "Content-Disposition: form-data; name=\"a\"\r\nX-More: ";
        part(&(disposition.to_owned() + &"b".repeat(count)), "b") + end
    };
    for (form, status, why) in [
        (fields(3), 200, ""),
        (fields(4), 413, "too many parts"),
        (large(1000), 200, ""),
        (large(1001), 413, "larger than 1000 bytes"),
        (head(100), 200, ""),
        (head(200), 413, "head of a part of the form is too long"),
        // It is not read to its end, nor kept.
        (head(500_000), 413, "head of a part of the form is too long"),
        ("before ".repeat(50_000) + &fields(1), 413, "head of a part of the form is too long"),
        (large(1_000_000), 413, ""),
    ] {
        let length = form.len();
        let (answered, text) = post(&server, form).await;
        assert_eq!(answered, status, "{length} bytes: {text}");
        assert!(text.contains(why), "{length} bytes: {text}");
    }
}

#[tokio::test]
async fn a_handler_that_does_not_mind_a_fault_gets_nothing_more() {
    let app = App::new().post("/", async |mut form: Multipart| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(form.next().await.map_or_else(|error| error.status(), |_| 200));
        }
        format!("{statuses:?}")
    });
    let form = part("Content-Disposition: form-data", "b") + &field("a", "b") + "--XX--\r\n";
    assert_eq!(post(&app.test(), form).await.1, "[400, 400, 400]");
}

#[tokio::test]
async fn parts_that_are_not_read_are_skipped() {
    let names = async |mut form: Multipart| -> Result<String, Error> {
        let mut names = Vec::new();
        while let Some(mut part) = form.next().await? {
            names.push(part.name().to_owned());
            if names.len() % 2 == 0 {
                part.chunk().await?;
            }
        }
        Ok(names.join(" "))
    };
    let server = App::new().post("/", content_limit(10_000_000, names)).test();
    let large = "b\r\n".repeat(300_000);
    let form: String = ["a", "b", "c", "d"].map(|name| field(name, &large)).concat();
    assert_eq!(post(&server, form + "--XX--\r\n").await, (200, "a b c d".into()));
}

/// Keeps the files of a form in a folder.
async fn keep(mut form: Multipart, folder: State<Root>, lane: Lane) -> Result<String, Error> {
    let mut kept = String::new();
    while let Some(part) = form.next().await? {
        if let Some(name) = part.file_name().map(str::to_owned) {
            let written = part.save(&folder, &name, OnClash::Refuse, &lane).await?;
            kept += &format!(
                "{} {}\n",
                written.path.file_name().unwrap().escape_ascii(),
                written.meta.size
            );
        }
    }
    Ok(kept)
}

fn file(name: &str, content: &str) -> String {
    part(&format!("Content-Disposition: form-data; name=\"f\"; filename=\"{name}\""), content)
}

#[tokio::test]
async fn f9_a_part_goes_to_the_disk_whole_or_not_at_all() {
    let temp = tempfile::tempdir().unwrap();
    let root = Root::open(temp.path(), RootOptions::default()).unwrap();
    let server = App::new().state(root).post("/", content_limit(4 << 20, keep)).test();
    let large = "0123456789abcde\n".repeat(100_000);
    let end = "--XX--\r\n";
    let both = file("a.txt", "one") + &field("note", "none") + &file("in/large.txt", &large) + end;
    assert_eq!(post(&server, both).await, (200, "a.txt 3\nlarge.txt 1600000\n".into()));
    assert_eq!(read(temp.path(), "a.txt"), "one");
    assert_eq!(read(temp.path(), "large.txt"), large);
    for (form, status) in [
        (file("a.txt", "two") + end, 409),
        (file("..", "two") + end, 400),
        (file("", "two") + end, 409),
        (file(".hidden", "two") + end, 403),
        (file("cut.txt", &large), 400),
        (file("cut.txt", &large.repeat(3)) + end, 413),
    ] {
        assert_eq!(post(&server, form).await.0, status);
    }
    let mut names: Vec<_> =
        std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.txt", "large.txt"]);
    assert_eq!(read(temp.path(), "a.txt"), "one");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// What a form says does not depend on how it is cut into pieces, nor on whether it is one.
#[test]
fn a_form_says_the_same_however_it_is_cut() {
    use proptest::prelude::*;

    let fragment = prop::sample::select(vec![
        "--XX\r\n",
        "--XX--\r\n",
        "--XX",
        "--XX \t\r\n",
        "Content-Disposition: form-data; name=\"a\"\r\n",
        "Content-Disposition: form-data; name=a; filename=\"b.txt\"\r\n",
        "Content-Type: text/plain\r\n",
        "\r\n",
        "\r",
        "\n",
        "-",
        "content",
        "\u{e9}",
    ]);
    let pieces = prop::collection::vec(prop::collection::vec(fragment, 0..6), 1..6);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = |pieces: &[String]| {
        let pieces: Vec<_> = pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect();
        runtime.block_on(async {
            let server = App::new().post("/", tell).test();
            let client = server.connect();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {TYPE}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            );
            client.write_all(head.as_bytes()).await.unwrap();
            for piece in pieces {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
                let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                // It may be refused before it is read to its end.
                if client.write_all(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
            let _ = client.write_all(b"0\r\n\r\n").await;
            let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
            let (head, content) = answer.split_once("\r\n\r\n").unwrap();
            (head[9..12].to_owned(), content.to_owned())
        })
    };
    proptest!(ProptestConfig::with_cases(300), |(pieces in pieces)| {
        // A beginning that is one, so that more than the first line is read.
        let mut pieces: Vec<String> = pieces.into_iter().map(|piece| piece.concat()).collect();
        pieces.insert(0, "--XX\r\nContent-Disposition: form-data; name=\"z\"\r\n\r\n".to_owned());
        prop_assert_eq!(answer(&[pieces.concat()]), answer(&pieces));
    });
}
