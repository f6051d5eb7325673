//! The songs by their names, and the tokens that stand for them.
//!
//! The tokens are in memory, and in a file that is replaced as a whole: whenever the box is switched off, either the old
//! ones are there or the new ones. One lock holds for names and tokens, so that they agree. What is here waits for the
//! disk, except for what only reads the tokens.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use number8::Error;
use number8::store::{
    Clash, OnClash, OpenError, Opened, Root, RootOptions, SafePath, StageOptions, WriteError,
};

/// Token to name of a song.
pub(crate) type Tokens = BTreeMap<String, String>;

/// What a reader of tokens sends is some twenty characters long.
const TOKEN_BYTES_MAX: usize = 64;
const TOKENS_MAX: usize = 10_000;
const FILE: &str = "/tokens.json";

pub(crate) struct Shelf {
    root: Root,
    tokens: RwLock<Tokens>,
    /// Held for a change from its first look to its end.
    changing: Mutex<()>,
}

impl Shelf {
    /// The shelf in this folder, with the tokens that were bound before.
    pub(crate) fn open(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let root = Root::open(folder, RootOptions::default())?;
        let tokens = match root.open_blocking(&root.path(FILE.as_bytes())?) {
            Ok(Opened::File(file)) => {
                let length = usize::try_from(file.meta().size)?;
                serde_json::from_slice(&file.read_range(0, length)?)?
            }
            Err(OpenError::NotFound) => Tokens::new(),
            Ok(Opened::Dir(_)) => return Err("tokens.json is a folder".into()),
            Err(error) => return Err(format!("tokens.json cannot be read: {error:?}").into()),
        };
        Ok(Self { root, tokens: RwLock::new(tokens), changing: Mutex::default() })
    }

    pub(crate) fn tokens(&self) -> Tokens {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn song_of(&self, token: &str) -> Option<String> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(crate) fn bind(&self, token: String, song: &str) -> Result<(), Error> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.contains(char::is_control) {
            return Err(Error::new(422, "a token has 1 to 64 bytes, and none that cannot be seen"));
        }
        let _changing = self.change();
        let song_path = self.song(song)?;
        self.root.stat_blocking(&song_path).map_err(|error| explained(error.into()))?;
        let mut tokens = self.tokens();
        tokens.insert(token, song.to_owned());
        if tokens.len() > TOKENS_MAX {
            return Err(Error::new(507, "this box knows as many tokens as it can"));
        }
        self.keep(tokens)
    }

    pub(crate) fn free(&self, token: &str) -> Result<(), Error> {
        let _changing = self.change();
        let mut tokens = self.tokens();
        tokens.remove(token).ok_or_else(|| Error::new(404, "no song is bound to this token"))?;
        self.keep(tokens)
    }

    pub(crate) fn rename(&self, old: &str, new: &str) -> Result<(), Error> {
        let _changing = self.change();
        let (from, to) = (self.song(old)?, self.song(new)?);
        let (from, to) = self.root.claim_two(&from, &to).map_err(explained)?;
        from.rename(to, OnClash::Refuse).map_err(explained)?;
        let mut tokens = self.tokens();
        tokens.values_mut().filter(|song| *song == old).for_each(|song| new.clone_into(song));
        self.keep(tokens)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let _changing = self.change();
        let claim = self.root.claim(&self.song(name)?, false).map_err(explained)?;
        claim.remove(false).map_err(explained)?;
        let mut tokens = self.tokens();
        tokens.retain(|_, song| song != name);
        self.keep(tokens)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a song is: one name, in the folder of songs.
    fn song(&self, name: &str) -> Result<SafePath, Error> {
        let path = format!("/songs/{name}");
        let path = self
            .root
            .path(path.as_bytes())
            .ok()
            .filter(|_| !name.is_empty() && !name.contains('/'));
        path.ok_or_else(|| Error::new(422, "that cannot be the name of a song"))
    }

    /// Writes the tokens where they differ from those before, and then believes in them.
    fn keep(&self, tokens: Tokens) -> Result<(), Error> {
        if tokens == self.tokens() {
            return Ok(());
        }
        let json = Bytes::from(serde_json::to_vec_pretty(&tokens)?);
        self.write(json).map_err(explained)?;
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    fn write(&self, content: Bytes) -> Result<(), WriteError> {
        let path = self.root.path(FILE.as_bytes()).map_err(|_| WriteError::BadName)?;
        let mut staged =
            self.root.stage(&path, Some(content.len() as u64), StageOptions::default())?;
        staged.write(&[content])?;
        staged.finish()?;
        let claim = staged.claim()?;
        staged.commit(claim, OnClash::Replace).map(drop)
    }
}

/// What a person at the page is told.
fn explained(error: WriteError) -> Error {
    match error {
        WriteError::NotFound => Error::new(404, "there is no song of that name"),
        WriteError::Clash(Clash::Exists) => Error::new(409, "another song has that name"),
        WriteError::Clash(_) | WriteError::BadName | WriteError::Refused(_) => {
            Error::new(422, "that cannot be the name of a song")
        }
        WriteError::NoSpace => Error::new(507, "the box is full"),
        other => {
            Error::new(500, "the box cannot write").because(io::Error::other(format!("{other:?}")))
        }
    }
}

/// A name as a part of a URL (RFC 3986 §2.1).
pub(crate) fn encoded(name: &str) -> String {
    use std::fmt::Write;
    name.bytes().fold(String::new(), |mut url, byte| {
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(url, "{}", byte as char)
            }
            _ => write!(url, "%{byte:02X}"),
        };
        url
    })
}
