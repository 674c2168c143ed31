//! The crate of this name.
