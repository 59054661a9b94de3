//! The world, and its file.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::desk::Desk;
use crate::temper::Temper;
use crate::world::{File, World};

/// What changes.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) rng: fastrand::Rng,
    pub(crate) temper: Temper,
    /// Forgotten when the simulation ends.
    pub(crate) desk: Desk,
    /// Every token that this run handed out, as it is; on disk there are but hashes.
    pub(crate) issued: Vec<String>,
    pub(crate) files: Vec<File>,
    /// Where this Slack is reached.
    pub(crate) base: String,
    file: Option<PathBuf>,
    changes: u64,
}

impl State {
    pub(crate) fn open(file: Option<&Path>, seed: u64) -> io::Result<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let temper = Temper::draw(&mut rng);
        let kept = match file.map(fs::read) {
            Some(Ok(json)) => Some(serde_json::from_slice(&json)?),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => None,
        };
        let world = kept.unwrap_or_else(|| World::fresh(&mut rng));
        Ok(Self {
            world,
            rng,
            temper,
            desk: Desk::default(),
            issued: Vec::new(),
            files: Vec::new(),
            base: String::new(),
            file: file.map(Path::to_owned),
            changes: 0,
        })
    }

    /// Keeps what changed. The old file stays whole until the new one is.
    pub(crate) fn keep(&mut self) {
        self.changes += 1;
        let Some(file) = &self.file else { return };
        if let Err(error) = self.write(file) {
            tracing::warn!(%error, "the simulated Slack could not keep its state");
        }
    }

    /// How often something changed.
    pub(crate) fn changed(&self) -> u64 {
        self.changes
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(&serde_json::to_vec(&self.world)?)?;
        new.persist(file)?;
        Ok(())
    }
}
