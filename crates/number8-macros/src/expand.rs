//! From a function with an attribute to a function that adds a route.

use std::mem;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Error, FnArg, ItemFn, Result, ReturnType, Type, Visibility};

use crate::path;
use crate::rule::Rule;

/// What an attribute makes of an item. After a mistake, too, there is something to add, so that it is reported once.
pub(crate) fn attribute(
    method: Option<&str>,
    rule: TokenStream,
    item: &TokenStream,
) -> TokenStream {
    let mut function = match syn::parse2(item.clone()).and_then(not_a_method) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let added = Rule::parse(method, rule).and_then(|rule| added(&rule, &function));
    let added = added.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error __number8_app)
    });
    // What is said of the route; the rest is about the function, which stands inside.
    let (outer, inner): (Vec<_>, _) = function.attrs.into_iter().partition(is_of_route);
    function.attrs = inner;
    let visibility = mem::replace(&mut function.vis, Visibility::Inherited);
    let name = &function.sig.ident;
    quote! {
        #(#outer)*
        #visibility fn #name(__number8_app: ::number8::App) -> ::number8::App {
            #[allow(clippy::needless_pass_by_value, reason = "a request gives its parts away")]
            #function
            #added
        }
    }
}

/// The app with the route in it.
fn added(Rule { methods, path, inline }: &Rule, function: &ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a route has no generics"));
    }
    let types: Vec<&Type> = signature.inputs.iter().filter_map(type_of).collect();
    path::agree(path, &path::names(path)?, &signature.inputs)?;
    let name = &signature.ident;
    let arguments = quote!((#(#types,)*));
    let (kind, handler) = match (inline, signature.asyncness) {
        (Some(inline), Some(_)) => {
            let message = "`inline` is for a plain `fn`: an `async fn` runs inline already";
            return Err(Error::new(inline.span(), message));
        }
        (Some(_), None) => (
            quote!(::number8::InlineFunction<#arguments>),
            quote_spanned!(name.span()=> ::number8::inline(#name)),
        ),
        (None, Some(_)) => (quote!(::number8::AsyncFunction<#arguments>), quote!(#name)),
        (None, None) => (quote!(::number8::PlainFunction<#arguments>), quote!(#name)),
    };
    let result = match &signature.output {
        ReturnType::Type(_, result) if is_nameable(result) => quote!(result::<#result>();),
        _ => TokenStream::new(),
    };
    // The function may have any name that people give, and those stand here too.
    // One check for each argument and one for the result: the error points at what is wrong.
    Ok(quote! {
        const _: fn() = || {
            fn argument<T: ::number8::Argument>() {}
            fn result<T: ::number8::IntoResponse>() {}
            #(argument::<#types>();)*
            #result
        };
        #(let __number8_app =
            __number8_app.route::<#kind>(::number8::Method::#methods, #path, #handler);)*
        __number8_app
    })
}

fn not_a_method(function: ItemFn) -> Result<ItemFn> {
    match function.sig.receiver() {
        Some(this) => Err(Error::new_spanned(this, "a route is a function, not a method")),
        None => Ok(function),
    }
}

fn type_of(argument: &FnArg) -> Option<&Type> {
    match argument {
        FnArg::Typed(argument) => Some(&argument.ty),
        FnArg::Receiver(_) => None,
    }
}

fn is_of_route(attribute: &Attribute) -> bool {
    const NAMES: [&str; 8] =
        ["allow", "cfg", "deny", "deprecated", "doc", "expect", "forbid", "warn"];
    NAMES.iter().any(|name| attribute.path().is_ident(name))
}

/// Whether a type can be written where it is asked for: `impl Trait` only stands in signatures.
fn is_nameable(result: &Type) -> bool {
    fn has_impl(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    !has_impl(result.to_token_stream())
}
