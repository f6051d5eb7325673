//! A form, and what comes of it: `cargo run --example form [PORT]`, then open the printed address, type a name and send
//! it, or
//!
//! - `curl -i -d 'name=Ada&dish=pie&dish=tea' localhost:8080/orders` is a 303: a browser goes to the page that it names,
//!   so that reloading that page orders nothing;
//! - `curl -i -d 'dish=pie' localhost:8080/orders` is a 422: there is no name;
//! - `curl localhost:8080/orders/1` shows the order.

#![allow(clippy::needless_pass_by_value, reason = "a handler is given its arguments")]

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use number8::{App, Form, Html, Redirect, Server, State, inline};

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Order</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>What shall it be?</h1>
<form action="/orders" method="post">
<p><label>Your name <input name="name" required></label></p>
<p><label><input type="checkbox" name="dish" value="pie"> Pie</label>
<label><input type="checkbox" name="dish" value="tea"> Tea</label></p>
<p><button>Order</button></p>
</form></html>
"#;

#[derive(serde::Deserialize)]
struct Order {
    name: String,
    /// As many as there are; a form repeats the key.
    #[serde(default)]
    dish: Vec<String>,
}

type Orders = Mutex<Vec<Order>>;

fn main() -> Result<(), Box<dyn Error>> {
    let app = App::new()
        .state(Orders::default())
        .get("/", inline(|| Html(PAGE)))
        .post("/orders", inline(order))
        .get("/orders/{number}", inline(show));

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".to_owned());
    let server = Server::bind(app, &format!("127.0.0.1:{port}"))?;
    server.local_addrs().for_each(|address| eprintln!("http://{address}/"));
    Ok(server.run()?)
}

fn order(orders: State<Orders>, Form(order): Form<Order>) -> Redirect {
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    orders.push(order);
    Redirect::to(format!("/orders/{}", orders.len()))
}

/// Plain text: whatever somebody typed stays text.
fn show(orders: State<Orders>, number: usize) -> Option<String> {
    let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    let order = orders.get(number.checked_sub(1)?)?;
    Some(format!("{} for {}\n", order.dish.join(" and "), order.name))
}
