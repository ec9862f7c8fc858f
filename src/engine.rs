//! The execution client, or its stand-in.
