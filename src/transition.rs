//! The specification's state transition: pure, synchronous, no clock, no input or output, no log.
