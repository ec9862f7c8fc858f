//! The data directory: an index in sled, bulk data in segment files.
