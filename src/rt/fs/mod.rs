//! Files: the one door to the disk.
//!
//! [`Fs`] and [`File`] are what `storage/`, `quorum/` and `config/` use; [`disk`] is the real one.
//! Tests hand in a fake with a durable and a volatile image, so that a crash loses exactly what
//! was not synced. All calls are synchronous and positional; nothing here does IO in `Drop`.

pub mod disk;
pub mod sim;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

/// How [`Fs::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Must exist; not written.
    Read,
    /// Must exist; read and written.
    ReadWrite,
    /// Created if missing; read and written; never truncated.
    Create,
    /// Created, or emptied if it exists; read and written.
    Truncate,
}

/// What [`Fs::read_dir`] lists, without the order of the disk: sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
}

/// Bytes of a volume: in all, and free for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    pub usable: u64,
}

/// Whether an error says that something ran out that may come back (room on the disk, a quota, descriptors), and
/// not that the disk is broken.
#[must_use]
pub fn will_pass(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) || too_many_files(error)
}

/// Whether this process or the system has no file descriptor left.
#[must_use]
pub fn too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Held while this process owns a data directory; freed when dropped.
pub trait Lock: Send + Sync + fmt::Debug {}

/// A file system.
pub trait Fs: Send + Sync + fmt::Debug {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, sorted. Missing directory: `NotFound`.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Length of a file in bytes. Missing: `NotFound`.
    fn file_len(&self, path: &Path) -> io::Result<u64>;
    fn exists(&self, path: &Path) -> bool;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes created, renamed and removed names of this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The volume that holds `path`, to be synced as a whole.
    fn volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>>;
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Takes the exclusive lock of `path` (created if missing); `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;

    /// The whole of a small file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Replaces a small file so that a crash leaves the old or the new content, never a mixture.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut staged = path.as_os_str().to_owned();
        staged.push(".tmp");
        let staged = Path::new(&staged);
        let file = self.open(staged, Open::Truncate)?;
        file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        self.rename(staged, path)?;
        match path.parent() {
            Some(dir) => self.sync_dir(dir),
            None => Ok(()),
        }
    }
}

/// A volume: syncing it is one flush for many files.
///
/// Open it before the writes that it is to make durable. The kernel reports what went wrong since
/// the handle was opened; a failure of the background write-back before that is lost.
pub trait Volume: Send + Sync + fmt::Debug {
    /// Makes every file and every name of the volume durable (`syncfs`). Not to be retried after a failure.
    fn sync(&self) -> io::Result<()>;
}

/// An open file. Shared: reads and writes are positional and may run at once.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize>;
    /// As [`File::read_at`], but `WouldBlock` instead of waiting for the disk. May read fewer bytes.
    fn read_at_nowait(&self, buf: &mut [u8], pos: u64) -> io::Result<usize>;
    /// Writes all of `bufs`, one after the other, from `pos`.
    fn write_all_at(&self, bufs: &mut [IoSlice<'_>], pos: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable. The caller must not retry after a failure.
    fn sync_data(&self) -> io::Result<()>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf`, or `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        if self.read_at(buf, pos)? == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
