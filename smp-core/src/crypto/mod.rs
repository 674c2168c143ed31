//! Cryptography.

mod secret_box;

pub use secret_box::DhSecret;
