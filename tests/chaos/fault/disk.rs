//! Small disks of a stack's own, which can be full.
//!
//! A disk is an image in a file, mounted where only this process and its children see it ([`with_own_mounts`]): whatever
//! happens to them, no mount is left behind.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use nix::unistd::Uid;

use crate::harness::servers::on_path;

/// Says that mounts are our own.
const OWN: &str = "SWITCHBOARD_TEST_OWN_MOUNTS";

/// Of a disk, in bytes.
const BLOCK: u64 = 4_096;

/// A mounted disk. Drop whatever uses it first.
pub(crate) struct Disk {
    folder: PathBuf,
    image: PathBuf,
}

/// Starts this program again, in place of itself, where its mounts are its own, if it is root and not there yet. To be
/// called before anything else is done.
pub(crate) fn with_own_mounts() {
    let Some(unshare) = on_path("unshare").filter(|_| Uid::effective().is_root()) else {
        return;
    };
    if let Ok(this) = std::env::current_exe()
        && std::env::var_os(OWN).is_none()
    {
        let mut command = Command::new(unshare);
        command.args(["--mount", "--"]).arg(this).args(std::env::args_os().skip(1)).env(OWN, "yes");
        // It comes back only if it fails: then there are no disks.
        let _failed = command.exec();
    }
}

/// Why there are no disks here, if there are none.
pub(super) fn obstacle() -> Option<&'static str> {
    static TRIED: LazyLock<Option<&str>> = LazyLock::new(|| {
        if !Uid::effective().is_root() {
            return Some("only root can mount a small disk");
        }
        if std::env::var_os(OWN).is_none() {
            return Some("mounts are not our own");
        }
        let tried = tempfile::tempdir().map_err(anyhow::Error::from);
        let tried = tried.and_then(|folder| Disk::mount(&folder.path().join("disk"), 8 << 20).map(drop));
        tried.is_err().then_some("a file cannot be mounted as a disk")
    });
    *TRIED
}

impl Disk {
    /// A new disk of so many bytes, mounted at a folder that is made for it; the image is beside it and takes as much as is
    /// written. Nothing where it is not possible.
    pub(crate) fn make(folder: &Path, bytes: u64) -> anyhow::Result<Option<Self>> {
        if obstacle().is_some() {
            return Ok(None);
        }
        Self::mount(folder, bytes).map(Some)
    }

    fn mount(folder: &Path, bytes: u64) -> anyhow::Result<Self> {
        let disk = Self { folder: folder.to_owned(), image: folder.with_extension("image") };
        fs::create_dir_all(folder)?;
        File::create(&disk.image)?.set_len(bytes)?;
        // Nothing is kept for root, and no table of the whole disk is written in advance.
        let options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"];
        run("mkfs.ext4", options.map(OsStr::new).into_iter().chain([disk.image.as_os_str()]))?;
        run(
            "mount",
            [OsStr::new("-o"), OsStr::new("loop,noinit_itable"), disk.image.as_os_str(), folder.as_os_str()],
        )?;
        // Who uses it need not be root.
        fs::remove_dir(folder.join("lost+found"))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills it to the last block, without writing any.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let filler = self.filler();
        let mut step = fs::metadata(&self.image)?.len();
        let mut filled = File::create(&filler)?.metadata()?.len();
        while step >= BLOCK {
            let (at, length) = (filled.to_string(), step.to_string());
            let words = ["-o", &at, "-l", &length].map(OsStr::new);
            if run("fallocate", words.into_iter().chain([filler.as_os_str()])).is_ok() {
                filled += step;
            } else {
                step /= 2;
            }
        }
        Ok(())
    }

    /// Frees what filled it.
    pub(crate) fn free(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.filler()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: who still uses it keeps it until they end. If it fails there is nobody to tell, and it goes with us.
        let _left = run("umount", [OsStr::new("-l"), self.folder.as_os_str()]);
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> anyhow::Result<()> {
    let find = || {
        ["/usr/sbin", "/sbin"]
            .map(|folder| Path::new(folder).join(program))
            .into_iter()
            .find(|it| it.is_file())
    };
    let found = on_path(program).or_else(find).with_context(|| format!("{program} is not installed"))?;
    let output = Command::new(found).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
