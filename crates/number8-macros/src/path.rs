//! Paths of routes: whether they can be one, and the names in them.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Error, FnArg, Ident, LitStr, Pat, Result, Token};

/// The most placeholders in a path, as the library takes them (`router.rs`).
const PLACEHOLDERS_MAX: usize = 25;

/// The names of the placeholders in a path, in order.
pub(crate) fn names(path: &LitStr) -> Result<Vec<String>> {
    let text = path.value();
    if !text.starts_with('/') {
        return Err(Error::new(path.span(), "a path begins with a slash"));
    }
    if has_lone_percent(&text) {
        let message = "a percent sign begins an escape of two hexadecimal digits; itself it is %25";
        return Err(Error::new(path.span(), message));
    }
    // A brace that is doubled stands for itself.
    let plain = text.replace("{{", "").replace("}}", "");
    let has = plain.matches('{').count();
    if has > PLACEHOLDERS_MAX {
        let message = format!("{has} placeholders: {PLACEHOLDERS_MAX} at most are understood");
        return Err(Error::new(path.span(), message));
    }
    // The library builds its routes with this and refuses the placeholders of others, so both agree on what a path is.
    let is_foreign = text.contains(['<', '>']) || text.contains("/:");
    if is_foreign || matchit::Router::new().insert(&text, ()).is_err() {
        let message =
            "not understood: a placeholder is {name}, one to a segment, or {*rest} at the end";
        return Err(Error::new(path.span(), message));
    }
    let placeholders = plain.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    Ok(placeholders.map(|name| name.trim_start_matches('*').to_owned()).collect())
}

/// Whether a percent sign has no two hexadecimal digits behind it.
fn has_lone_percent(path: &str) -> bool {
    let is_escape = |behind: &str| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    path.split('%').skip(1).any(|behind| !is_escape(behind))
}

/// Whether each name in a path is the name of an argument, in the same order.
///
/// The rest of the arguments are for the compiler to judge. One that has a pattern in place of a name may take whatever
/// comes at its place.
pub(crate) fn agree(
    path: &LitStr,
    names: &[String],
    arguments: &Punctuated<FnArg, Token![,]>,
) -> Result<()> {
    let arguments: Vec<Option<&Ident>> = arguments.iter().map(name).collect();
    let mut next = 0;
    for name in names {
        let place = |from: usize| {
            let mut rest = arguments.iter().skip(from);
            rest.position(|argument| argument.is_some_and(|argument| is_named(argument, name)))
        };
        if let Some(after) = place(next) {
            next += after + 1;
        } else if let Some(Some(early)) = place(0).map(|place| arguments[place]) {
            let message = format!(
                "values of the path go by position: `{name}` comes later in {:?}",
                path.value()
            );
            return Err(Error::new(early.span(), message));
        } else if let Some(after) = arguments.iter().skip(next).position(Option::is_none) {
            next += after + 1;
        } else {
            let message = format!("no argument is called `{name}`");
            return Err(Error::new(path.span(), message));
        }
    }
    Ok(())
}

fn name(argument: &FnArg) -> Option<&Ident> {
    match argument {
        FnArg::Typed(argument) => match &*argument.pat {
            Pat::Ident(pattern) => Some(&pattern.ident),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}

fn is_named(argument: &Ident, name: &str) -> bool {
    let argument = argument.unraw().to_string();
    argument == name || argument.strip_prefix('_') == Some(name)
}
