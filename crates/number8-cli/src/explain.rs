//! `number8 explain`: which rule decides about a request, in words.

use number8::access::{Access, Rights};

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks; `None` for somebody who has not logged in.
    pub user: Option<String>,
    /// The method of the request.
    pub method: String,
    /// Its path, decoded.
    pub path: String,
}

impl Question {
    /// The answer, some lines of text.
    ///
    /// # Errors
    /// The method or the path is none that there are rules for.
    pub fn answer(&self, access: &Access) -> Result<String, String> {
        if !self.path.starts_with('/') {
            return Err(format!("{}: a path begins with a slash", self.path));
        }
        let (method, user) = (self.method.to_ascii_uppercase(), self.user.as_deref());
        let asker = user.unwrap_or("anybody");
        let mut text = format!("{method} {} by {asker}\n", self.path);
        for (rights, where_) in needs(&method, &self.path)? {
            let decided = match access.decide(user, rights, self.path.as_bytes()) {
                Ok(()) => "allowed".to_owned(),
                Err(refusal) if refusal.status() == 401 => "needs a login (401)".to_owned(),
                Err(refusal) => format!("refused ({})", refusal.status()),
            };
            text.push_str(&format!("  {decided}: {rights}{where_}\n"));
        }
        text.push_str("because\n");
        let mut has_rule = false;
        for rule in access.deciding(user, self.path.as_bytes()) {
            text.push_str(&format!("  {rule}\n"));
            has_rule = true;
        }
        if !has_rule {
            text.push_str("  no rule is about this path and this user\n");
        }
        Ok(text)
    }
}

/// The rights that a method takes, and when.
fn needs(method: &str, path: &str) -> Result<Vec<(Rights, &'static str)>, String> {
    Ok(match method {
        "GET" | "HEAD" if path.ends_with('/') => {
            vec![(Rights::LIST, ", for the listing"), (Rights::READ, ", for an index file")]
        }
        "GET" | "HEAD" => vec![(Rights::READ, "")],
        "PUT" | "POST" => vec![
            (Rights::CREATE, ", where nothing is there"),
            (Rights::OVERWRITE, ", where something is"),
        ],
        "DELETE" => vec![(Rights::DELETE, "")],
        "MOVE" => vec![
            (Rights::MOVE | Rights::DELETE, ", from here"),
            (Rights::CREATE, ", to here, where nothing is"),
            (Rights::OVERWRITE, ", to here, where something is"),
        ],
        _ => return Err(format!("{method}: take GET, HEAD, PUT, POST, DELETE or MOVE")),
    })
}
