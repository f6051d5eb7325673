//! Where number8 meets the rest of the ecosystem: the types of the crate `http`, and the services of tower.

mod http;
#[cfg(feature = "tower")]
mod pieces;
#[cfg(feature = "tower")]
mod service;
#[cfg(feature = "tower")]
mod tower;

pub use http::IntoHttpError;
#[cfg(feature = "tower")]
pub use service::AppService;
#[cfg(feature = "tower")]
pub use tower::Tower;
