//! Whatever a client sends as Authorization, it is somebody exactly if it is the credential of that user, written as RFC
//! 7617 and RFC 6750 have it: nobody is let in by another text, and whoever knows the secret is.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use number8::accounts::Accounts;
use number8::layers::auth::{Auth, AuthLimits};
use number8::{Answer, App, Call, Handler, Response};

struct WhoAmI;

impl Handler for WhoAmI {
    fn handle(&self, call: Call<'_>) -> Answer {
        Response::new(200, call.caller.user.as_deref().unwrap_or("nobody").to_owned()).into()
    }
}

static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| {
    let accounts = Accounts::new().and_then(|all| all.password("joe", "pa:ss"));
    let accounts = accounts.and_then(|all| all.password("\u{e9}", "\u{e9}"));
    accounts.and_then(|all| all.token("backup", "b5/c7=")).expect("accounts")
});

/// Who it is, by the only text that there is for each of them.
fn plain(value: &[u8]) -> &'static str {
    let value = String::from_utf8_lossy(value);
    let value = value.trim_matches([' ', '\t']);
    let Some((scheme, rest)) = value.split_once(' ') else { return "nobody" };
    match (&*scheme.to_ascii_lowercase(), rest.trim_matches([' ', '\t'])) {
        ("basic", "am9lOnBhOnNz") => "joe",
        ("basic", "w6k6w6k=") => "\u{e9}",
        ("bearer", "b5/c7=") => "backup",
        _ => "nobody",
    }
}

async fn ask(value: &[u8]) -> (u16, String) {
    let limits = AuthLimits { failures_free: u32::MAX, ..AuthLimits::default() };
    let auth = Auth::with_limits(ACCOUNTS.clone(), limits, |_| {});
    let server = App::new().mount("/", WhoAmI).layer(auth).test();
    let answer = server.get("/").field("Authorization", value).send().await.expect("an answer");
    (answer.status(), answer.text().to_owned())
}

fuzz_target!(|input: &[u8]| {
    // A line end would begin another field.
    if input.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return;
    }
    let is_valid = input.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (status, text) = runtime.block_on(ask(input));
    match plain(input) {
        _ if !is_valid => assert_eq!(status, 400),
        "nobody" => {
            assert!(status == 401 || (status, &*text) == (200, "nobody"), "{status} {text}")
        }
        name => assert_eq!((status, &*text), (200, name)),
    }
});
