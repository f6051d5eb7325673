//! `number8 service` on the root of a system of its own, with the real systemctl and systemd-analyze.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{complaint, number8, sandbox, stdout};

/// `number8 service` with the words, and the folder as the root where it changes something.
fn service(folder: &Path, words: &[&str]) -> Output {
    let root = folder.join("root");
    fs::create_dir_all(&root).unwrap();
    let mut command = number8(folder);
    // A Python may be first on the path, as in a virtual environment.
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.join("bin").display());
    command.env("PATH", path).arg("service").arg(words[0]);
    command.arg("--root").arg(root).args(&words[1..]).output().unwrap()
}

/// A `python3` for apps that has the Python package, or has not.
fn python(folder: &Path, has_package: bool) -> PathBuf {
    let path = folder.join("bin/python3");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(&path, format!("#!/bin/sh\necho \"$0\"\nexec /bin/{has_package}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// That systemd finds nothing wrong with a unit.
fn is_sound(unit: &Path) {
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
}

/// Those that only systemd can answer need it: elsewhere they say so and pass.
fn has_systemd() -> bool {
    let has = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: there is no systemd-analyze");
    }
    has
}

#[test]
fn b1_b22_a_service_is_installed_shown_and_removed() {
    if !has_systemd() {
        return;
    }
    let folder = sandbox();
    let units = folder.path().join("root/etc/systemd/system");
    let status = || {
        let output = service(folder.path(), &["status"]);
        (output.status.code(), stdout(&output).to_owned())
    };
    let (code, text) = status();
    assert_eq!(code, Some(4));
    assert!(text.starts_with("there is no service number8 in "), "{text}");

    let installed = service(folder.path(), &["install", "site", "--port", "80", "-q"]);
    assert!(installed.status.success(), "{installed:?}");
    // What it does is said, step by step.
    let root = folder.path().join("root");
    let said = stdout(&installed);
    for step in [
        format!("write {}/number8.socket\n", units.display()),
        format!("write {}/number8.service\n", units.display()),
        format!("run systemctl --root={} enable number8.socket number8.service\n", root.display()),
    ] {
        assert!(said.contains(&step), "{said}");
    }
    let unit = fs::read_to_string(units.join("number8.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_number8");
    let of_owner = pinned(&folder.path().join("site"), "/dev/null");
    let starts = format!("\nExecStart={program} site --port 80 -q{of_owner}\n");
    assert!(unit.contains(&starts), "{unit}");
    let here = fs::canonicalize(folder.path()).unwrap();
    assert!(unit.contains(&format!("\nWorkingDirectory={}\n", here.display())), "{unit}");
    let socket = fs::read_to_string(units.join("number8.socket")).unwrap();
    assert!(socket.contains("\nListenStream=80\n"), "{socket}");
    assert!(units.join("sockets.target.wants/number8.socket").is_symlink());
    assert!(units.join("multi-user.target.wants/number8.service").is_symlink());
    let (code, text) = status();
    assert_eq!(code, Some(0));
    assert_eq!(text.matches("written by number8 service install").count(), 2, "{text}");

    // Once more, with other arguments, takes the place of it.
    let again = service(folder.path(), &["install", "site", "-p", "8000"]);
    assert!(again.status.success(), "{again:?}");

    let removed = service(folder.path(), &["remove"]);
    assert!(removed.status.success(), "{removed:?}");
    let left: Vec<_> = fs::read_dir(&units).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(left.iter().all(|path| fs::read_dir(path).unwrap().count() == 0), "{left:?}");
    assert!(
        complaint_of(&service(folder.path(), &["remove"])).contains("no service number8 of ours")
    );
}

/// How a command line goes on for whoever owns a folder, in whose home there may be a configuration file.
fn pinned(served: &Path, file: &str) -> String {
    let is_of_root = fs::metadata(served).unwrap().uid() == 0;
    if is_of_root { String::new() } else { format!(" --config {file}") }
}

/// What is said to the one who installs and the service would not hear may be who can log in.
#[test]
fn what_a_service_would_not_hear_is_refused() {
    let folder = sandbox();
    let install = |more: &[&str]| {
        let mut command = number8(folder.path());
        command.args(["service", "install", "--dry-run", "site"]).args(more);
        command
    };
    for name in ["NUMBER8_ALLOW", "NUMBER8_CONFIG"] {
        let refused = install(&[]).env(name, "none").output().unwrap();
        assert_ne!(refused.status.code(), Some(0), "{refused:?}");
        assert!(name != "NUMBER8_ALLOW" || complaint(&refused).contains(name), "{refused:?}");
    }
    let port = install(&[]).env("PORT", "85").output().unwrap();
    let said = complaint(&port);
    assert!(said.contains("the service does not see PORT: say --port instead"), "{said}");

    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/number8")).unwrap();
    let file = home.join(".config/number8/number8.toml");
    fs::write(&file, "allow = 'none'\n").unwrap();
    let at_home = |more: &[&str]| install(more).env("HOME", &home).output().unwrap();
    let refused = at_home(&[]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(complaint(&refused).contains("number8.toml, which is yours: say --config"));
    let file = file.to_str().unwrap();
    for file in [file, "/dev/null"] {
        let output = at_home(&["--config", file]);
        let text = stdout(&output);
        assert!(text.contains(&format!(" site --config {file}\n")), "{output:?}");
    }
    // A service of one's own reads that file, too.
    let output = number8(folder.path())
        .args(["service", "install", "--dry-run", "--user", "site"])
        .env("HOME", &home)
        .output()
        .unwrap();
    assert!(stdout(&output).contains(" site\n"), "{output:?}");
}

/// In the home of whoever owns the folder there may be a configuration file, which says who may log in.
#[test]
fn a_service_of_an_owner_reads_no_file_of_that_owner() {
    let folder = sandbox();
    let site = folder.path().join("site");
    if std::os::unix::fs::chown(&site, Some(1000), Some(1000)).is_err() {
        eprintln!("skipped: only root gives folders away");
        return;
    }
    let text = |words: &[&str]| {
        let output = service(folder.path(), &[&["install", "--dry-run", "site"], words].concat());
        assert!(output.status.success(), "{output:?}");
        stdout(&output).to_owned()
    };
    assert!(text(&[]).contains(" site --config /dev/null\n"));
    assert!(text(&["-p", "80", "--"]).contains(" site -p 80 --config /dev/null --\n"));
}

/// On the machine of whoever makes an image, a file may say who is let in that the image has not.
#[test]
fn a_file_of_this_machine_is_none_of_an_images() {
    let folder = sandbox();
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/number8")).unwrap();
    fs::write(home.join(".config/number8/number8.toml"), "allow = 'none'\n").unwrap();
    let install = |root: &str, more: &[&str]| {
        let mut command = number8(folder.path());
        command.args(["service", "install", "--dry-run", "--root", root, "site"]);
        command.args(more).env("HOME", &home).output().unwrap()
    };
    for (root, says) in [("root", "which is this machine's"), ("/", "which is yours")] {
        let refused = install(root, &[]);
        assert_eq!(refused.status.code(), Some(2), "{root}: {refused:?}");
        assert!(complaint(&refused).contains(says), "{root}: {refused:?}");
        assert!(install(root, &["--config", "/dev/null"]).status.success(), "{root}");
    }
}

/// Uploads would be refused, or the log not opened, once nobody is there to read why.
#[test]
fn what_a_service_cannot_write_to_is_told() {
    let folder = sandbox();
    let (site, log) = (folder.path().join("site"), folder.path().join("log"));
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&log).unwrap();
    let give = |path: &Path, uid, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(path, Some(uid), Some(uid))
    };
    if give(&site, 0, 0o755).is_err() {
        eprintln!("skipped: only root gives folders away");
        return;
    }
    for (owner, mode, words, says) in [
        (0, 0o755, &["-A"][..], &["as a user of its own and cannot write to", "site, which"][..]),
        (0, 0o755, &[], &[]),
        (0, 0o1777, &["-A"], &[]),
        (1000, 0o755, &["-A"], &[]),
        (
            1000,
            0o755,
            &["--log-file", "log/access.log"],
            &["uid 1000", "log, which belongs to uid 0"],
        ),
        (0, 0o755, &["--log-file", "log/access.log"], &["as a user of its own", "log, which"]),
    ] {
        give(&site, owner, mode).unwrap();
        let output = service(folder.path(), &[&["install", "--dry-run", "site"], words].concat());
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.is_empty(), says.is_empty(), "{owner} {mode:o} {words:?}: {said}");
        assert!(says.iter().all(|says| said.contains(says)), "{owner} {mode:o} {words:?}: {said}");
    }
}

/// It would not start, and systemd does not say why where the program is not reached.
#[test]
fn what_a_service_cannot_read_is_told() {
    let folder = sandbox();
    let key = folder.path().join("key.pem");
    fs::write(folder.path().join("users"), "").unwrap();
    fs::write(&key, "").unwrap();
    let site = folder.path().join("site");
    if std::os::unix::fs::chown(&site, Some(0), Some(0)).is_err() {
        eprintln!("skipped: only root gives folders away");
        return;
    }
    for (path, mode, owner, says) in [
        (
            folder.path(),
            0o700,
            0,
            &["as a user of its own and cannot read", "has the mode 700"][..],
        ),
        (folder.path(), 0o755, 0, &[]),
        (&key, 0o600, 0, &["a user of its own", "key.pem, as "]),
        (&key, 0o600, 1000, &["uid 1000", "key.pem, as "]),
        (&key, 0o644, 0, &[]),
        (&site, 0o700, 0, &["a user of its own", "site, as "]),
        (&site, 0o700, 1000, &[]),
    ] {
        for all in [folder.path(), &key, &site] {
            fs::set_permissions(all, Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::chown(&site, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let page = format!("404={}", key.display());
        let words = ["install", "--dry-run", site.to_str().unwrap(), "--error-page", &page];
        let output = service(folder.path(), &words);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.is_empty(), says.is_empty(), "{path:?} {mode:o} {owner}: {said}");
        assert!(says.iter().all(|says| said.contains(says)), "{path:?} {mode:o} {owner}: {said}");
    }
}

/// Root types in its home, which a user of the service's own may not enter.
#[test]
fn a_service_starts_in_a_folder_only_where_a_path_does() {
    let folder = sandbox();
    let site = folder.path().join("site");
    let site = site.to_str().unwrap();
    let site_at = format!("/a={site}");
    for (words, starts_here) in [
        (&["site"][..], true),
        (&[site], false),
        (&[site, "--mount", "/a=site"], true),
        (&[site, "--mount", &site_at, "--spa=app.html"], false),
        (&[site, "--log-file", "log"], true),
    ] {
        let output = service(folder.path(), &[&["install", "--dry-run"], words].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&output).contains("WorkingDirectory="), starts_here, "{output:?}");
    }
}

/// What systemd keeps the service from writing to, or makes for it.
#[test]
fn a_socket_with_a_name_has_a_folder_that_the_service_writes_to() {
    let folder = sandbox();
    let here = fs::canonicalize(folder.path()).unwrap();
    let here = format!("ReadWritePaths={}\n", here.display());
    for (address, has, lacks) in [
        ("unix:/run/number8/sock,mode=666", "RuntimeDirectory=number8\n", "ReadWritePaths="),
        ("unix:/run/number8/a/sock", "RuntimeDirectory=number8/a\n", "ReadWritePaths="),
        ("unix:/run/other/sock", "ReadWritePaths=/run/other\n", "RuntimeDirectory="),
        ("unix:sock", &*here, "RuntimeDirectory="),
        ("unix:@name", "ExecStart=", "ReadWritePaths="),
    ] {
        let words = ["install", "--dry-run", "site", "--bind", address];
        let output = service(folder.path(), &words);
        let text = stdout(&output);
        assert!(output.status.success(), "{address}: {output:?}");
        assert!(text.contains(has) && !text.contains(lacks), "{address}: {text}");
    }
    let refused = service(folder.path(), &["install", "site", "--bind", "unix:/run/n8.sock"]);
    let said = complaint(&refused);
    assert!(said.contains("such as unix:/run/number8/n8.sock"), "{said}");
}

/// systemd would say that a namespace failed.
#[test]
fn a_folder_that_the_service_is_to_write_to_has_to_be_there() {
    let folder = sandbox();
    let install = || {
        number8(folder.path())
            .env("PATH", "/usr/bin:/bin")
            .args(["service", "install", "--dry-run", "board", "site", "--programs", "kept"])
            .output()
            .unwrap()
    };
    let said = complaint(&install());
    assert!(said.ends_with("the service is to write there, and there is nothing: create it first"));
    fs::create_dir(folder.path().join("kept")).unwrap();
    assert!(install().status.success());
}

/// It is shown once, and a port that somebody else has is no reason to keep it.
#[test]
fn the_password_of_a_board_is_shown_also_where_it_does_not_start() {
    let folder = sandbox();
    let systemctl = folder.path().join("bin/systemctl");
    fs::create_dir(folder.path().join("bin")).unwrap();
    fs::write(&systemctl, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    let failed = service(folder.path(), &["install", "board", "site"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(stdout(&failed).contains("log in as admin with the password "), "{failed:?}");
}

/// systemd would keep the port, where nobody answers.
#[test]
fn a_socket_of_before_goes_where_the_service_listens_by_itself() {
    if !has_systemd() {
        return;
    }
    let folder = sandbox();
    let units = folder.path().join("root/etc/systemd/system");
    for (words, has_socket) in [(["--port", "80"], true), (["--bind", "127.0.0.1:9000"], false)] {
        let installed = service(folder.path(), &[&["install", "site"], &words[..]].concat());
        assert!(installed.status.success(), "{installed:?}");
        let found = [
            units.join("number8.socket").exists(),
            units.join("sockets.target.wants/number8.socket").is_symlink(),
        ];
        assert_eq!(found, [has_socket; 2], "{words:?}");
    }
}

#[test]
fn what_is_left_of_a_service_without_units_is_removed() {
    if !has_systemd() {
        return;
    }
    let folder = sandbox();
    let etc = folder.path().join("root/etc");
    let installed = service(folder.path(), &["install", "board", "site", "--port", "80"]);
    assert!(installed.status.success(), "{installed:?}");
    for kind in ["socket", "service"] {
        fs::remove_file(etc.join(format!("systemd/system/number8.{kind}"))).unwrap();
    }
    let removed = service(folder.path(), &["remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(!etc.join("number8/number8.users").exists());
}

/// Each address that it listens at by itself counts.
#[test]
fn what_an_address_takes_is_in_the_unit() {
    let folder = sandbox();
    let low = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n";
    let online = "After=network-online.target\n";
    for (address, is_low, is_online) in [
        ("--bind=127.0.0.1:8099", false, false),
        ("--bind=:80", true, false),
        ("--webrepl=:80", true, false),
        ("--webrepl", false, false),
        ("--metrics=192.0.2.7:9100", false, true),
        ("--bind=192.0.2.7:80", true, true),
    ] {
        let words = ["install", "--dry-run", "board", "site", address];
        let output = service(folder.path(), &words);
        let text = stdout(&output);
        assert!(output.status.success(), "{address}: {output:?}");
        let found = [text.contains(low), text.contains(online)];
        assert_eq!(found, [is_low, is_online], "{address}: {text}");
    }
}

/// The line on standard error of a command that failed.
fn complaint_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_rehearsal_shows_the_units_and_changes_nothing() {
    let folder = sandbox();
    let output = service(folder.path(), &["install", "--dry-run", "--name", "music", "site", "-A"]);
    assert!(output.status.success(), "{output:?}");
    let said = stdout(&output);
    // Where everyone may write, only this machine reaches it: by the socket, too, or the service would not start.
    let loopback = "    ListenStream=127.0.0.1:8080\n    ListenStream=[::1]:8080\n";
    assert!(said.contains(loopback), "{said}");
    let open = ["install", "--dry-run", "site", "-A", "--insecure", "--grace", "1m"];
    let open = service(folder.path(), &open);
    let text = stdout(&open);
    assert!(text.contains("    ListenStream=8080\n"), "{text}");
    assert!(text.contains("    TimeoutStopSec=65\n"), "{text}");
    let site = fs::canonicalize(folder.path()).unwrap().join("site");
    assert!(said.contains(&format!("    ReadWritePaths={}\n", site.display())), "{said}");
    assert!(said.contains("music.service\n    # Written by"), "{said}");
    assert!(!folder.path().join("root/etc").exists());
}

#[test]
fn units_of_others_are_left_alone() {
    let folder = sandbox();
    let units = folder.path().join("root/etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::write(units.join("number8.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    let output = service(folder.path(), &["install", "site"]);
    assert!(complaint_of(&output).contains("number8.service was written by somebody else"));
    assert!(!units.join("number8.socket").exists(), "nothing was done");
    assert!(
        complaint_of(&service(folder.path(), &["remove"])).contains("no service number8 of ours")
    );
    assert!(units.join("number8.service").exists());
}

/// A service of one's own binds what this machine lets everybody bind.
#[test]
fn a_service_of_ones_own_may_not_listen_at_a_low_port() {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let first: u16 = first.trim().parse().unwrap();
    let folder = sandbox();
    if let Some(low) = first.checked_sub(1).filter(|low| *low > 0) {
        let bind = format!("127.0.0.1:{low}");
        let output = number8(folder.path())
            .args(["service", "install", "--user", "site", "-b", &bind])
            .output()
            .unwrap();
        let why = format!("--user: a service of your own may not listen at a port below {first}");
        assert!(complaint(&output).contains(&why), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn what_cannot_be_a_service_is_said() {
    let folder = sandbox();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["service"], 2, "requires a subcommand"),
        (&["service", "install"], 2, "say which folder to serve: number8 PATH"),
        (&["service", "install", "nope"], 2, "PATH nope: there is no such folder"),
        (
            &["service", "install", "--name", "a b", "site"],
            2,
            "--name a b: use letters, digits, - and _",
        ),
        (&["service", "install", "passwd"], 2, "only what serves can be a service"),
        (
            &["service", "install", "--dry-run", "site", "--log-file", "/x.log"],
            2,
            "--log-file: the service may not write to /",
        ),
        (&["service", "install", "app"], 2, "Provide a WSGI application object"),
        (
            &["service", "install", "app", "shop:app", "--auth", "joe:x@/:ro"],
            2,
            "unexpected argument '--auth'",
        ),
        (
            &["service", "install", "site", "--token", "me:secret@/:rw"],
            2,
            "--token: a unit is no place for a secret",
        ),
        (
            &["service", "install", "site", "-a", "me:secret@/:rw"],
            2,
            "--auth: a unit is no place for a secret",
        ),
    ];
    for (words, code, says) in cases {
        let output = number8(folder.path()).args(*words).output().unwrap();
        assert_eq!(output.status.code(), Some(*code), "{words:?}: {output:?}");
        let line = complaint(&output);
        assert!(line.contains(says), "{words:?}: {line}");
    }
}

#[test]
fn o5_the_unit_is_sound_and_says_little_yes() {
    if !has_systemd() {
        return;
    }
    let folder = sandbox();
    fs::create_dir(folder.path().join("log")).unwrap();
    for arguments in [
        &["site"][..],
        &["site", "-A"],
        &["site", "-b", "127.0.0.1:80"],
        &["site", "--log-file", "log/access.log"],
    ] {
        let installed = service(folder.path(), &[&["install"], arguments].concat());
        assert!(installed.status.success(), "{installed:?}");
        let unit = folder.path().join("root/etc/systemd/system/number8.service");
        is_sound(&unit);
        rated_below("20", &unit);
    }
}

/// How exposed a unit is, in tenths, is at most this.
fn rated_below(threshold: &str, unit: &Path) {
    let rated = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", threshold])
        .arg(unit)
        .output()
        .unwrap();
    assert!(rated.status.success(), "{}", stdout(&rated));
}

#[test]
fn o5_where_people_run_programs_the_service_may_more() {
    let folder = sandbox();
    fs::write(
        folder.path().join("users"),
        "joe:$2y$04$abcdefghijklmnopqrstuuA4XfWzJzZ1N5ZtY5wDg3mPw0mYJ1oG2\n",
    )
    .unwrap();
    let joe = ["--auth", "joe@/:all", "--auth-file", "users"];
    for (personal, arguments, may) in [
        (false, &["site"][..], false),
        (false, &["site", "-A"], false),
        (false, &["board", "site"], true),
        (false, &["site", "--repl=sh"], true),
        (false, &["site", "--run", "sh=sh"], true),
        (true, &["board", "site"], true),
        (true, &["site"], false),
    ] {
        let mut command = number8(folder.path());
        command.args(["service", "install", "--dry-run"]);
        command.args(personal.then_some("--user")).args(arguments);
        let needs_somebody = !arguments.contains(&"board") && may;
        let output = command.args(joe.iter().filter(|_| needs_somebody)).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let said = stdout(&output);
        let of = format!("{personal} {arguments:?}: {said}");
        assert_eq!(said.contains("number8.service.d/board.conf\n"), may, "{of}");
        // Without these the kernel would end the server where it confines a program.
        assert_eq!(said.contains("SystemCallFilter=landlock_create_ruleset"), may, "{of}");
        assert_eq!(said.contains("StateDirectory=%p\n"), may, "{of}");
        assert_eq!(said.contains("PrivateDevices=no"), may && !personal, "{of}");
        let writes = format!(
            "ReadWritePaths={}",
            folder.path().canonicalize().unwrap().join("site").display()
        );
        assert_eq!(said.contains(&writes), !personal && (may || arguments.contains(&"-A")), "{of}");
    }
}

#[test]
fn o5_a_board_may_more_and_has_a_password_of_its_own() {
    if !has_systemd() {
        return;
    }
    let folder = sandbox();
    let etc = folder.path().join("root/etc");
    let install = || {
        let options = ["install", "board", "site", "--port", "80", "--run-at-start", "blink.py"];
        let installed = service(folder.path(), &options);
        assert!(installed.status.success(), "{installed:?}");
        stdout(&installed).to_owned()
    };
    let said = install();
    let (_, password) = said.split_once("log in as admin with the password ").unwrap();
    let password = password.split(' ').next().unwrap();

    let unit = etc.join("systemd/system/number8.service");
    is_sound(&unit);
    rated_below("50", &unit);
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains("LoadCredential=users:/etc/number8/number8.users\n"), "{text}");
    // Row B22.
    assert!(text.contains(" --run-at-start blink.py "), "{text}");
    assert!(!text.contains(password), "everybody may read a unit");

    // SECURITY: systemd would give a folder of all services to the user of the first of them.
    assert!(!text.contains("ConfigurationDirectory="), "{text}");
    // Without it there is no group for what a program starts.
    let more = fs::read_to_string(etc.join("systemd/system/number8.service.d/board.conf")).unwrap();
    assert!(more.contains("\nDelegate=yes\nProtectControlGroups=no\n"), "{more}");

    // Only root may read them, and they are the ones that were told.
    let users = etc.join("number8/number8.users");
    assert_eq!(fs::metadata(&users).unwrap().permissions().mode() & 0o777, 0o600);
    let accounts = number8::accounts::Accounts::new().unwrap().file(&users).unwrap();
    assert_eq!(accounts.names().collect::<Vec<_>>(), ["admin"]);
    let before = fs::read(&users).unwrap();

    // Installed again, with whatever arguments, it keeps its password.
    assert!(install().contains("number8.users stays\n"));
    assert_eq!(fs::read(&users).unwrap(), before);

    let removed = service(folder.path(), &["remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(!users.exists() && !etc.join("systemd/system/number8.service.d").exists());
    assert!(!etc.join("number8").exists());
}

#[test]
fn what_stands_in_the_folder_of_an_app_is_not_run_by_whoever_installs_it() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let folder = sandbox();
    for name in ["number8.py", "linecache.py"] {
        let seen = format!("open({:?}, 'w')\n", folder.path().join("seen"));
        fs::write(folder.path().join(name), seen).unwrap();
    }
    service(folder.path(), &["install", "--dry-run", "app", "shop:app"]);
    assert!(!folder.path().join("seen").exists());
}

#[test]
fn o5_d10_an_app_is_a_service_too() {
    let folder = sandbox();
    let here = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir_all(here.join("shop/static")).unwrap();
    let words = [
        "install",
        "app",
        "shop.main:app",
        "--app-dir",
        "shop",
        "--workers",
        "2",
        "--mount",
        "/s=shop/static",
    ];

    let nowhere = number8(&here)
        .env("PATH", here.join("none"))
        .args(["service", "install", "app", "shop:app"])
        .output()
        .unwrap();
    assert!(complaint_of(&nowhere).contains("number8 app needs python3, which cannot be run"));
    python(&here, false);
    let refused = service(&here, &words);
    assert!(
        complaint_of(&refused).contains("number8 app needs the Python package (python3): make")
    );
    let python = python(&here, true);
    let shown = service(&here, &[&words[..1], &["--dry-run"], &words[1..]].concat());
    assert!(shown.status.success(), "{shown:?}");
    let said = stdout(&shown);
    let started = format!(
        "    ExecStart={} -m number8 app shop.main:app --app-dir shop --workers 2 --mount /s=shop/static\n",
        python.display()
    );
    // Its processes are killed ten seconds after the grace by the one that keeps them.
    for line in [
        &started,
        "    TimeoutStopSec=25\n",
        "    ListenStream=127.0.0.1:8080\n",
        "    KillMode=mixed\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // What it writes beside its code is written as its owner.
    let writes = format!("    ReadWritePaths={}\n", here.join("shop").display());
    let is_roots = fs::metadata(here.join("shop")).unwrap().uid() == 0;
    assert_eq!(said.contains(&writes), !is_roots, "{said}");

    if !has_systemd() {
        return;
    }
    let units = here.join("root/etc/systemd/system");
    let more = units.join("number8.service.d/app.conf");
    let installed = service(&here, &words);
    assert!(installed.status.success(), "{installed:?}");
    is_sound(&units.join("number8.service"));
    rated_below("25", &units.join("number8.service"));
    assert!(fs::read_to_string(&more).unwrap().contains("\nMemoryDenyWriteExecute=no\n"));

    // A folder in its place is allowed no more than a folder is.
    let installed = service(&here, &["install", "site"]);
    assert!(installed.status.success() && !more.exists(), "{installed:?}");
    let removed = service(&here, &["remove"]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(!units.join("number8.service.d").exists());
}
