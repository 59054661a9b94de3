//! The encryption keys: those of the environment, or one made for this data directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use tautline_server::core::Rng;
use tautline_store::Keyring;

const FILE: &str = "encryption.key";
const LOCAL: &str = "local";

/// The keys in force. Without configured ones, one is made in the data directory: enough for bodies and
/// sessions, which need not be read elsewhere. A key made there earlier goes on opening what it sealed.
pub(crate) fn keyring(
    configured: Option<&SecretString>,
    data_dir: &Path,
    rng: Arc<dyn Rng>,
) -> anyhow::Result<Keyring> {
    let file = data_dir.join(FILE);
    let made = match fs::read_to_string(&file) {
        Ok(text) => Some(SecretString::from(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let keys = match (configured, made) {
        (Some(keys), None) => keys.expose_secret().to_owned(),
        // Whoever configured the made key itself has it already.
        (Some(keys), Some(_)) if names_local(keys.expose_secret()) => keys.expose_secret().to_owned(),
        (Some(keys), Some(made)) => format!("{},{}", keys.expose_secret(), made.expose_secret()),
        (None, Some(made)) => made.expose_secret().to_owned(),
        (None, None) => {
            let key = format!("{LOCAL}:{}", BASE64.encode(rng.bytes::<32>()));
            write_private(&file, key.as_bytes())?;
            tracing::info!(
                file = %file.display(),
                "made an encryption key, as TAUTLINE_ENCRYPTION_KEYS is not set; keep it with your backups",
            );
            key
        }
    };
    let source =
        if configured.is_some() { "TAUTLINE_ENCRYPTION_KEYS".to_owned() } else { file.display().to_string() };
    Keyring::parse(&keys, rng).with_context(|| format!("{source} cannot be used"))
}

#[cfg(feature = "cli")]
/// Whether a key was made in this directory.
pub(crate) fn has_made_key(data_dir: &Path) -> bool {
    data_dir.join(FILE).exists()
}

fn names_local(keys: &str) -> bool {
    keys.split(',').any(|key| key.trim().split(':').next() == Some(LOCAL))
}

/// Makes a directory that only its owner can enter, if it is not there.
pub(crate) fn make_private(dir: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the data directory {}", dir.display()))
}

/// Writes a new file that only its owner can read. It is there whole, or not at all.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let unfinished = file.with_added_extension("new");
        let mut new =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        new.write_all(content)?;
        new.sync_all()?;
        fs::rename(&unfinished, file)?;
        // The name, too, must survive the power.
        File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tautline_server::core::{Place, SystemRng, Vault as _};

    use super::*;

    const PLACE: Place<'static> = Place { tenant: None, table: "t", row: b"1", field: "f" };

    #[test]
    fn a_key_is_made_once_and_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = keyring(None, dir.path(), Arc::new(SystemRng)).unwrap().seal(PLACE, b"x");
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(keyring(None, dir.path(), Arc::new(SystemRng)).unwrap().open(PLACE, &sealed).is_ok());
    }

    #[test]
    fn what_the_made_key_sealed_opens_after_one_is_configured() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = keyring(None, dir.path(), Arc::new(SystemRng)).unwrap().seal(PLACE, b"x");
        let configured = SecretString::from("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let keys = keyring(Some(&configured), dir.path(), Arc::new(SystemRng)).unwrap();
        assert!(keys.open(PLACE, &sealed).is_ok());
        assert_eq!(format!("{keys:?}"), r#"["k", "local"]"#, "the configured one seals");
    }

    #[test]
    fn the_made_key_may_be_configured_itself() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = keyring(None, dir.path(), Arc::new(SystemRng)).unwrap().seal(PLACE, b"x");
        let made = SecretString::from(fs::read_to_string(dir.path().join(FILE)).unwrap());
        assert!(keyring(Some(&made), dir.path(), Arc::new(SystemRng)).unwrap().open(PLACE, &sealed).is_ok());
    }

    #[test]
    fn a_bad_key_names_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        let short = SecretString::from("k:c2hvcnQ=");
        let error = keyring(Some(&short), dir.path(), Arc::new(SystemRng)).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("TAUTLINE_ENCRYPTION_KEYS") && said.contains("5 bytes"), "{said}");
    }
}
