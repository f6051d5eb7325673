//! What stands in the parentheses of an attribute.

use proc_macro2::Span;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, LitStr, Result, Token};

/// Methods as they are sent, and the names of their values in number8.
const METHODS: &[(&str, &str)] = &[
    ("GET", "Get"),
    ("HEAD", "Head"),
    ("POST", "Post"),
    ("PUT", "Put"),
    ("PATCH", "Patch"),
    ("DELETE", "Delete"),
    ("OPTIONS", "Options"),
];

/// `[METHOD,]… "/path" [, inline]`
pub(crate) struct Rule {
    /// The names of values of `number8::Method`.
    pub(crate) methods: Vec<Ident>,
    pub(crate) path: LitStr,
    pub(crate) inline: Option<Ident>,
}

impl Rule {
    /// With the method of the attribute, or those that the rule names first.
    pub(crate) fn parse(method: Option<&str>, tokens: proc_macro2::TokenStream) -> Result<Self> {
        let parser = |input: ParseStream<'_>| match method {
            Some(name) => Self::after(vec![value(&Ident::new(name, Span::call_site()))?], input),
            None => {
                let mut methods = Vec::new();
                while input.peek(syn::Ident) {
                    methods.push(value(&input.parse()?)?);
                    input.parse::<Token![,]>()?;
                }
                if methods.is_empty() {
                    return Err(input.error("first comes a method: #[route(GET, \"/path\")]"));
                }
                Self::after(methods, input)
            }
        };
        parser.parse2(tokens)
    }

    fn after(methods: Vec<Ident>, input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(LitStr) {
            return Err(input.error("here comes the path, in quotes: \"/users/{id}\""));
        }
        let mut rule = Self { methods, path: input.parse()?, inline: None };
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let option: Ident = input.parse()?;
            if option != "inline" {
                return Err(Error::new(option.span(), "the only option is `inline`"));
            }
            rule.inline = Some(option);
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(rule)
    }
}

fn value(method: &Ident) -> Result<Ident> {
    let Some((_, value)) = METHODS.iter().find(|(name, _)| method == name) else {
        let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
        let message = format!("not a method; there are {}", names.join(", "));
        return Err(Error::new(method.span(), message));
    };
    Ok(Ident::new(value, method.span()))
}
