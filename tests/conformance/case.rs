//! One case: its files, and which of them were opened.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use hornero::types::{BeaconState, ForkName, SignedBeaconBlock};
use serde::de::DeserializeOwned;
use ssz::Decode;

/// A folder `<preset>/<fork>/<runner>/<handler>/<suite>/<name>` of the vectors.
#[derive(Debug)]
pub struct Case {
    folder: PathBuf,
    pub preset: String,
    pub fork: String,
    pub runner: String,
    pub handler: String,
    pub suite: String,
    pub name: String,
    opened: Mutex<BTreeSet<String>>,
}

/// `manifest.yaml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    preset: String,
    fork: String,
    runner: String,
    handler: String,
    suite: String,
    case: String,
}

/// The part of `meta.yaml` that most runners share.
#[derive(serde::Deserialize, Default)]
struct BlsSetting {
    #[serde(default)]
    bls_setting: u8,
}

impl Case {
    /// The case at `path` (the six names), below `root`.
    pub fn new(root: &Path, path: [&str; 6]) -> Case {
        let [preset, fork, runner, handler, suite, name] = path.map(str::to_owned);
        let folder = path.iter().fold(root.to_owned(), |folder, name| folder.join(name));
        Case { folder, preset, fork, runner, handler, suite, name, opened: Mutex::default() }
    }

    /// The case's path, for messages.
    pub fn path(&self) -> String {
        [&self.preset, &self.fork, &self.runner, &self.handler, &self.suite, &self.name].map(String::as_str).join("/")
    }

    /// The fork of the case's path.
    pub fn fork(&self) -> Result<ForkName, String> {
        ForkName::from_name(&self.fork).ok_or(format!("fork {} is unknown", self.fork))
    }

    /// The state in `<name>.ssz_snappy`, in the case's fork.
    pub fn state(&self, name: &str) -> Result<BeaconState, String> {
        self.state_of(self.fork()?, name)
    }

    /// The state in `<name>.ssz_snappy`, in another fork.
    pub fn state_of(&self, fork: ForkName, name: &str) -> Result<BeaconState, String> {
        BeaconState::from_ssz_bytes(fork, &self.ssz_bytes(name)?).map_err(|error| format!("{name}: {error}"))
    }

    /// Whether the case has a file; does not count as opening it.
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// The bytes of a file, which counts as opened from now on. All reading goes through here.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, String> {
        let bytes = fs::read(self.folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
        self.opened.lock().unwrap().insert(file.to_owned());
        Ok(bytes)
    }

    /// The content of `<name>.ssz_snappy`: raw-block snappy, not framed.
    pub fn ssz_bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let compressed = self.read(&format!("{name}.ssz_snappy"))?;
        snap::raw::Decoder::new().decompress_vec(&compressed).map_err(|error| format!("{name}: {error}"))
    }

    /// `<name>.ssz_snappy`, decoded.
    pub fn ssz<T: Decode>(&self, name: &str) -> Result<T, String> {
        T::from_ssz_bytes(&self.ssz_bytes(name)?).map_err(|error| format!("{name}: {error:?}"))
    }

    /// The block in `<name>.ssz_snappy`, in the case's fork.
    pub fn block(&self, name: &str) -> Result<SignedBeaconBlock, String> {
        self.block_of(self.fork()?, name)
    }

    /// The block in `<name>.ssz_snappy`, in another fork.
    pub fn block_of(&self, fork: ForkName, name: &str) -> Result<SignedBeaconBlock, String> {
        let bytes = self.ssz_bytes(name)?;
        SignedBeaconBlock::from_ssz_bytes(fork, &bytes).map_err(|error| format!("{name}: {error:?}"))
    }

    /// `<name>.yaml`, parsed.
    pub fn yaml<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let bytes = self.read(&format!("{name}.yaml"))?;
        serde_yaml_ng::from_slice(&bytes).map_err(|error| format!("{name}.yaml: {error}"))
    }

    /// Whether signatures are to be checked: `bls_setting` 2 says no; 1, 0 or nothing says yes.
    pub fn bls_is_on(&self) -> Result<bool, String> {
        let meta = if self.has("meta.yaml") { self.yaml::<BlsSetting>("meta")? } else { BlsSetting::default() };
        match meta.bls_setting {
            0 | 1 => Ok(true),
            2 => Ok(false),
            other => Err(format!("bls_setting {other} is unknown")),
        }
    }

    /// Opens `manifest.yaml` and checks that it says what the path says.
    pub fn check_manifest(&self) -> Result<(), String> {
        let manifest: Manifest = self.yaml("manifest")?;
        let Manifest { preset, fork, runner, handler, suite, case } = &manifest;
        let said = [preset, fork, runner, handler, suite, case].map(String::as_str).join("/");
        if said == self.path() { Ok(()) } else { Err(format!("the manifest says {said}")) }
    }

    /// The files (folders, too) of the case that were not opened so far.
    pub fn never_opened(&self) -> Result<Vec<String>, String> {
        let opened = self.opened.lock().unwrap();
        let entries = fs::read_dir(&self.folder).map_err(|error| error.to_string())?;
        let mut left: Vec<_> =
            entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
        left.retain(|file| !opened.contains(file));
        Ok(left)
    }
}
