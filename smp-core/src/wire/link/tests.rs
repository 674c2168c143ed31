//! Forms of links.
