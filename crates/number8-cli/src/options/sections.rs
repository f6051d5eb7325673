//! The options themselves, under the headings of the help.

use super::Kind::{List, Names, Number, OptionalText, Pairs, Size, Text};
use super::{Fixed, Opt, Secret, Section, Use};

const PATH: Opt = Opt {
    is_positional: true,
    of: Use::Files,
    ..Opt::new("path", Text, "PATH", "The folder or the one file to serve")
        .computed("./public if there is one, else the current folder if a person typed the command")
        .fixed_for(Fixed::Programs)
};

const APP: Opt = Opt {
    is_positional: true,
    of: Use::App,
    ..Opt::new("app", Text, "MODULE[:ATTRIBUTE]", "The app, and the module that it is in")
        .computed("without ATTRIBUTE app, else application")
};

/// The sections of the help.
pub const SECTIONS: &[Section] = &[
    Section {
        heading: "What is served",
        options: &[
            PATH,
            Opt::new(
                "mount",
                Pairs("="),
                "/URL=DIR",
                "Serve another folder under a path; can be repeated",
            ),
            Opt::new(
                "index",
                Names,
                "NAME",
                "File that stands for its folder; can be repeated, the first found is taken",
            )
            .default("index.html"),
            Opt::new(
                "spa",
                OptionalText,
                "FILE",
                "Answer a path that does not exist with this file of PATH (index.html)",
            ).of(Use::Files),
            Opt::new(
                "error-page",
                Pairs("="),
                "CODE=FILE",
                "Send this file with this status (400 to 599); can be repeated",
            ),
            Opt::switch("no-listing", "Do not list folders"),
            Opt::new("max-listing", Number, "COUNT", "Entries on one page of a listing")
                .default("1000"),
            Opt::switch("hidden", "Also list and serve names that begin with a dot"),
            Opt::switch("follow-symlinks", "Follow links that lead out of the folder"),
            Opt::new("mime", Pairs("="), "EXT=TYPE", "Media type of an extension; can be repeated"),
            Opt::new("cache-size", Size, "SIZE", "Memory for small files; 0 keeps none")
                .computed("64MiB, at most 1/16 of the RAM"),
        ],
    },
    Section {
        heading: "Who may do what",
        options: &[
            Opt::new(
                "allow",
                Text,
                "RIGHTS",
                "What everyone may do: list,read,create,overwrite,delete,move,events, or ro, up, rw, wo, none",
            ).of(Use::Files)
            .computed("ro; with --auth, --auth-file or --token only what those say"),
            Opt::new(
                "auth",
                List,
                "RULE",
                "name:password@/path:rights, or @/path:rights for everyone; can be repeated",
            ).of(Use::Files)
            .short('a')
            .secret(Secret::Rule),
            Opt::new(
                "auth-file",
                Text,
                "FILE",
                "Passwords as htpasswd writes them; read again when the file changes",
            ).of(Use::Files),
            Opt::new(
                "token",
                List,
                "RULE",
                "name:token@/path:rights, for programs that send a bearer token; can be repeated",
            ).of(Use::Files)
            .secret(Secret::Token),
            Opt::new(
                "login-failures",
                Number,
                "COUNT",
                "Wrong passwords of one client that are free; the next makes it wait",
            ).of(Use::Files)
            .default("5"),
            Opt::new("login-remember", Text, "TIME", "How long a right password is remembered").of(Use::Files)
                .default("5m"),
            Opt::new("login-hashes", Number, "COUNT", "Password hashes at once").of(Use::Files).default("2"),
            Opt::new(
                "login-work",
                Text,
                "TIME",
                "What checking a password may take on a usual machine; a hash that takes longer is refused",
            ).of(Use::Files)
            .default("5s"),
            Opt::new("login-waiting", Number, "COUNT", "Requests that may wait for a hash").of(Use::Files)
                .default("64"),
            Opt::switch("no-login-page", "Have browsers ask for the password by themselves").of(Use::Files),
            Opt::new("session-idle", Text, "TIME", "How long a login by the page may go unused").of(Use::Files)
                .default("8h").fixed(),
            Opt::new("session-life", Text, "TIME", "How long a login by the page lasts at most").of(Use::Files)
                .default("7d").fixed(),
            Opt::new("max-sessions", Number, "COUNT", "Logins by the page at a time").of(Use::Files)
                .default("1000").fixed(),
            Opt::new("max-sessions-per-user", Number, "COUNT", "The same, of one user").of(Use::Files)
                .default("20").fixed(),
            Opt::switch("allow-all", "Everything with files; the same as --allow rw").of(Use::Files).short('A'),
            Opt::switch("insecure", "Let everyone write also from other machines").of(Use::Files),
        ],
    },
    Section {
        heading: "The board",
        options: &[
            Opt::switch(
                "board",
                "Pages for people: files, and what else is on; the same as number8 board",
            ).of(Use::Files),
            Opt::new(
                "run",
                List,
                "LANG=COMMAND",
                "Run programs in this language by this command, such as py=python3; can be repeated; off for none",
            ).of(Use::Files)
            .computed("none; with --board py=python3 -u, sh=sh and js=node, those that there are").fixed(),
            Opt::new(
                "run-user",
                Text,
                "NAME",
                "Run them as this user, where number8 runs as root",
            ).of(Use::Files)
            .computed("the owner of PATH; nobody where that is root").fixed(),
            Opt::new("run-time", Text, "TIME", "How long a program may run; 0 for as long as it wants").of(Use::Files)
                .default("0s").fixed(),
            Opt::new("run-memory", Size, "SIZE", "Memory of a program; 0 for no limit").of(Use::Files)
                .computed("half of the RAM, at most 1GiB").fixed(),
            Opt::new("run-output", Size, "SIZE", "What a program may write to its output").of(Use::Files)
                .default("64MiB").fixed(),
            Opt::new("run-processes", Number, "COUNT", "Processes of a program; 0 for no limit").of(Use::Files)
                .default("64").fixed(),
            Opt::new(
                "run-write",
                List,
                "PATH",
                "Programs may write here too; can be repeated",
            ).of(Use::Files).fixed(),
            Opt::new("programs", Text, "DIR", "Keep saved programs, and those that ran, here").of(Use::Files)
                .computed("with --board below $STATE_DIRECTORY or ~/.local/state").fixed(),
            Opt::new("run-at-start", Text, "NAME", "Run this saved program when the server starts").of(Use::Files).fixed(),
            Opt::new(
                "repl",
                OptionalText,
                "COMMAND",
                "A live terminal for those with the right repl: Python, or this command",
            ).of(Use::Files).fixed(),
            Opt::new("repl-viewers", Number, "COUNT", "Pages and clients that may look at it").of(Use::Files)
                .default("16").fixed(),
            Opt::new("repl-scroll-back", Size, "SIZE", "What is kept of what it has shown").of(Use::Files)
                .default("256KiB").fixed(),
            Opt::new(
                "webrepl",
                OptionalText,
                "ADDR",
                "Listen there for the WebREPL clients of MicroPython, such as Thonny (:8266)",
            ).of(Use::Files).fixed(),
            Opt::new(
                "webrepl-password",
                Text,
                "NAME:PASSWORD",
                "Their password, and the account whose rights they have; PASSWORD may be @FILE or a hash",
            ).of(Use::Files)
            .secret(Secret::Account),
            Opt::new(
                "webrepl-idle",
                Text,
                "TIME",
                "How long such a client may be silent before another takes its place",
            ).of(Use::Files)
            .default("10m").fixed(),
            Opt::new("webrepl-login-time", Text, "TIME", "How long it may take to say the password").of(Use::Files)
                .default("1m"),
            Opt::new("webrepl-waiting", Number, "COUNT", "Clients that are asked for it at a time").of(Use::Files)
                .default("32"),
            Opt::new("webrepl-waiting-per-ip", Number, "COUNT", "The same, of one address, or /64 of IPv6").of(Use::Files)
                .default("4"),
        ],
    },
    Section {
        heading: "An app",
        options: &[
            APP,
            Opt::new(
                "interface",
                Text,
                "NAME",
                "How the app is called: wsgi, asgi, or auto to look at it",
            )
            .of(Use::App)
            .default("auto"),
            Opt::switch("factory", "ATTRIBUTE is called without arguments and returns the app")
                .of(Use::App),
            Opt::new("app-dir", Text, "DIR", "Where MODULE is looked for first")
                .of(Use::App)
                .default("."),
            Opt::new("workers", Number, "COUNT", "Processes that run the app, at one address")
                .of(Use::App)
                .default("1"),
            Opt::new(
                "threads",
                Number,
                "COUNT",
                "Threads of each that call a WSGI app; 0 calls it where requests are read",
            )
            .of(Use::App)
            .default("1"),
            Opt::new(
                "loop",
                Text,
                "NAME",
                "The event loop of an ASGI app: asyncio, uvloop, or auto for what is best",
            )
            .of(Use::App)
            .default("auto"),
            Opt::new(
                "max-requests",
                Number,
                "COUNT",
                "Replace a process after so many requests; 0 for never",
            )
            .of(Use::App)
            .default("0"),
            Opt::new(
                "max-requests-jitter",
                Number,
                "COUNT",
                "Add a number up to this, by chance, so that not all are replaced at once",
            )
            .of(Use::App)
            .default("0"),
            Opt::new(
                "max-rss",
                Size,
                "SIZE",
                "Replace a process that has more memory than this; 0 for never",
            )
            .of(Use::App)
            .default("0"),
            Opt::new("max-workers", Number, "COUNT", "Processes that the signal TTIN may lead to")
                .of(Use::App)
                .default("64"),
            Opt::switch("no-respawn", "End with the first process that ends, and start no other")
                .of(Use::App),
            Opt::switch("reload", "Replace the processes when the code of the app changes")
                .of(Use::App),
            Opt::new(
                "root-path",
                Text,
                "/PREFIX",
                "The path that a proxy has taken off: SCRIPT_NAME of WSGI, root_path of ASGI",
            )
            .of(Use::App),
            Opt::switch("compress", "Compress the texts that the app answers with, as files are")
                .of(Use::App),
            Opt::new("max-message", Size, "SIZE", "A message that a WebSocket brings to an ASGI app")
                .of(Use::App)
                .default("1MiB"),
            Opt::new(
                "websocket-ping",
                Text,
                "TIME",
                "After such a silence the client of a WebSocket is asked whether it is there; 0 for never",
            )
            .of(Use::App)
            .default("30s"),
        ],
    },
    Section {
        heading: "Uploads",
        options: &[
            Opt::new("max-upload", Size, "SIZE", "The largest upload; 0 for what the disk holds").of(Use::Files)
                .default("0"),
            Opt::new(
                "overwrite",
                Text,
                "POLICY",
                "Where a name is taken: error, replace, or rename to keep both",
            ).of(Use::Files)
            .default("replace"),
            Opt::new("keep-free", Size, "SIZE", "What stays free on the disk").default("64MiB"),
            Opt::switch("no-fsync", "Do not wait for the disk: faster, and torn by a power cut").of(Use::Files),
        ],
    },
    Section {
        heading: "Where",
        options: &[
            Opt::new(
                "bind",
                List,
                "ADDR",
                "IP, IP:PORT, :PORT, localhost, unix:/path[,mode=660] or fd:N to listen on; can be repeated",
            )
            .short('b')
            .computed("every address, IPv4 and IPv6; localhost for an app, and where everyone may write").fixed(),
            Opt::new("port", Number, "PORT", "Port where ADDR names none; 0 takes any free one")
                .short('p')
                .default("8080").fixed(),
            Opt::new(
                "host",
                List,
                "NAME",
                "Answer only to this host name (and to IP addresses); can be repeated",
            ),
            Opt::new(
                "trusted-proxy",
                List,
                "CIDR",
                "Believe this proxy, network or unix about who a client is; can be repeated",
            ),
            Opt::switch(
                "proxy-protocol",
                "Trusted proxies begin each connection with a PROXY header (version 1 or 2)",
            ),
            Opt::new("path-prefix", Text, "/PREFIX", "Serve everything under this path").of(Use::Files),
            Opt::new(
                "mdns",
                OptionalText,
                "NAME",
                "Be found in the local network as NAME.local (the name of this machine)",
            ).of(Use::Files).fixed(),
            Opt::switch("qr", "Draw the address for the local network as a QR code").of(Use::Files),
        ],
    },
    Section {
        heading: "TLS",
        options: &[
            Opt::new(
                "tls-cert",
                Text,
                "FILE",
                "Serve over HTTPS with this certificate (PEM, with its chain); read again when the file changes",
            ).fixed(),
            Opt::new("tls-key", Text, "FILE", "The key of the certificate (PEM, without a password)").fixed(),
            Opt::new(
                "tls-self-signed",
                OptionalText,
                "DIR",
                "Serve over HTTPS with a certificate made here for every name and address of this machine; DIR keeps it",
            ).fixed(),
            Opt::new(
                "redirect-http",
                Text,
                "ADDR",
                "Redirect plain HTTP here to HTTPS; as --bind, on port 80 unless it says another",
            ).of(Use::Files).fixed(),
        ],
    },
    Section {
        heading: "Answers",
        options: &[
            Opt::new(
                "header",
                Pairs(": "),
                "NAME: VALUE",
                "Add a field to every answer; can be repeated",
            ),
            Opt::new(
                "cors",
                OptionalText,
                "ORIGIN",
                "Let pages of this site read and change what their visitor may; without ORIGIN, let all read",
            ).fixed_for(Fixed::Terminal),
            Opt::new("cache-control", Text, "VALUE", "Cache-Control of files"),
            Opt::switch("no-server-header", "Leave out the Server field"),
            Opt::new("health", Text, "/PATH", "Answer 200 here and do not log it; off for none")
                .default("/.number8/health"),
            Opt::new(
                "ready",
                Text,
                "/PATH",
                "Answer 200 here while new requests are welcome, else 503; off for none",
            )
            .default("/.number8/ready"),
            Opt::new(
                "metrics",
                Text,
                "ADDR",
                "Answer /metrics for Prometheus there; a port alone is one of the loopback",
            ).fixed(),
            Opt::new(
                "events",
                Text,
                "/PATH",
                "Send events to those who listen here; who has the right events sends them by POST",
            ).of(Use::Files),
            Opt::switch(
                "lenient",
                "Accept bare line feeds in a request head, for requests typed by hand",
            ).fixed(),
        ],
    },
    Section {
        heading: "Log",
        options: &[
            Opt::new(
                "log",
                Text,
                "FORMAT",
                "short, combined, json, off or a template such as '$remote_addr $status'",
            )
            .computed("short; off with --quiet").fixed(),
            Opt::new(
                "log-file",
                Text,
                "FILE",
                "Append the log to this file and not to standard error",
            ).fixed(),
            Opt::new(
                "log-slow",
                Text,
                "TIME",
                "Also print requests whose answer begins later than this; 0 for none",
            )
            .default("0s").fixed(),
            Opt::switch(
                "request-id",
                "Tell in X-Request-Id what a request is called in the log",
            ),
            Opt::switch("dump", "Print the heads of requests (<) and of answers (>)").fixed(),
            Opt::switch("quiet", "Print errors only").short('q'),
            Opt::switch("verbose", "Also print why connections were closed").short('v').fixed(),
        ],
    },
    Section {
        heading: "Workers",
        options: &[
            Opt::new("io-threads", Number, "COUNT", "Threads that serve connections")
                .computed("one per core; 1 in each process of an app").fixed(),
            Opt::new("lane-threads", Number, "COUNT", "Threads for work that may block")
                .computed("one per core, at least 2, and more than password hashes at once").fixed(),
            Opt::new(
                "lane-queue",
                Number,
                "COUNT",
                "Work that may wait for them; more is answered 503",
            )
            .default("1024").fixed(),
            Opt::new("grace", Text, "TIME", "How long requests may go on after a signal to stop")
                .default("10s").fixed(),
        ],
    },
    Section {
        heading: "Time-outs",
        options: &[
            Opt::new("timeout-first", Text, "TIME", "For the first byte on a new connection")
                .default("10s").fixed(),
            Opt::new("timeout-handshake", Text, "TIME", "For the handshake of TLS")
                .default("10s").fixed(),
            Opt::new(
                "timeout-head",
                Text,
                "TIME",
                "For the head of a request, from its first byte",
            )
            .computed("30s; 120s with --lenient").fixed(),
            Opt::new("timeout-body", Text, "TIME", "Between two parts of a request body")
                .default("30s").fixed(),
            Opt::new(
                "min-body-rate",
                Size,
                "SIZE",
                "Least bytes a second of a request body; 0 for none",
            )
            .default("500").fixed(),
            Opt::new(
                "min-body-rate-after",
                Text,
                "TIME",
                "How long a body may be slower than that at first",
            )
            .default("10s").fixed(),
            Opt::new("timeout-write", Text, "TIME", "For the client to take more of an answer")
                .default("30s").fixed(),
            Opt::new("timeout-idle", Text, "TIME", "Between two requests on a connection")
                .default("15s").fixed(),
            Opt::new("timeout-linger", Text, "TIME", "For reading on after a refused body")
                .default("2s").fixed(),
        ],
    },
    Section {
        heading: "Limits",
        options: &[
            Opt::new("max-head", Size, "SIZE", "The head of a request").default("32KiB").fixed(),
            Opt::new("max-fields", Number, "COUNT", "Fields in a head").default("100").fixed(),
            Opt::new("max-uri", Size, "SIZE", "The target of a request").default("8KiB").fixed(),
            Opt::new("max-body", Size, "SIZE", "The body of a request")
                .computed("1MiB; 1GiB for an app, which has its own limits").fixed(),
            Opt::new("max-linger", Size, "SIZE", "Bytes read on after a refused body")
                .default("256KiB").fixed(),
            Opt::new("max-connections", Number, "COUNT", "Open connections").default("20000").fixed(),
            Opt::new(
                "max-connections-per-ip",
                Number,
                "COUNT",
                "Open connections of one client address; 0 for no limit",
            )
            .default("0").fixed(),
            Opt::new("max-buffered", Size, "SIZE", "Bytes in buffers over all connections")
                .computed("256MiB, at most 1/8 of the RAM").fixed(),
            Opt::new(
                "http2-streams",
                Number,
                "COUNT",
                "Requests at once on a connection of HTTP/2; 0 turns it off",
            )
            .default("100").fixed(),
            Opt::new(
                "http2-window",
                Size,
                "SIZE",
                "What a client may send of one body over HTTP/2 before it is read; of all, 4 times that beyond what already waits",
            )
            .default("256KiB").fixed(),
            Opt::new(
                "http2-resets",
                Number,
                "COUNT",
                "Requests over HTTP/2 that a client may take back in a second",
            )
            .default("200").fixed(),
            Opt::new(
                "http2-control-frames",
                Number,
                "COUNT",
                "Frames of HTTP/2 in a second that ask for nothing",
            )
            .default("1000").fixed(),
        ],
    },
];
