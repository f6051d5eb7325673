//! `explain`: what answers a request, and why.

use std::fs;
use std::time::{Duration, SystemTime};

use super::access::run;
use super::{sandbox, until};

/// The lines that the command prints, in the folder of the sandbox.
fn explain(folder: &std::path::Path, arguments: &[&str]) -> Vec<String> {
    let output = run(folder, &[&["explain"], arguments].concat(), "");
    let text = crate::stdout(&output).to_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn l16_explain_tells_what_answers_and_why() {
    let folder = sandbox();
    let site = folder.path().join("site");
    fs::create_dir_all(site.join("docs")).unwrap();
    let text = "Number 8 wire mends anything.\n".repeat(100);
    for (name, content) in
        [("docs/index.html", &*text), ("docs/index.html.br", "br"), ("style.css", &text)]
    {
        fs::write(site.join(name), content).unwrap();
        let file = fs::File::options().write(true).open(site.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_164_645)).unwrap();
    }
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["GET", "/docs/", "site", "--auth=joe:pw@/:ro", "-H", "Accept: text/html"],
            &["answered 303 by", "  Location: /.number8/login?to=/docs/"],
        ),
        (
            &["GET", "/.number8/login", "site", "--auth=joe:pw@/:ro"],
            &["  no right is asked for", "answered 200 by"],
        ),
        (
            &[
                "GET",
                "/docs/",
                "site",
                "--auth=joe:pw@/:ro",
                "--user=joe",
                "-H",
                "Accept: text/html",
            ],
            &["answered 200 by", "  file: docs/index.html, the index file of the folder"],
        ),
        (
            &["GET", "/docs/", "site"],
            &[
                "answered 200 by",
                "  mount: /, where site is served",
                "  file: docs/index.html, the index file of the folder",
                "  kept: in memory while the cache has room, and looked at again once it is 1000 ms old",
                "  freshness: clients are not told how long it is good; they guess, or ask again by ETag and Last-Modified",
                "  variant: the file as it is: the client names no coding in Accept-Encoding",
                "  Vary: Accept-Encoding",
                "  Last-Modified: Tue, 02 Jan 2024 03:04:05 GMT",
            ],
        ),
        (
            &[
                "GET",
                "/docs/",
                "site",
                "-H",
                "Accept-Encoding: gzip, br",
                "--cache-control",
                "max-age=60",
            ],
            &[
                "  variant: br: docs/index.html.br, which stands beside it",
                "  freshness: clients keep it as they are told: Cache-Control: max-age=60",
                "  Content-Encoding: br",
                "  Cache-Control: max-age=60",
            ],
        ),
        (
            &["GET", "/style.css", "site", "--request-header", "accept-encoding: gzip"],
            &[
                "  file: style.css, which the path names",
                "  variant: the file as it is; a copy in gzip is made meanwhile and kept for the requests that follow",
            ],
        ),
        (
            &[
                "GET",
                "/style.css",
                "site",
                "-H",
                "If-Modified-Since: Tue, 02 Jan 2024 03:04:05 GMT",
            ],
            &["answered 304 by", "  condition: it has not changed since If-Modified-Since: 304"],
        ),
        (
            &["GET", "/style.css", "site", "-H", "If-Match: \"other\""],
            &["answered 412 by", "  condition: If-Match does not name its ETag: 412"],
        ),
        (
            &["GET", "/docs/", "site", "-H", "Range: bytes=0-4", "-H", "Accept-Encoding: br"],
            &["answered 206 by", "  variant: the file as it is: a part of it is asked for"],
        ),
        (
            &["GET", "/docs", "site"],
            &[
                "answered 301 by",
                "  file: none: the path names a folder, which has a slash at its end",
            ],
        ),
        (&["GET", "/plain/", "site"], &["  file: none: what is in the folder is listed, as HTML"]),
        (
            &["GET", "/plain/?json", "site"],
            &["  file: none: what is in the folder is listed, as JSON"],
        ),
        (
            &["GET", "/.hidden", "site"],
            &[
                "answered 404 by",
                "  file: none: a name in the path begins with a dot, and hidden files are not served",
            ],
        ),
        (
            &["GET", "/out.txt", "site"],
            &["answered 404 by", "  file: none: a link leads out of the served folder"],
        ),
        (&["GET", "/no%20such", "site"], &["  file: none: there is nothing of that name"]),
        (
            &["GET", "/app/x", "site", "--spa"],
            &["  file: index.html, the page of the single-page app, in place of what is missing"],
        ),
        (
            &["GET", "/start", "site"],
            &["  file: start.html, the page that the path names without its extension"],
        ),
        (
            &["GET", "/m/a.txt", "--mount", "/m=site/plain"],
            &["  mount: /m/, where site/plain is served"],
        ),
        (&["GET", "/a", "--mount", "/m=site/plain"], &["answered 404 by", "  mount: none"]),
        (
            &["PUT", "/new.txt", "site", "-A"],
            &[
                "not tried, since it would change something; OPTIONS is answered 204 by",
                "  mount: /, where site is served",
            ],
        ),
        (
            &["GET", "/.number8/health", "site", "--path-prefix=/p"],
            &[
                "  no right is asked for",
                "answered 200 by",
                "  the server itself, before anything that is mounted is asked",
            ],
        ),
        // What devices are to trust, and nothing is made for it.
        (
            &["GET", "/.number8/ca.crt", "site", "--tls-self-signed=keys"],
            &[
                "  no right is asked for",
                "answered 200 by",
                "  mount: /.number8/ca.crt/, where devices get the authority that they are to trust",
                "  Content-Type: application/x-x509-ca-cert",
            ],
        ),
        (
            &[
                "GET",
                "/farm/.number8/ca.crt",
                "site",
                "--tls-self-signed=keys",
                "--path-prefix",
                "/farm",
            ],
            &["answered 200 by"],
        ),
        (&["GET", "/.number8/ca.crt", "site"], &["answered 404 by"]),
        // A stream without end is only begun.
        (&["GET", "/live", "site", "--events", "/live"], &["answered 200 by", "  mount: /live/"]),
        // Who asks has logged in.
        (
            &["GET", "/docs/", "site", "-a", "joe:pw@/docs:ro", "--user", "joe"],
            &["answered 200 by", "  joe may list,read under /docs"],
        ),
        (&["GET", "/docs/", "site", "-a", "joe:pw@/docs:ro"], &["answered 401 by"]),
    ];
    for (arguments, wanted) in cases {
        let lines = explain(folder.path(), arguments);
        for line in *wanted {
            assert!(
                lines.iter().any(|seen| seen == line),
                "{arguments:?}: no {line:?} in {lines:#?}"
            );
        }
    }
    assert!(!site.join("new.txt").exists() && !folder.path().join("keys").exists());

    let lines = explain(folder.path(), &["GET", "/style.css", "site"]);
    let tag = lines.iter().find_map(|line| line.strip_prefix("  ETag: ")).unwrap();
    let field = format!("If-None-Match: {}", tag);
    let lines = explain(folder.path(), &["GET", "/style.css", "site", "-H", &field]);
    let condition =
        "  condition: If-None-Match names its ETag: the client has it, and is told so with 304";
    assert!(lines.iter().any(|line| line == condition), "{field}: {lines:#?}");

    let young =
        "  kept: not yet: it changed less than two seconds ago, and may again without a new time";
    until("a file is asked about soon after it has changed", || {
        fs::write(site.join("young.txt"), "now").unwrap();
        let lines = explain(folder.path(), &["GET", "/young.txt", "site"]);
        lines.iter().any(|line| line == young)
    });

    let wrong = run(folder.path(), &["explain", "GET", "/", "-H", "no colon"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(crate::complaint(&wrong).contains("write 'Name: value' with a colon"));
}

#[test]
fn l16_g5_explain_tells_of_the_authority_that_there_is_and_changes_nothing() {
    let folder = sandbox();
    let keys = folder.path().join("keys");
    let (_, authority) = number8::Tls::self_signed(&keys, ["farm.local"]).unwrap();
    let kept = || {
        let files = fs::read_dir(&keys).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let before = kept();
    let words = ["GET", "/.number8/ca.crt", "site", "--tls-self-signed=keys"];
    let lines = explain(folder.path(), &words);
    let length = format!("  Content-Length: {}", authority.certificate().len());
    assert!(lines.contains(&length), "{length}: {lines:#?}");
    assert_eq!(kept(), before);
    assert_eq!(number8::Authority::preview(&keys).unwrap().fingerprint(), authority.fingerprint());
    // One that cannot be read is no reason to tell nothing.
    fs::write(keys.join("authority.pem"), "not one").unwrap();
    assert!(explain(folder.path(), &words).contains(&"answered 200 by".to_owned()));
}
