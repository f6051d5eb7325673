//! Real processes, started and ended.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// What never happens in a sound run takes this long to be noticed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Held by those who start a process without this module: it would be a stranger.
pub(super) static NO_STRANGERS: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn spawn(program: &str, arguments: &[&str]) -> Spawn {
    let folder = std::env::temp_dir();
    Spawn {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        user: User::for_programs(None, &folder).unwrap(),
        folder,
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        limits: Limits {
            memory_bytes: Some(256 << 20),
            processes: Some(48),
            cpu: None,
            file_bytes: Some(1 << 20),
            open_files: Some(64),
            grace: Duration::from_millis(400),
        },
        confine: None,
        terminal: None,
        side_pipe: None,
        keep: None,
    }
}

fn python(code: &str) -> Spawn {
    spawn("python3", &["-u", "-c", code])
}

async fn all(end: &End) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(PATIENCE, end.read(&mut buffer)).await.unwrap().unwrap() {
            0 => return String::from_utf8(bytes).unwrap(),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

async fn line(end: &End) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1];
    while !text.ends_with('\n') {
        match timeout(PATIENCE, end.read(&mut buffer)).await.unwrap().unwrap() {
            0 => panic!("it ends behind {text:?}"),
            _ => text.push(char::from(buffer[0])),
        }
    }
    text.trim_end().to_owned()
}

async fn ended(child: &mut Child) -> Outcome {
    timeout(PATIENCE, child.ended()).await.expect("the program does not end")
}

/// What it wrote to standard output and error, and how it ended.
async fn run(spawn: Spawn) -> (String, String, Outcome) {
    let mut child = spawn.start().unwrap().watch().unwrap();
    child.stdin = None;
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let output = all(&stdout).await;
    let errors = all(&stderr).await;
    (output, errors, ended(&mut child).await)
}

fn is_alive(pid: &str) -> bool {
    tree::process(pid.parse().unwrap()).is_some_and(|process| process.state != b'Z')
}

#[tokio::test]
async fn b14_a_program_is_a_process_of_its_own() {
    for (code, exit) in [
        ("print('hi')", Exit::Code(0)),
        ("print('hi'); raise SystemExit(7)", Exit::Code(7)),
        ("import os; print('hi'); os.kill(os.getpid(), 9)", Exit::Signal(9)),
    ] {
        let (output, errors, outcome) = run(python(code)).await;
        assert_eq!((&*output, &*errors, outcome.exit), ("hi\n", "", Some(exit)), "{code}");
        assert_eq!(outcome.limit, None, "{code}");
    }
}

#[tokio::test]
async fn design_8_a_program_gets_nothing_of_ours() {
    let _ours = fs::File::open("/dev/null").unwrap();
    let code = "
import os, signal
print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], os.getsid(0) == os.getpid())
print(sorted(os.environ), os.getuid(), os.getgroups(), oct(os.umask(0)))
print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])
print([s for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN], signal.pthread_sigmask(0, []))
";
    let spawn = python(code);
    let user = spawn.user.clone();
    let (output, errors, _) = run(spawn).await;
    let groups: Vec<u32> = user.groups.iter().map(|gid| gid.as_raw()).collect();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "[0, 1, 2] True", "{errors}");
    let (uid, groups) = (user.uid.as_raw(), format!("{groups:?}"));
    assert_eq!(lines[1], format!("['LC_CTYPE', 'PATH'] {uid} {groups} 0o22"));
    assert_eq!(lines[2], "1");
    // Python itself ignores these two.
    let ignored = "[<Signals.SIGPIPE: 13>, <Signals.SIGXFSZ: 25>] set()";
    assert_eq!(lines[3], ignored);
}

#[tokio::test]
async fn x2_what_is_not_there_cannot_be_started() {
    let missing = spawn("no-such-interpreter", &[]).start().unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let mut elsewhere = spawn("true", &[]);
    elsewhere.folder = "/no/such/folder".into();
    assert_eq!(elsewhere.start().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(User::for_programs(Some("no-such-user"), Path::new("/")).is_err());
}

#[tokio::test]
async fn x2_input_reaches_it() {
    let mut child = python("print(input() * 2)").start().unwrap().watch().unwrap();
    child.stdin.as_ref().unwrap().write_all(b"ab\n").await.unwrap();
    assert_eq!(line(child.stdout.as_ref().unwrap()).await, "abab");
    ended(&mut child).await;
    let gone = child.stdin.as_ref().unwrap().write_all(b"more").await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn x2_stopping_asks_first_and_kills_who_does_not_listen() {
    let tidy = "
import time
try:
    print('ready'); time.sleep(60)
except KeyboardInterrupt:
    print('tidy')
";
    let deaf = "
import signal, time
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
print('ready'); time.sleep(60)
";
    let stopped = "
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
print('ready'); os.kill(os.getpid(), signal.SIGSTOP)
";
    for (code, rest, exit) in [
        (tidy, "tidy\n", Exit::Code(0)),
        (deaf, "", Exit::Signal(9)),
        // Of the two that wait for it when it goes on, it gets this one first.
        (stopped, "", Exit::Signal(2)),
    ] {
        let mut child = python(code).start().unwrap().watch().unwrap();
        let stdout = child.stdout.take().unwrap();
        assert_eq!(line(&stdout).await, "ready");
        child.stop();
        let outcome = ended(&mut child).await;
        assert_eq!((&*all(&stdout).await, outcome.exit), (rest, Some(exit)), "{code}");
    }
}

/// Forks twice, with sessions of their own: no group and no parent leads to the last one. Goes on when that one has told its
/// number; in one piece, as several write.
const DAEMON: &str = "
import os, signal, time
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
told, tells = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(1, b'%d\\n' % os.getpid())
        os.write(tells, b'x')
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(told, 1)
";

#[tokio::test]
async fn x2_what_a_program_leaves_behind_ends_with_it() {
    for (then, exit) in [("", Exit::Code(0)), ("time.sleep(60)", Exit::Signal(9))] {
        let mut child = python(&format!("{DAEMON}\n{then}")).start().unwrap().watch().unwrap();
        let stdout = child.stdout.take().unwrap();
        let daemon = line(&stdout).await;
        if !then.is_empty() {
            assert!(is_alive(&daemon));
            child.stop();
        }
        let outcome = ended(&mut child).await;
        assert_eq!((outcome.exit, is_alive(&daemon)), (Some(exit), false));
        assert_eq!(all(&stdout).await, "");
    }
}

#[tokio::test]
async fn x2_a_program_goes_when_the_server_does() {
    let code = format!("{DAEMON}\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(60)");
    let mut child = python(&code).start().unwrap().watch().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (daemon, program) = (line(&stdout).await, line(&stdout).await);
    drop(child);
    // Both hold the pipe.
    assert_eq!(all(&stdout).await, "");
    while is_alive(&daemon) || is_alive(&program) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn x2_a_fork_bomb_is_held_and_ended() {
    let code = "
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
";
    let mut bomb = python(code);
    // Few, as what the kernel counts is the user's, and the tests beside this one run as the same.
    bomb.limits.processes = Some(12);
    let mut child = bomb.start().unwrap().watch().unwrap();
    let outcome = ended(&mut child).await;
    assert_eq!((outcome.limit, outcome.exit), (Some(Limit::Processes), Some(Exit::Signal(9))));
    // Every one of them has it open.
    assert_eq!(all(&child.stdout.take().unwrap()).await, "ready\n");
}

#[tokio::test]
async fn x2_memory_is_bounded_for_each_and_for_all() {
    let (_, errors, outcome) = run(python("x = bytearray(10 << 30)")).await;
    assert!(errors.ends_with("MemoryError\n"), "{errors}");
    assert_eq!(outcome.exit, Some(Exit::Code(1)));

    let together = "
import os, time
for _ in range(4): os.fork()
x = bytearray(b'x' * (64 << 20))
time.sleep(60)
";
    let (_, errors, outcome) = run(python(together)).await;
    assert_eq!(
        (outcome.limit, outcome.exit),
        (Some(Limit::Memory), Some(Exit::Signal(9))),
        "{errors}"
    );
}

/// A process is a copy of this one until the program is loaded.
#[tokio::test]
async fn x2_what_the_server_has_in_memory_is_not_counted_as_the_programs() {
    let held = vec![1_u8; 384 << 20];
    for _ in 0..10 {
        let mut program = python("pass");
        program.limits.memory_bytes = Some(24 << 20);
        let (_, errors, outcome) = run(program).await;
        assert_eq!((outcome.limit, outcome.exit), (None, Some(Exit::Code(0))), "{errors}");
    }
    std::hint::black_box(held);
}

#[tokio::test]
async fn x2_files_and_descriptors_are_bounded() {
    let code = "
import tempfile, os
try:
    [os.dup(0) for _ in range(100)]
except OSError as error: print(error.strerror)
";
    let (output, _, _) = run(python(code)).await;
    assert_eq!(output, "Too many open files\n");
    let code = "
import tempfile
with tempfile.TemporaryFile() as file:
    try: file.write(bytes(2 << 20)); file.flush()
    except OSError as error: print(error.strerror)
";
    let (output, errors, _) = run(python(code)).await;
    assert_eq!(output, "File too large\n", "{errors}");
    let mut spinning = python("while True: pass");
    spinning.limits.cpu = Some(Duration::from_secs(1));
    assert_eq!(run(spinning).await.2.exit, Some(Exit::Signal(9)));
}

/// A signal that comes just before a program sleeps does not wake it, so these wait for theirs. And what they wrote last
/// may be lost when they end, as the kernel hangs their terminal up: so they end when it was read.
#[tokio::test]
async fn x6_a_program_may_have_a_terminal() {
    let mut spawn = python(
        "import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print(os.isatty(0), os.get_terminal_size(), open(os.ttyname(0)).isatty())
print('got', int(signal.sigwait([signal.SIGINT])))
input()",
    );
    spawn.terminal = Some(Size { columns: 93, rows: 17 });
    let mut child = spawn.start().unwrap().watch().unwrap();
    let terminal = child.terminal.take().unwrap();
    assert_eq!(line(&terminal).await, "True os.terminal_size(columns=93, lines=17) True");
    // Ctrl-C goes to the program, as the terminal is its own.
    terminal.write_all(b"\x03").await.unwrap();
    assert!(line(&terminal).await.ends_with("got 2"));
    terminal.write_all(b"\n").await.unwrap();
    assert_eq!(ended(&mut child).await.exit, Some(Exit::Code(0)));

    let mut spawn = self::spawn(
        "sh",
        &["-c", "trap 'stty size; read _; exit' WINCH; echo ready; while :; do sleep 0.01; done"],
    );
    spawn.terminal = Some(Size { columns: 80, rows: 24 });
    let mut child = spawn.start().unwrap().watch().unwrap();
    let terminal = child.terminal.take().unwrap();
    assert_eq!(line(&terminal).await, "ready");
    terminal.resize(Size { columns: 40, rows: 10 }).unwrap();
    assert_eq!(line(&terminal).await, "10 40");
    terminal.write_all(b"\n").await.unwrap();
    assert_eq!(ended(&mut child).await.exit, Some(Exit::Code(0)));
}

#[tokio::test]
async fn design_8_files_are_out_of_reach_but_those_that_are_given() {
    let top = tempfile::tempdir().unwrap();
    let user = User::for_programs(None, top.path()).unwrap();
    // The user of programs may do everything here: what is refused is refused by Landlock.
    for name in ["ours", "state", "other"] {
        let folder = top.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "text").unwrap();
        for path in [&folder, &folder.join("file")] {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), None).unwrap();
        }
    }
    fs::set_permissions(top.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let code = "
import os, sys, signal
def attempt(what, do):
    try: do(); print(what, 'yes')
    except OSError as error: print(what, type(error).__name__)
attempt('write ours', lambda: open('ours/new', 'w'))
attempt('rename ours', lambda: os.rename('ours/new', 'ours/newer'))
attempt('read other', lambda: open('other/file').read())
attempt('write other', lambda: open('other/file', 'w'))
attempt('remove other', lambda: os.remove('other/file'))
attempt('read state', lambda: open('state/file').read())
attempt('list state', lambda: os.listdir('state'))
attempt('device', lambda: open('/dev/null', 'w').write('x'))
attempt('signal a stranger', lambda: os.kill(int(sys.argv[1]), 0))
attempt('signal the supervisor', lambda: os.kill(os.getppid(), 0))
attempt('signal itself', lambda: os.kill(os.getpid(), 0))
";
    // A process of the same user that is none of the program.
    let stranger = spawn("sleep", &["60"]);
    let mut stranger = Spawn { user: user.clone(), ..stranger }.start().unwrap().watch().unwrap();
    let supervisor = stranger.supervisor();
    let pid = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();

    let mut confined = python(code);
    confined.arguments.push(pid.trim().into());
    confined.user = user;
    confined.folder = top.path().into();
    confined.confine = Some(Confine {
        writable: vec![top.path().join("ours")],
        hidden: vec![top.path().join("state")],
    });
    if confined.confine.as_ref().unwrap().ruleset().unwrap().is_none() {
        eprintln!("this kernel has no Landlock: nothing to see here");
        return;
    }
    let (output, errors, _) = run(confined).await;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        lines,
        [
            "write ours yes",
            "rename ours yes",
            "read other yes",
            "write other PermissionError",
            "remove other PermissionError",
            "read state PermissionError",
            "list state PermissionError",
            "device yes",
            "signal a stranger PermissionError",
            "signal the supervisor PermissionError",
            "signal itself yes",
        ],
        "{errors}"
    );
    stranger.kill();
    ended(&mut stranger).await;
}

#[test]
fn w12_strangers_are_collected_and_ours_are_not() {
    let _alone = crate::sync::lock(&NO_STRANGERS);
    let mut stranger = std::process::Command::new("true").spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut child = python("print(1)").start().unwrap().watch().unwrap();
        let ours = child.supervisor();
        let output = all(child.stdout.as_ref().unwrap()).await;
        // Both have ended, or will: whoever is a zombie and a stranger is collected.
        while tree::process(stranger.id().cast_signed()).is_some() {
            reap_strangers();
            tokio::task::yield_now().await;
        }
        assert_eq!(output, "1\n");
        assert_eq!(ended(&mut child).await.exit, Some(Exit::Code(0)));
        assert!(tree::process(ours).is_none(), "it was collected");
    });
    assert!(stranger.wait().is_err(), "it was collected before");
}

/// Has whoever opens a file wait, as a disk does that is slow: by a lease (fcntl(2)).
const LEASE: &str = "
import fcntl, os, signal, sys
file = os.open(sys.argv[1], os.O_RDONLY)
signal.signal(signal.SIGIO, lambda *_: print('is waited for', flush=True))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('is held', flush=True)
sys.stdin.readline()
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
";

#[test]
fn w12_a_program_that_starts_slowly_does_not_hold_up_who_collects_strangers() {
    use std::io::{BufRead, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    let _alone = crate::sync::lock(&NO_STRANGERS);
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("program");
    fs::copy("/bin/true", &program).unwrap();
    let mut disk = Command::new("python3")
        .args(["-c", LEASE, program.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = io::BufReader::new(disk.stdout.take().unwrap()).lines();
    if said.next().is_none_or(|line| line.unwrap() != "is held") {
        // This file system has no leases.
        let _ = disk.wait();
        return;
    }
    let spawn = spawn(program.to_str().unwrap(), &[]);
    let starting = std::thread::spawn(move || spawn.start().map(drop));
    assert_eq!(said.next().unwrap().unwrap(), "is waited for");
    reap_strangers();
    assert!(!starting.is_finished(), "it was waited for");
    // Not by an end of input: who is being started has its other end open, too.
    disk.stdin.take().unwrap().write_all(b"\n").unwrap();
    starting.join().unwrap().unwrap();
    // The holder may be a stranger that was collected when the start was over.
    let _ = disk.wait();
}

#[test]
fn design_8_programs_run_as_the_owner_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let ourselves = rustix::process::geteuid();
    let user = User::for_programs(None, folder.path()).unwrap();
    if !ourselves.is_root() {
        assert_eq!(user.uid, ourselves);
        assert!(User::for_programs(Some("root"), folder.path()).is_err(), "only root can");
        return;
    }
    assert_eq!(user.name, "nobody");
    std::os::unix::fs::chown(folder.path(), Some(4321), None).unwrap();
    let user = User::for_programs(None, folder.path()).unwrap();
    assert_eq!(user.uid.as_raw(), fs::metadata(folder.path()).unwrap().uid());
    // Groups open devices.
    let daemon = User::for_programs(Some("daemon"), folder.path()).unwrap();
    assert!(daemon.groups.contains(&daemon.gid));
}
