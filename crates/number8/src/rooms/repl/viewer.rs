//! A terminal as a page shows it: its bytes in binary frames, all else as JSON in texts.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::terminal::{Ended, Seat, Told};
use crate::children::{Exit, Size};
use crate::server::lane::Lane;
use crate::standing::{Look, Standing};
use crate::ws::{CloseCode, Message, Socket, SocketError, SocketReceiver, SocketSender};

/// Talks with a page until it goes, or whoever opened it has logged out.
pub(super) async fn talk(
    socket: Socket,
    seat: Seat,
    lane: Lane,
    standing: Option<Standing>,
) -> CloseCode {
    let (sender, receiver) = socket.split();
    tokio::select! {
        _gone = show(&sender, &seat) => CloseCode::NORMAL,
        _gone = hear(receiver, &seat, &lane, standing.as_ref()) => CloseCode::NORMAL,
        () = over(standing.clone()) => CloseCode::POLICY,
    }
}

/// Waits until the session has ended that it was opened in, if it was in one.
async fn over(standing: Option<Standing>) {
    match standing {
        Some(standing) => standing.over().await,
        None => std::future::pending().await,
    }
}

/// Sends what the program writes, and how things stand when that has changed.
async fn show(sender: &SocketSender, seat: &Seat) -> Result<(), SocketError> {
    let (mut news, mut place) = (seat.news(), seat.first);
    let mut told: Option<Told> = None;
    loop {
        loop {
            let text = seat.read(&mut place);
            if text.is_empty() {
                break;
            }
            sender.send(Bytes::from(text)).await?;
        }
        let now = seat.told();
        if told.is_none_or(|told| Told { ended: now.ended, ..told } != now) {
            let state = json!({"state": {
                "viewers": now.viewers,
                "writer": now.writes,
                "cols": now.size.columns,
                "rows": now.size.rows,
            }});
            sender.send(state.to_string()).await?;
        }
        if let Some(ended) = now.ended.filter(|_| told.is_none_or(|told| told.ended.is_none())) {
            sender.send(json!({"exit": exit(ended)}).to_string()).await?;
        }
        told = Some(now);
        if news.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Types what the page sends, and does what it asks for, also while what was typed waits for a program that takes no keys; what
/// nobody knows is passed over.
async fn hear(
    mut receiver: SocketReceiver,
    seat: &Seat,
    lane: &Lane,
    standing: Option<&Standing>,
) -> Result<(), SocketError> {
    let mut keys = BytesMut::new();
    loop {
        let message = tokio::select! {
            biased;
            () = seat.write(&mut keys), if !keys.is_empty() => continue,
            message = receiver.receive(), if keys.len() < KEYS_BYTES_MAX => message?,
        };
        let Some(message) = message else { break };
        // SECURITY: not even in the moment before the end is seen.
        if standing.is_some_and(|standing| !standing.lasts(Look::Use)) {
            keys.clear();
            continue;
        }
        let order = match message {
            Message::Binary(bytes) => {
                keys.extend_from_slice(&bytes);
                continue;
            }
            Message::Text(text) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
        };
        if let Some([columns, rows]) =
            order.get("resize").and_then(Value::as_array).map(Vec::as_slice)
            && let (Some(columns), Some(rows)) = (size(columns), size(rows))
        {
            seat.resize(Size { columns, rows });
        }
        if order.get("restart") == Some(&Value::Bool(true)) {
            // They were for what ends.
            keys.clear();
            seat.restart(lane);
        }
    }
    // Whoever has typed and left has typed, unless the program takes no keys.
    loop {
        let before = keys.len();
        let written = timeout(LAST_KEYS_TIME, seat.write(&mut keys)).await;
        if written.is_ok() || keys.len() == before {
            return Ok(());
        }
    }
}

/// A number of columns or rows that a terminal can have.
fn size(value: &Value) -> Option<u16> {
    let size = value.as_u64().and_then(|size| u16::try_from(size).ok());
    size.filter(|size| (1..=SIZE_MAX).contains(size))
}

fn exit(ended: Ended) -> Value {
    match ended {
        Ended::Exit(Exit::Code(code)) => json!({"code": code}),
        Ended::Exit(Exit::Signal(signal)) => json!({"signal": signal}),
        Ended::Unknown => Value::Null,
    }
}

/// Bytes of keys that may wait before no more is heard.
const KEYS_BYTES_MAX: usize = 1024 * 1024;
/// How long a program may take none of the keys of a page that has left.
const LAST_KEYS_TIME: Duration = Duration::from_secs(5);
/// More columns or rows than any screen has.
const SIZE_MAX: u16 = 2000;
