use std::str::FromStr;

use number8::{App, get};

#[get("/", inline)]
async fn inline_already() {}

#[get("/quick", quick)]
fn other_option() {}

#[get("/{value}")]
async fn any_value<T: FromStr>(value: T) {
    let _ = value;
}

struct Songs;

impl Songs {
    #[get("/songs")]
    async fn all(&self) {}
}

#[get("/songs")]
struct Song;

async fn without_attribute() {}

fn main() {
    let _ = App::new().add((inline_already, other_option, any_value));
    let _ = App::new().add(without_attribute);
}
