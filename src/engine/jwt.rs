//! The secret that we share with the execution client, and the tokens made with it.
//! <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/authentication.md>

use std::{
    fmt, fs,
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{TryRngCore as _, rngs::OsRng};
use serde::Deserialize;
use sha2::Sha256;

/// Bytes of the secret.
const BYTES: usize = 32;
/// Bytes of a file that we read: 64 digits, a prefix and white space take far less.
const FILE_BYTES: u64 = 4 << 10;
/// Who may read a file that we made: only its owner.
const MODE: u32 = 0o600;
/// What every token begins with: `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Seconds that both sides' clocks may differ.
pub const CLOCK_TOLERANCE: u64 = 60;

/// The secret, and the file that it is from.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: [u8; BYTES],
    path: PathBuf,
}

impl fmt::Debug for Secret {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret of {}", self.path.display())
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("can't read the execution client's secret in {path}: {source}{}", hint(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file can't be made.
    #[error("can't make the file {path} for the execution client's secret: {source}{}", hint(.source))]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something else in the file.
    #[error(
        "{path} should hold 64 hexadecimal digits, the secret that the execution client has too, but {what}; copy the \
         execution client's file there, or delete it to have a new one made"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// What to do about the usual troubles with files.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; give the user that runs hornero the right to it and to its folder (chown, chmod), or choose another file \
             with --execution-jwt"
        }
        io::ErrorKind::NotFound => "; make the folder first, or choose another file with --execution-jwt",
        io::ErrorKind::StorageFull => "; the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a file where we may write with --execution-jwt",
        _ => "",
    }
}

impl Secret {
    /// Reads the secret: 64 hexadecimal digits, with or without `0x` and white space around.
    ///
    /// # Errors
    /// When the file can't be read or holds something else.
    pub fn load(path: &Path) -> Result<Secret, SecretError> {
        let read_error = |source| SecretError::Read { path: path.into(), source };
        let mut bytes = Vec::new();
        fs::File::open(path).map_err(read_error)?.take(FILE_BYTES).read_to_end(&mut bytes).map_err(read_error)?;
        let key = parse(&bytes).map_err(|what| SecretError::Malformed { path: path.into(), what })?;
        Ok(Secret { key, path: path.into() })
    }

    /// Reads the secret, or makes one where there is no file yet, readable by its owner only. Also tells whether it is new.
    ///
    /// # Errors
    /// Like [`Secret::load`], and when the file can't be made.
    pub fn load_or_make(path: &Path) -> Result<(Secret, bool), SecretError> {
        match Secret::load(path) {
            Err(SecretError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return Ok((found?, false)),
        }
        let make_error = |source| SecretError::Make { path: path.into(), source };
        let mut key = [0; BYTES];
        OsRng.try_fill_bytes(&mut key).map_err(|error| make_error(io::Error::other(error)))?;
        match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
            Ok(mut file) => {
                // Without a prefix and an end of line: every client reads this.
                file.write_all(hex::encode(key).as_bytes()).and_then(|()| file.sync_all()).map_err(make_error)?;
                Ok((Secret { key, path: path.into() }, true))
            }
            // The execution client was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Secret::load(path).map(|secret| (secret, false))
            }
            Err(error) => Err(make_error(error)),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A token, issued at a time in seconds since 1970.
    pub fn token(&self, issued_at: u64) -> String {
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"iat\":{issued_at}}}"));
        let signed = format!("{HEADER}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// What is wrong with a token at the time `now`, as an execution client checks it.
    pub(super) fn check(&self, token: &str, now: u64) -> Result<(), &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("no token")?;
        let (header, claims) = signed.split_once('.').ok_or("no token")?;
        let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| "not base64");
        self.mac(signed).verify_slice(&decode(signature)?).map_err(|_| "wrong signature")?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| "not a header")?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| "no time of issue")?;
        if header.alg != "HS256" {
            return Err("wrong algorithm");
        }
        if claims.iat.abs_diff(now) > CLOCK_TOLERANCE {
            return Err("stale token");
        }
        Ok(())
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length is taken");
        mac.update(signed.as_bytes());
        mac
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: u64,
}

fn parse(bytes: &[u8]) -> Result<[u8; BYTES], String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_string())?.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() {
        return Err("it is empty".into());
    }
    if let Some(wrong) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(format!("there is a {wrong:?} in it"));
    }
    let mut key = [0; BYTES];
    hex::decode_to_slice(digits, &mut key).map_err(|_| format!("it holds {} of them", digits.len()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const DIGITS: &str = "7365637265747365637265747365637265747365637265747365637265747365";

    fn written(text: &str) -> Result<Secret, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.hex");
        fs::write(&path, text).unwrap();
        Secret::load(&path)
    }

    #[test]
    fn a_secret_is_read_in_every_usual_form() {
        for text in [DIGITS.to_string(), format!("0x{DIGITS}"), format!("  0x{DIGITS}\r\n"), DIGITS.to_uppercase()] {
            assert_eq!(written(&text).unwrap().key, *b"secretsecretsecretsecretsecretse", "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_explained() {
        for (text, words) in [
            ("", "empty"),
            (&DIGITS[1..], "63 of them"),
            (&format!("{DIGITS}00"), "66 of them"),
            (&DIGITS.replacen('7', "x", 1), "'x'"),
            ("\u{0}\u{0}", "'\\0'"),
        ] {
            let error = written(text).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("jwt.hex"), "{error}");
        }
    }

    #[test]
    fn a_missing_secret_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.hex");
        let (made, is_new) = Secret::load_or_make(&path).unwrap();
        assert!(is_new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 64);
        assert_eq!(Secret::load_or_make(&path).unwrap(), (made, false));
        let nowhere = Secret::load_or_make(&folder.path().join("missing/jwt.hex")).unwrap_err().to_string();
        assert!(nowhere.contains("make the folder first"), "{nowhere}");
        let denied = SecretError::Make { path, source: io::ErrorKind::PermissionDenied.into() }.to_string();
        assert!(denied.contains("chown"), "{denied}");
        let other = Secret::load_or_make(&folder.path().join("other.hex")).unwrap().0;
        assert_ne!(other.key, Secret::load(&folder.path().join("jwt.hex")).unwrap().key);
    }

    /// The same token as RFC 7515 gives: HMAC over the two encoded parts.
    #[test]
    fn a_token_is_what_the_standard_says() {
        let secret = written(DIGITS).unwrap();
        let token = secret.token(1_700_000_000);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(signed, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9");
        assert_eq!(token, format!("{signed}.M2nY84VaM-AUfRGDPC_vdyUsN1rvFs8UaGBU76h2vK4"));
        assert_eq!(URL_SAFE_NO_PAD.decode(HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
        assert!(!format!("{secret:?}").contains(DIGITS));
    }

    #[test]
    fn a_token_holds_for_a_minute_and_for_one_secret() {
        let secret = written(DIGITS).unwrap();
        let token = secret.token(1_000);
        for now in [1_000, 940, 1_060] {
            assert_eq!(secret.check(&token, now), Ok(()));
        }
        assert_eq!(secret.check(&token, 1_061), Err("stale token"));
        assert_eq!(secret.check(&token, 939), Err("stale token"));
        let other = written(&DIGITS.replacen('7', "8", 1)).unwrap();
        assert_eq!(other.check(&token, 1_000), Err("wrong signature"));
        assert_eq!(secret.check(&format!("{token}="), 1_000), Err("not base64"));
        assert_eq!(secret.check("", 1_000), Err("no token"));
    }
}
