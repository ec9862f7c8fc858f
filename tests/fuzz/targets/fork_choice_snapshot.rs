//! The fork-choice store as it is kept on disk: what is read is written again to what reads the same.
#![no_main]

use std::sync::{Arc, LazyLock};

use hornero::{fork_choice::Store, types::Config};
use hornero_fuzz::within;

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let read = || Store::from_snapshot(data, CONFIG.clone());
    let Ok(store) = within(data.len(), 64, 1 << 20, read) else { return };
    let bytes = store.to_snapshot();
    let again = Store::from_snapshot(&bytes, CONFIG.clone()).expect("its own snapshot");
    assert_eq!(again.to_snapshot(), bytes);
});
