//! Every metric that the node exports, by name.
