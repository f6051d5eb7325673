//! Files while something is short: a disk that takes its time, threads, descriptors, a file that is cut.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use number8::server::LaneOptions;
use number8::{Answer, App, Call, Handler, Options, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    Answer as Received, Site, eventually, noise, open_below, prose, serve_app, serve_with,
};

/// Keeps a thread of the lane busy until it is told to go on, as a slow disk does.
struct SlowDisk {
    begun: mpsc::Sender<()>,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Handler for SlowDisk {
    fn handle(&self, call: Call<'_>) -> Answer {
        let (begun, go_on) = (self.begun.clone(), Arc::clone(&self.go_on));
        let job = call.lane.submit(move || {
            begun.send(()).unwrap();
            let _ = go_on.lock().unwrap().recv();
        });
        let job = job.unwrap();
        Answer::later(async move {
            job.await.unwrap();
            Response::new(204, number8::Body::empty())
        })
    }
}

#[test]
fn hot_files_do_not_wait_for_a_slow_disk() {
    let site = Site::new(&[("hot.txt", "hot"), ("large.txt", &prose(100_000))]);
    let (begun, has_begun) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let slow = SlowDisk { begun, go_on: Arc::new(Mutex::new(go_on)) };
    let app = App::new().mount("/", site.files()).mount("/slow", slow);
    let lane = LaneOptions { threads_max: 1, ..LaneOptions::default() };
    let served = serve_with(app, Options { workers: 1, lane, ..Options::default() });
    // The first look for a name asks the disk.
    let hot = [("/hot.txt", 200), ("/missing.txt", 404), ("/large.txt", 200)];
    for (target, status) in hot {
        assert_eq!(served.get(target).status, status, "{target}");
    }
    let mut slow = served.send("GET", "/slow", &[]);
    has_begun.recv().unwrap();
    // The only thread of the lane is busy: what needs it waits, what does not is answered.
    let mut folder = served.send("GET", "/?json", &[]);
    for (target, status) in hot {
        assert_eq!(served.get(target).status, status, "{target}");
    }
    folder.set_nonblocking(true).unwrap();
    let waits = folder.read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock, "the listing needs the lane");
    folder.set_nonblocking(false).unwrap();
    go.send(()).unwrap();
    for stream in [&mut slow, &mut folder] {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert!(matches!(Received::parse(&bytes, false).status, 200 | 204));
    }
}

/// SECURITY: a listing is long work for a short request.
#[test]
fn listings_leave_half_of_the_lane_to_others() {
    const LISTINGS: usize = 40;
    let site = Site::new(&[("huge/0", "")]);
    for number in 1..5000 {
        fs::hard_link(site.path("huge/0"), site.path(&format!("huge/{number}"))).unwrap();
    }
    fn quick() -> &'static str {
        "quick"
    }
    let app = App::new().get("/quick", quick).mount("/", site.files());
    let lane = LaneOptions { threads_max: 2, ..LaneOptions::default() };
    let served = serve_with(app, Options { workers: 1, lane, ..Options::default() });
    let ask = |_| served.send("GET", "/huge/?json&sort=size", &[]);
    let mut asked: Vec<_> = (0..LISTINGS).map(ask).collect();
    assert_eq!(served.get("/quick").text(), "quick");
    let is_answered = |stream: &&mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        answered
    };
    let answered = asked.iter_mut().filter(is_answered).count();
    assert!(answered < LISTINGS / 2, "{answered} went before it");
    for mut stream in asked {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Received::parse(&bytes, false).status, 200);
    }
}

/// What is not in memory comes by way of the lane, and is the same.
#[test]
fn cold_files_come_by_way_of_the_lane() {
    let site = Site::new(&[]);
    for (name, bytes) in [("small.bin", 1_000), ("large.bin", 3_000_000)] {
        let content = noise(bytes);
        site.write(name, &content);
        let served = site.serve();
        for _ in 0..2 {
            let file = fs::File::open(site.path(name)).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            let answer = served.get(&format!("/{name}"));
            assert!(answer.status == 200 && answer.body == content, "{name}");
        }
    }
}

#[test]
fn a_full_lane_is_answered_503_and_files_in_memory_all_the_same() {
    let site = Site::new(&[("text.txt", &prose(5_000))]);
    for suffix in ["", ".zst", ".br", ".gz"] {
        // The system knows now which of these there are, and needs no disk to tell.
        let _ = fs::metadata(site.path(&format!("text.txt{suffix}")));
    }
    let app = App::new().mount("/", site.files().header("X-Own", "1").unwrap());
    let lane = LaneOptions { queue_max: 0, ..LaneOptions::default() };
    let served = serve_with(app, Options { workers: 1, lane, ..Options::default() });
    let full = served.get("/");
    assert_eq!((full.status, full.field("Retry-After")), (503, Some("1")));
    assert_eq!(full.field("X-Own"), Some("1"));
    // Text that could be compressed goes out as it is.
    for _ in 0..2 {
        let answer = served.get_with("/text.txt", &["Accept-Encoding: gzip"]);
        assert_eq!((answer.status, answer.field("Content-Encoding")), (200, None));
    }
}

/// Runs in a process of its own, since descriptors are those of all threads.
#[test]
fn w10_without_descriptors_files_are_answered_503_until_there_are_some() {
    const NAME: &str =
        "files::pressure::w10_without_descriptors_files_are_answered_503_until_there_are_some";
    if std::env::var_os("NUMBER8_TEST_ALONE").is_some() {
        return run_out_of_descriptors();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--test-threads=1"])
        .env("NUMBER8_TEST_ALONE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
}

fn run_out_of_descriptors() {
    let site = Site::new(&[]);
    for name in ["cold", "hot", "new", "last"] {
        site.write(&format!("{name}.txt"), name);
    }
    site.write("large.bin", noise(100_000));
    let hour = Duration::from_secs(3600);
    let app = App::new().mount("/", site.files().freshness(hour));
    let served = serve_app(app);
    assert_eq!(served.get("/hot.txt").text(), "hot");
    // A connection counts until its socket is closed.
    eventually(|| served.handle.connections() == 0);
    let before = getrlimit(Resource::Nofile);
    let fillers = leave_two(before);
    let cold = served.get("/cold.txt");
    let hot = served.get("/hot.txt");
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!((cold.status, cold.field("Retry-After")), (503, Some("1")));
    assert_eq!((hot.status, hot.text()), (200, "hot"));
    assert_eq!(served.get("/cold.txt").text(), "cold");
    assert_eq!(served.get("/new.txt").text(), "new");
    // A file that is kept open gives way.
    assert_eq!(served.get("/large.bin").body.len(), 100_000);
    drop(fillers);
    eventually(|| served.handle.connections() == 0);
    let _fillers = leave_two(before);
    let cold = served.get("/last.txt");
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!((cold.status, cold.text()), (200, "last"));
}

/// One connection has two ends here; a file does not fit.
fn leave_two(before: Rlimit) -> Vec<fs::File> {
    // Numbers are given out from the lowest: with no gap left, the limit is on what is opened from now on.
    let highest = open_numbers().max().unwrap();
    let mut fillers = vec![fs::File::open("/dev/null").unwrap()];
    while fillers.last().is_none_or(|file| file.as_raw_fd() < highest) {
        fillers.push(fs::File::open("/dev/null").unwrap());
    }
    let next = open_numbers().max().unwrap() + 1;
    setrlimit(Resource::Nofile, Rlimit { current: Some(next as u64 + 2), ..before }).unwrap();
    fillers
}

/// The numbers of the open descriptors, but for the one that looks.
fn open_numbers() -> impl Iterator<Item = i32> {
    let names = fs::read_dir("/proc/self/fd").unwrap().map(|fd| fd.unwrap().path());
    let open: Vec<_> = names.collect();
    let open = open.into_iter().filter(|path| fs::read_link(path).is_ok());
    open.map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
}

/// The length has been announced: what is missing has to show, and the connection cannot go on.
#[test]
fn a_file_that_is_cut_while_it_is_sent_is_cut_for_the_client() {
    let site = Site::new(&[]);
    let size = 64 * 1024 * 1024;
    site.write("big.bin", "");
    let file = fs::File::options().write(true).open(site.path("big.bin")).unwrap();
    file.set_len(size).unwrap();
    file.set_modified(super::at(super::LONG_AGO)).unwrap();
    let served = site.serve();
    let mut stream = served.send("GET", "/big.bin", &[]);
    let mut start = [0; 1024];
    stream.read_exact(&mut start).unwrap();
    let head = String::from_utf8_lossy(&start);
    assert!(head.contains(&format!("Content-Length: {size}\r\n")), "{head}");
    // More is on its way than is left of the file, or than the sockets can hold.
    file.set_len(100_000).unwrap();
    let mut received = start.len();
    let mut buffer = vec![0; 1024 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        received += count;
    }
    assert!((received as u64) < size, "all {received} bytes came");
    // The server goes on, and knows the new length.
    assert_eq!(served.ask("HEAD", "/big.bin", &[]).field("Content-Length"), Some("100000"));
}

/// Clients that leave in the middle leave nothing open.
#[test]
fn g3_no_descriptor_is_left_behind() {
    let site = Site::new(&[]);
    site.write("big.bin", noise(5_000_000));
    let served = serve_app(App::new().mount("/", site.files().cache_bytes(0)));
    for _ in 0..50 {
        let mut stream = served.send("GET", "/big.bin", &[]);
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    let folder = site.temp.path().canonicalize().unwrap();
    // The folder itself is one.
    eventually(|| open_below(&folder) == 1);
}
