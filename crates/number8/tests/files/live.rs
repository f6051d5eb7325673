//! The folder is served as it is now, also where files are kept in memory.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use number8::Files;

use super::{LONG_AGO, Site, at, noise, open_below, prose, serve};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
pub(crate) fn b4_files_come_change_and_go_while_served() {
    let site = Site::new(&[]);
    let served = serve(Files::new(site.path("")).unwrap());
    assert_eq!(served.get("/new.txt").status, 404);
    site.write_young("new.txt", "one");
    assert_eq!(served.get("/new.txt").text(), "one");
    site.write_young("new.txt", "two");
    assert_eq!(served.get("/new.txt").text(), "two");
    fs::remove_file(site.path("new.txt")).unwrap();
    assert_eq!(served.get("/new.txt").status, 404);
}

/// Each change to a file that is kept, and what is served afterwards.
#[test]
pub(crate) fn b4_a_kept_file_that_changed_is_found_out() {
    type Change = fn(&Site);
    let changes: [(&str, Change, Option<&str>); 7] = [
        ("written again", |site| site.write("a.txt", "new"), Some("new")),
        ("grown", |site| site.write("a.txt", "old and new"), Some("old and new")),
        ("shrunk", |site| site.write("a.txt", "o"), Some("o")),
        (
            "replaced, with the same length and time",
            |site| {
                site.write("b.txt", "eld");
                fs::rename(site.path("b.txt"), site.path("a.txt")).unwrap();
            },
            Some("eld"),
        ),
        ("removed", |site| fs::remove_file(site.path("a.txt")).unwrap(), None),
        (
            "replaced by a folder",
            |site| {
                fs::remove_file(site.path("a.txt")).unwrap();
                fs::create_dir(site.path("a.txt")).unwrap();
            },
            None,
        ),
        (
            "replaced by a link out",
            |site| {
                fs::remove_file(site.path("a.txt")).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", site.path("a.txt")).unwrap();
            },
            None,
        ),
    ];
    for (name, change, expected) in changes {
        let site = Site::new(&[("a.txt", "old")]);
        let served = site.serve();
        assert_eq!(served.get("/a.txt").text(), "old", "{name}");
        assert_eq!(served.get("/a.txt").text(), "old", "{name}");
        change(&site);
        let answer = served.get("/a.txt");
        match expected {
            Some(text) => assert_eq!((answer.status, answer.text()), (200, text), "{name}"),
            None => assert_ne!(answer.status, 200, "{name}"),
        }
    }
}

#[test]
pub(crate) fn b18_an_index_file_comes_and_goes() {
    let site = Site::new(&[("index.html", "home"), ("a.txt", "a")]);
    let served = site.serve();
    for _ in 0..2 {
        assert_eq!(served.get("/").text(), "home");
        assert_eq!(served.get("/").text(), "home");
        fs::remove_file(site.path("index.html")).unwrap();
        assert!(served.get("/").text().contains("a.txt"), "a listing");
        site.write("index.html", "home");
    }
}

#[test]
pub(crate) fn f2_a_kept_file_is_served_without_looking_as_long_as_it_is_fresh() {
    for (files, expected) in [
        (Files::freshness as fn(Files, Duration) -> Files, "old"),
        // Without a cache nothing is kept.
        (|files, fresh| files.freshness(fresh).cache_bytes(0), "new"),
    ] {
        let site = Site::new(&[("a.txt", "old")]);
        let served = serve(files(site.files(), HOUR));
        assert_eq!(served.get("/a.txt").text(), "old");
        site.write("a.txt", "new");
        assert_eq!(served.get("/a.txt").text(), expected);
    }
}

/// Within the last two seconds a file may have changed twice with one time.
/// RFC 9110 §13.1.2: If-None-Match compares weakly, so a tag of what may change unseen is no tag of what comes after it.
#[test]
pub(crate) fn f4_a_change_within_a_tick_of_the_clock_is_no_304() {
    let site = Site::new(&[]);
    let served = site.serve();
    let write = |content: &str, time: SystemTime| {
        site.write_young("new.txt", content);
        let file = std::fs::File::options().write(true).open(site.path("new.txt")).unwrap();
        file.set_modified(time).unwrap();
    };
    let tick = SystemTime::now();
    write("one", tick);
    let seen = format!("If-None-Match: {}", served.get("/new.txt").etag());
    write("two", tick);
    assert_eq!(served.get_with("/new.txt", &[&seen]).text(), "two");
    // Nor later, when the tag is a strong one.
    let old = tick - Duration::from_secs(60);
    write("six", old);
    assert!(served.get("/new.txt").etag().starts_with('"'));
    let weak = seen.replace(&format!("{:x}", nanos(tick)), &format!("{:x}", nanos(old)));
    assert_ne!(seen, weak);
    assert_eq!(served.get_with("/new.txt", &[&weak]).text(), "six");
}

fn nanos(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
}

#[test]
pub(crate) fn f4_a_young_file_is_not_kept_and_its_tag_is_weak() {
    let now = SystemTime::now();
    for (time, is_young) in [
        (now, true),
        (now + Duration::from_millis(1500), true),
        (now - HOUR, false),
        // A clock was wrong: that time still tells changes apart.
        (now + HOUR, false),
    ] {
        let site = Site::new(&[("a.txt", "old")]);
        site.change_time("a.txt", time);
        let served = serve(site.files().freshness(HOUR));
        let answer = served.get("/a.txt");
        let is_past = time <= now;
        assert_eq!(answer.etag().starts_with("W/"), is_young, "{time:?}");
        assert_eq!(answer.field("Last-Modified").is_some(), is_past, "never in the future");
        site.write("a.txt", "new");
        site.change_time("a.txt", time);
        let expected = if is_young { "new" } else { "old" };
        assert_eq!(served.get("/a.txt").text(), expected, "{time:?}");
    }
}

#[test]
pub(crate) fn f4_the_tag_changes_with_time_length_and_coding() {
    let site = Site::new(&[("a.txt", "abc")]);
    let served = site.serve();
    let first = served.get("/a.txt").etag().to_owned();
    assert_eq!(served.get("/a.txt").etag(), first);
    site.write("a.txt", "abcd");
    let longer = served.get("/a.txt").etag().to_owned();
    site.write("a.txt", "abc");
    assert_eq!(served.get("/a.txt").etag(), first);
    site.change_time("a.txt", at(LONG_AGO) + Duration::from_nanos(1_000_000));
    let later = served.get("/a.txt").etag().to_owned();
    assert!(first != longer && first != later, "{first} {longer} {later}");
}

/// While a file is replaced again and again, each answer is one version, whole, under its own tag.
#[test]
fn f2_no_answer_mixes_two_versions() {
    let site = Site::new(&[]);
    let versions = 40;
    let put = |version: u32| {
        let content = format!("{version:04}").repeat(12_000 + version as usize * 10);
        site.write("next", content);
        site.change_time("next", at(LONG_AGO + u64::from(version)));
        fs::rename(site.path("next"), site.path("a.txt")).unwrap();
    };
    put(0);
    let served = site.serve();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = std::collections::HashMap::new();
                    // At least once, however busy the machine is.
                    while seen.is_empty() || !is_done.load(Ordering::Relaxed) {
                        let answer = served.get("/a.txt");
                        let text = answer.text();
                        let version: usize = text[..4].parse().unwrap();
                        assert_eq!(text, text[..4].repeat(12_000 + version * 10));
                        let tag = answer.etag().to_owned();
                        assert_eq!(*seen.entry(version).or_insert(tag.clone()), tag);
                    }
                    seen.len()
                })
            })
            .collect();
        (1..versions).for_each(put);
        is_done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
    assert_eq!(&served.get("/a.txt").text()[..4], format!("{:04}", versions - 1));
}

/// What is kept is bounded: a file that was pushed out by others is read again.
#[test]
fn f2_the_cache_holds_no_more_than_it_may() {
    let site = Site::new(&[("a.txt", "old")]);
    for number in 0..20 {
        site.write(&format!("{number}.bin"), noise(10_000));
    }
    for (bytes, others, expected) in
        [(100_000, 3, "old"), (100_000, 20, "new"), (1_000_000, 20, "old")]
    {
        site.write("a.txt", "old");
        let served = serve(site.files().freshness(HOUR).cache_bytes(bytes));
        served.get("/a.txt");
        site.write("a.txt", "new");
        (0..others).for_each(|number| drop(served.get(&format!("/{number}.bin"))));
        assert_eq!(served.get("/a.txt").text(), expected, "{bytes} bytes, {others} others");
    }
}

#[test]
fn f2_files_in_use_stay_when_others_pass_through() {
    let site = Site::new(&[("hot.txt", "old")]);
    for number in 0..40 {
        site.write(&format!("{number}.bin"), noise(10_000));
    }
    let served = serve(site.files().freshness(HOUR).cache_bytes(100_000));
    served.get("/hot.txt");
    site.write("hot.txt", "new");
    for number in 0..40 {
        served.get(&format!("/{number}.bin"));
        assert_eq!(served.get("/hot.txt").text(), "old");
    }
}

/// Other spellings of a path are served, but not kept: there is no end of them.
#[test]
fn f2_only_the_usual_spelling_is_kept() {
    for (target, is_kept) in [
        ("/d/a%20b.txt", true),
        ("/d/a%20%62.txt", false),
        ("/d//a%20b.txt", false),
        ("//d/a%20b.txt", false),
    ] {
        let site = Site::new(&[("d/a b.txt", "old")]);
        let served = serve(site.files().freshness(HOUR));
        assert_eq!(served.get(target).text(), "old");
        site.write("d/a b.txt", "new");
        let expected = if is_kept { "old" } else { "new" };
        assert_eq!(served.get(target).text(), expected, "{target}");
    }
}

/// Large files are kept as open descriptors: so many at most, siblings counted.
#[test]
fn f2_descriptors_are_bounded() {
    let site = Site::new(&[]);
    let large = prose(65 * 1024);
    let names: Vec<String> = (0..400).map(|number| format!("{number}.txt")).collect();
    for name in &names {
        site.write(name, &large);
        site.write(&format!("{name}.br"), &large);
    }
    let served = serve(site.files().freshness(HOUR));
    let kept = (0..100).any(|attempt| {
        let (small, changes) = (format!("small-{attempt}.txt"), number8::store::changes());
        site.write(&small, "old");
        served.get(&format!("/{small}"));
        site.write(&small, "new");
        for name in &names {
            assert_eq!(served.ask("HEAD", &format!("/{name}"), &[]).status, 200);
        }
        let is_old = served.get(&format!("/{small}")).text() == "old";
        // What another test has written meanwhile has everything looked at again.
        assert!(is_old || number8::store::changes() > changes, "it has none to give up");
        is_old
    });
    assert!(kept);
    let open = open_below(&site.temp.path().canonicalize().unwrap());
    // The folder itself is one.
    assert!((2..=512 + 1).contains(&open), "{open} descriptors");
}
