//! Sans-IO HTTP/1.1: bytes in, events out; responses in, bytes out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conditional;
pub mod date;
mod decimal;
pub mod host;
pub mod negotiate;
pub mod range;
pub mod uri;
