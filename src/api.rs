//! The Beacon API over HTTP, and the text of `/metrics`.
