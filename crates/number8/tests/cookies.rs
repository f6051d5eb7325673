use number8::{App, Cookie, CookieError, Cookies, IntoResponse, Request, Response};

#[tokio::test]
async fn r14_cookies_are_read_by_argument_and_by_request() {
    let app = App::new()
        .get("/argument", async |cookies: Cookies| cookies.get("b").map(str::to_owned))
        .get("/request", async |request: Request| request.cookie("b").map(str::to_owned))
        .get("/all", async |cookies: Cookies| cookies.iter().count().to_string());
    let server = app.test();
    // Fields, what `b` is, how many there are.
    let cases: &[(&[&str], Option<&str>, &str)] = &[
        (&[], None, "0"),
        (&["a=1"], None, "1"),
        (&["a=1; b=2; c=3"], Some("2"), "3"),
        // The first is that of the closest path.
        (&["b=1; b=2"], Some("1"), "2"),
        (&["a=1", "b=2"], Some("2"), "2"),
        (&["B=1"], None, "1"),
        (&["b=caf\u{e9}"], Some("caf\u{e9}"), "1"),
    ];
    for (fields, value, count) in cases {
        let ask = async |target| {
            let request = server.get(target);
            let request =
                fields.iter().fold(request, |request, field| request.field("cookie", field));
            request.send().await.unwrap()
        };
        for target in ["/argument", "/request"] {
            let answer = ask(target).await;
            assert_eq!((answer.status() == 200).then(|| answer.text()), *value, "{fields:?}");
        }
        assert_eq!(ask("/all").await.text(), *count, "{fields:?}");
    }
}

#[tokio::test]
async fn r14_l14_an_answer_sets_cookies_or_is_refused() {
    async fn set() -> Result<Response, CookieError> {
        let cookie = Cookie::new("a", "1");
        "set".into_response().with_cookie(&cookie)?.with_cookie(&Cookie::removal("b"))
    }
    async fn wrong() -> Result<Response, CookieError> {
        "set".into_response().with_cookie(&Cookie::new("a", "1\r\nX-Evil: 1"))
    }
    let server = App::new().get("/", set).get("/wrong", wrong).test();
    let answer = server.get("/").send().await.unwrap();
    let set: Vec<_> = answer.fields().filter(|(name, _)| *name == "Set-Cookie").collect();
    assert_eq!(set.len(), 2);
    assert_eq!(set[0].1, b"a=1; Path=/; HttpOnly; SameSite=Lax");
    let answer = server.get("/wrong").send().await.unwrap();
    assert_eq!((answer.status(), answer.field("x-evil")), (500, None));
}
