//! The specification's fork-choice `Store`: pure, one owner, one message at a time.
