//! The folder of the store, when the server may not write or read it.
