//! What the arguments of a handler are taken from.

use std::any::{TypeId, type_name};
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use super::Call;
use crate::error::Error;

/// Something that a handler can take as an argument.
///
/// Any type that can be read from text ([`FromStr`]) is a value of the path, by position; text that it does
/// not understand is a 404. [`Request`](crate::Request), [`Body`](crate::Body), [`State`](crate::State) and
/// others are taken from the rest of the request. Your own type can be an argument, too:
///
/// ```
/// use number8::{App, Argument, Call, Error, Taken};
///
/// /// The language that the client would like best.
/// struct Language(String);
///
/// impl Argument for Language {
///     fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
///         let accepted = call.head.named("accept-language").unwrap_or(b"en");
///         let first = accepted.split(|byte| b",;".contains(byte)).next().unwrap_or_default();
///         Ok(Taken::Now(Self(String::from_utf8_lossy(first).into_owned())))
///     }
/// }
///
/// let app = App::new().get("/", async |Language(name): Language| format!("You read {name}."));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "neither a value of the path nor taken from a request",
    note = "an argument is a value of the path, which can be read from text (`FromStr`), or `Request`, `Body`, `Content`, `Cookies`, `Json<T>`, `Query<T>`, `Form<T>`, `Multipart`, `State<T>`, or a type of yours that is an `Argument`"
)]
pub trait Argument: Sized + Send + 'static {
    /// How many values of the path it takes.
    const PATH_VALUES: usize = 0;

    /// Whether it takes the content of the request, which there is once.
    const TAKES_CONTENT: bool = false;

    /// Takes it from a request.
    ///
    /// # Errors
    /// The request does not have it: what the answer says about that.
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error>;

    /// Says what has to be there before the first request.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// An argument, now or when the content of the request has come.
pub enum Taken<T> {
    /// It is here.
    Now(T),
    /// It has to be waited for; it may fail.
    Later(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
}

impl<T> Taken<T> {
    /// What a future gives.
    pub fn later(value: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self::Later(Box::pin(value))
    }

    async fn wait(self) -> Result<T, Error> {
        match self {
            Self::Now(value) => Ok(value),
            Self::Later(value) => value.await,
        }
    }
}

/// What the arguments of a function need from app and route; checked when the app is built.
#[derive(Debug, Default)]
pub struct Needs {
    pub(crate) path_values: usize,
    pub(crate) contents: usize,
    pub(crate) states: Vec<(TypeId, &'static str)>,
}

impl Needs {
    /// The app has to have a state of this type.
    pub fn state<T: 'static>(&mut self) {
        self.states.push((TypeId::of::<T>(), type_name::<T>()));
    }

    fn of<A: Argument>(&mut self) {
        self.path_values += A::PATH_VALUES;
        self.contents += usize::from(A::TAKES_CONTENT);
        A::needs(self);
    }
}

// The error about a type that is none should speak of arguments, not of text.
#[diagnostic::do_not_recommend]
impl<T: FromStr + Send + 'static> Argument for T {
    const PATH_VALUES: usize = 1;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        match call.values.next().map(str::parse) {
            Some(Ok(value)) => Ok(Taken::Now(value)),
            _ => Err(Error::new(404, "there is nothing at this address")),
        }
    }
}

/// The arguments of a function, all of them: a tuple of up to eight.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a handler",
    note = "a handler takes up to eight arguments, each of them an `Argument`"
)]
pub trait Arguments: Sized + Send + 'static {
    /// Takes them from a request, from left to right.
    ///
    /// # Errors
    /// As for [`Argument::take`].
    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error>;

    /// What they need.
    fn needs() -> Needs;
}

macro_rules! arguments {
    ($($name:ident)*) => {
        #[allow(non_snake_case, unused_variables, unused_mut, reason = "the same for any number")]
        impl<$($name: Argument),*> Arguments for ($($name,)*) {
            fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
                $(let $name = $name::take(call)?;)*
                Ok(match ($($name,)*) {
                    ($(Taken::Now($name),)*) => Taken::Now(($($name,)*)),
                    #[allow(unreachable_patterns, reason = "no arguments, no other case")]
                    ($($name,)*) => Taken::later(async move { Ok(($($name.wait().await?,)*)) }),
                })
            }

            fn needs() -> Needs {
                let mut needs = Needs::default();
                $(needs.of::<$name>();)*
                needs
            }
        }
    };
}

arguments!();
arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);
arguments!(A B C D E F);
arguments!(A B C D E F G);
arguments!(A B C D E F G H);
