//! The real disk: `std` and `rustix`, nothing asynchronous.
//!
//! Writes go to the page cache with `pwritev`; [`File::read_at_nowait`] is `preadv2(RWF_NOWAIT)`,
//! and where the kernel or the file system does not know that flag it answers `WouldBlock`, so that
//! the caller takes its slow path. Left out: O_DIRECT, preallocation, mmap.

use super::{Entry, File, Fs, Lock, Open, Space, Volume};
use rustix::fs::FlockOperation;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// [`Disk`] as what the rest of the program takes.
#[must_use]
pub fn disk() -> Arc<dyn Fs> {
    Arc::new(Disk)
}

/// Most buffers one `pwritev` takes (`IOV_MAX` on Linux).
const IOV_MAX: usize = 1024;

impl Fs for Disk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        match how {
            Open::Read => options.read(true),
            Open::ReadWrite => options.read(true).write(true),
            Open::Create => options.read(true).write(true).create(true),
            Open::Truncate => options.read(true).write(true).create(true).truncate(true),
        };
        let file = options.open(path)?;
        // Opening a directory for reading succeeds on Linux; nobody here means that.
        if how == Open::Read && file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(DiskFile { file, only_waits: AtomicBool::new(false) }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            // A symbolic link may stand for a directory on another disk.
            let is_dir = if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() };
            entries.push(Entry { name, is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>> {
        Ok(Arc::new(DiskVolume { any: fs::File::open(path)? }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            usable: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(DiskLock { _file: file }))
    }
}

/// The kernel frees the lock when the descriptor closes.
#[derive(Debug)]
struct DiskLock {
    _file: fs::File,
}

impl Lock for DiskLock {}

#[derive(Debug)]
struct DiskVolume {
    /// Any file of the volume will do.
    any: fs::File,
}

impl Volume for DiskVolume {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.any)?)
    }
}

#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    /// This file's file system does not know `RWF_NOWAIT`: found out by the first call that says so.
    only_waits: AtomicBool,
}

impl File for DiskFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], pos + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn read_at_nowait(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        if self.only_waits.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        loop {
            match rustix::io::preadv2(&self.file, &mut [IoSliceMut::new(buf)], pos, ReadWriteFlags::NOWAIT) {
                Ok(n) => return Ok(n),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.only_waits.store(true, Ordering::Relaxed);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn write_all_at(&self, mut bufs: &mut [IoSlice<'_>], mut pos: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            let some = &bufs[..bufs.len().min(IOV_MAX)];
            match rustix::io::pwritev(&self.file, some, pos) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    pos += n as u64;
                    IoSlice::advance_slices(&mut bufs, n);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn more_buffers_than_one_call_takes_are_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = Disk.open(&dir.path().join("a"), Open::Create).unwrap();
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let mut bufs: Vec<IoSlice<'_>> = bytes.chunks(2).map(IoSlice::new).collect();
        bufs.insert(0, IoSlice::new(&[]));
        file.write_all_at(&mut bufs, 3).unwrap();
        let mut read = vec![9; 6000];
        assert_eq!(file.read_at(&mut read, 0).unwrap(), 5003);
        assert_eq!(read[..3], [0; 3]);
        assert_eq!(read[3..5003], bytes);
        assert_eq!(file.len().unwrap(), 5003);
    }

    #[test]
    fn a_read_that_must_not_wait_reads_or_says_that_it_would() {
        let dir = tempfile::tempdir().unwrap();
        let file = Disk.open(&dir.path().join("a"), Open::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(b"hot")], 0).unwrap();
        let mut buf = [0; 8];
        match file.read_at_nowait(&mut buf, 0) {
            Ok(n) => assert_eq!(&buf[..n], b"hot"),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
        }
    }

    #[test]
    fn opening_for_reading_needs_a_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Disk.open(&dir.path().join("a"), Open::Read).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(Disk.open(dir.path(), Open::Read).is_err());
    }

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = Disk.lock(&path).unwrap();
        assert_eq!(Disk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        Disk.lock(&path).unwrap();
    }

    #[test]
    fn directories_are_listed_by_name_and_small_files_replaced() {
        let dir = tempfile::tempdir().unwrap();
        Disk.create_dir_all(&dir.path().join("b/c")).unwrap();
        Disk.write_atomic(&dir.path().join("a"), b"1").unwrap();
        Disk.write_atomic(&dir.path().join("a"), b"22").unwrap();
        let listed = Disk.read_dir(dir.path()).unwrap();
        let expected = [("a", false), ("b", true)].map(|(name, is_dir)| Entry { name: name.into(), is_dir });
        assert_eq!(listed, expected);
        assert_eq!(Disk.read(&dir.path().join("a")).unwrap(), b"22");
        Disk.rename(&dir.path().join("b"), &dir.path().join("d")).unwrap();
        Disk.volume(dir.path()).unwrap().sync().unwrap();
        Disk.remove_dir_all(&dir.path().join("d")).unwrap();
        assert!(!Disk.exists(&dir.path().join("b")));
        let space = Disk.space(dir.path()).unwrap();
        assert!(0 < space.usable && space.usable <= space.total);
    }
}
