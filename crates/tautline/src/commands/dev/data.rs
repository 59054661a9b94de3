//! What `tautline dev` keeps between runs.
//!
//! Every secret of the simulation is derived from one random seed, so that the directory holds the seed and
//! none of the secrets themselves: as little lies about here as in a real set-up.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hkdf::Hkdf;
use sha2::Sha256;
use tautline_server::core::SystemRng;
use tautline_server::core::access::KEY_PREFIX;
use tautline_server::slack::signing::SigningSecret;

use crate::config::{make_private, write_private};

const SEED: &str = "dev.seed";
const LOCK: &str = "dev.lock";
/// A desk's day: the printed link shall still work after lunch.
pub(super) const DASHBOARD_LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The directory, and the secrets derived from its seed.
pub(super) struct DevData {
    dir: PathBuf,
    seed: [u8; 32],
    // Held for as long as this run lasts.
    _lock: File,
}

impl DevData {
    /// Opens the directory, making it if it is not there. `fresh` empties it first.
    pub(super) fn open(dir: &Path, fresh: bool) -> anyhow::Result<Self> {
        insist_on_ours(dir)?;
        make_private(dir)?;
        let lock = lock(dir)?;
        if fresh {
            forget(dir)?;
        }
        let file = dir.join(SEED);
        if !file.exists() {
            write_private(&file, &SystemRng.array::<32>())?;
            fs::write(dir.join(".gitignore"), "*\n")?;
        }
        let seed = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(seed) = seed.try_into() else {
            bail!("{} is damaged; start over with --fresh", file.display())
        };
        Ok(Self { dir: dir.to_owned(), seed, _lock: lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn derive(&self, what: &str) -> [u8; 32] {
        let mut derived = [0; 32];
        Hkdf::<Sha256>::new(None, &self.seed)
            .expand(what.as_bytes(), &mut derived)
            .expect("32 bytes are within reach");
        derived
    }

    /// 32 hex digits, as Slack's secrets are.
    fn hex(&self, what: &str) -> String {
        self.derive(what)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn encryption_key(&self) -> [u8; 32] {
        self.derive("encryption key")
    }

    pub(super) fn client_id(&self) -> String {
        "111111111111.222222222222".to_owned()
    }

    pub(super) fn client_secret(&self) -> String {
        self.hex("client secret")
    }

    pub(super) fn signing_secret(&self) -> SigningSecret {
        SigningSecret::new(self.hex("signing secret")).expect("not empty")
    }

    pub(super) fn forward_secret_text(&self) -> String {
        self.hex("forward secret")
    }

    pub(super) fn forward_secret(&self) -> SigningSecret {
        SigningSecret::new(self.forward_secret_text()).expect("not empty")
    }

    pub(super) fn api_key(&self) -> String {
        format!("{KEY_PREFIX}{}", BASE64.encode(self.derive("API key")))
    }

    pub(super) fn admin_key(&self) -> String {
        format!("{KEY_PREFIX}{}", BASE64.encode(self.derive("platform key")))
    }
}

/// The directory is ours alone: an earlier run made it, or it is empty. So `--fresh` can never take anything else.
fn insist_on_ours(dir: &Path) -> anyhow::Result<()> {
    let is_empty = match fs::read_dir(dir) {
        Ok(entries) => entries.flatten().all(|entry| entry.file_name() == LOCK),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot look into {}", dir.display())),
    };
    if !is_empty && !dir.join(SEED).exists() {
        bail!(
            "{} is not empty and was not made by tautline dev; name a directory of its own with --data",
            dir.display()
        );
    }
    Ok(())
}

/// One run at a time: a second would work on files that the first holds open.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another tautline dev is using {}; stop it, or give this one a directory with --data",
                dir.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Removes everything but the lock.
fn forget(dir: &Path) -> anyhow::Result<()> {
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            match path.is_dir() {
                _ if path.ends_with(LOCK) => {}
                true => fs::remove_dir_all(path)?,
                false => fs::remove_file(path)?,
            }
        }
        Ok(())
    };
    remove().with_context(|| format!("cannot empty {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_between_runs_until_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("dev");
        let first = DevData::open(&dir, false).unwrap().api_key();
        assert_eq!(DevData::open(&dir, false).unwrap().api_key(), first);
        assert_ne!(DevData::open(&dir, true).unwrap().api_key(), first);
    }

    #[test]
    fn one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("dev");
        let first = DevData::open(&dir, false).unwrap();
        let error = DevData::open(&dir, true).err().unwrap().to_string();
        assert!(error.contains("--data"), "{error}");
        assert!(dir.join(SEED).exists(), "--fresh takes nothing from a run that goes on");
        drop(first);
        assert!(DevData::open(&dir, true).is_ok());
    }

    #[test]
    fn somebody_elses_directory_is_never_used() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        for fresh in [false, true] {
            let error = DevData::open(dir.path(), fresh).err().unwrap().to_string();
            assert!(error.contains("was not made by tautline dev"), "{error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was taken, and nothing left there");
    }
}
