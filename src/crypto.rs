//! BLS batches, KZG cells, signing domains.
