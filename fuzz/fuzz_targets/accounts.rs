//! A file of passwords holds the users that its lines name, in their order, each once; or it is refused by the first line
//! that is wrong, without the hash in the message: what stands before that line is right, and the line is wrong alone too,
//! unless it names somebody a second time.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use number8::accounts::{Accounts, FileError};

fn read(content: &[u8]) -> Result<Vec<String>, FileError> {
    let folder = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let folder = folder.iter().find(|folder| folder.is_dir()).expect("a folder");
    let path = folder.join(format!("number8-fuzz-{}", std::process::id()));
    std::fs::write(&path, content).expect("a file");
    let accounts = Accounts::new().expect("random bytes").file(&path);
    std::fs::remove_file(&path).expect("the same file");
    accounts.map(|accounts| accounts.names().map(str::to_owned).collect())
}

/// What somebody reads in the file, hashes unchecked.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_end);
    let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    named.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(read(input).is_err());
        return;
    };
    let problem = match read(input) {
        Ok(found) => {
            assert_eq!(found, names(text));
            assert!(found.iter().enumerate().all(|(at, name)| !found[..at].contains(name)));
            return;
        }
        Err(problem) => problem.to_string(),
    };
    let mut parts = problem.splitn(3, ':').skip(1);
    let line = parts.next().and_then(|line| line.parse::<usize>().ok());
    let (at, said) = (line.expect("a line") - 1, parts.next().expect("what is wrong"));
    let wrong = text.lines().nth(at).expect("a line that there is");
    let before: Vec<&str> = text.lines().take(at).collect();
    let users = read(before.join("\n").as_bytes()).expect("what stands before is right");
    let is_twice = users.contains(&wrong.split(':').next().unwrap_or_default().to_owned());
    // So may a hash be that is too much work beside those before it.
    let is_too_much = problem.contains("s of work");
    assert!(is_twice || is_too_much || read(wrong.as_bytes()).is_err());
    // A message has the name of the user, and no other word that is as long as that.
    let (name, rest) = wrong.split_once(':').unwrap_or_default();
    let hash = rest.rsplit('$').next().filter(|hash| hash.len() >= 20 && !hash.contains(' '));
    assert!(hash.is_none_or(|hash| name.contains(hash) || !said.contains(hash)), "{problem}");
});
