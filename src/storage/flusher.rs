//! Group commit: one thread for each log directory, which syncs for everybody who waits.
//!
//! While a sync runs, requests queue; the next round takes all of them, syncs each file once (or the
//! whole volume, if that is cheaper) and answers all of them. So the price of a durable append does
//! not grow with the number of partitions, and the disk is synced little and often.
//! A failed sync is never retried, since the kernel may have dropped the pages: everybody who waits
//! and everybody who comes later gets the error, and the directory is to be failed.

use crate::rt::fs::{File, Fs};
use parking_lot::{Condvar, Mutex};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What to make durable, and whom to tell.
pub struct FlushRequest {
    pub files: Vec<Arc<dyn File>>,
    /// Called on the flusher's thread: keep it short, and never wait for the flusher in it.
    pub done: Box<dyn FnOnce(io::Result<()>) + Send>,
}

impl fmt::Debug for FlushRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlushRequest({} files)", self.files.len())
    }
}

/// With more dirty files than this, one `syncfs` instead of an `fdatasync` for each.
pub const SYNC_VOLUME_ABOVE: usize = 16;

/// The thread that syncs one log directory.
#[derive(Debug)]
pub struct Flusher {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<FlushRequest>,
    stop: Stop,
    failed: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stop {
    #[default]
    No,
    /// Serve what waits, then end.
    Drain,
    /// End without touching the disk.
    Now,
}

/// An error that can be given to many.
#[derive(Clone, Debug)]
struct Failure {
    kind: io::ErrorKind,
    message: String,
}

impl Failure {
    fn error(&self) -> io::Error {
        io::Error::new(self.kind, self.message.clone())
    }
}

impl Flusher {
    /// Starts the thread for the log directory `dir`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(fs: Arc<dyn Fs>, dir: PathBuf) -> io::Result<Flusher> {
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        let thread =
            std::thread::Builder::new().name("klamm-flusher".into()).spawn(move || run(&*fs, &dir, &for_thread))?;
        Ok(Flusher { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a request. `done` is called once the files are on disk, or with the error, on the
    /// flusher's thread; after [`Flusher::stop`] it is called here, with an error.
    pub fn submit(&self, request: FlushRequest) {
        let mut queue = self.shared.queue.lock();
        if queue.stop == Stop::No {
            queue.waiting.push(request);
            self.shared.wake.notify_one();
            return;
        }
        drop(queue);
        (request.done)(Err(stopped()));
    }

    /// Syncs and waits: for callers that have nothing else to do.
    ///
    /// # Errors
    /// The sync failed, or an earlier one did.
    pub fn flush(&self, files: Vec<Arc<dyn File>>) -> io::Result<()> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // The receiver waits below: it cannot be gone.
            let _told = tell.send(result);
        });
        self.submit(FlushRequest { files, done });
        told.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Serves what waits and ends the thread.
    pub fn stop(&self) {
        self.end(Stop::Drain);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the flusher's thread panicked");
        }
    }

    fn end(&self, how: Stop) {
        self.shared.queue.lock().stop = how;
        self.shared.wake.notify_one();
    }
}

impl Drop for Flusher {
    /// Ends the thread without IO: who still waits is told that nothing was synced.
    fn drop(&mut self) {
        self.end(Stop::Now);
    }
}

fn stopped() -> io::Error {
    io::Error::other("the flusher has stopped")
}

fn run(fs: &dyn Fs, dir: &Path, shared: &Shared) {
    loop {
        let (requests, stop, failed) = {
            let mut queue = shared.queue.lock();
            while queue.waiting.is_empty() && queue.stop == Stop::No {
                shared.wake.wait(&mut queue);
            }
            (std::mem::take(&mut queue.waiting), queue.stop, queue.failed.clone())
        };
        let result = match (failed, stop) {
            (Some(failure), _) => Err(failure),
            (None, Stop::Now) => Err(Failure { kind: io::ErrorKind::Other, message: stopped().to_string() }),
            (None, _) => sync(fs, dir, &requests),
        };
        if let Err(failure) = &result
            && stop != Stop::Now
        {
            shared.queue.lock().failed.get_or_insert_with(|| failure.clone());
        }
        let ended = requests.is_empty();
        for request in requests {
            (request.done)(result.clone().map_err(|failure| failure.error()));
        }
        if ended {
            return;
        }
    }
}

fn sync(fs: &dyn Fs, dir: &Path, requests: &[FlushRequest]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    let files: Vec<&Arc<dyn File>> = requests
        .iter()
        .flat_map(|request| &request.files)
        .filter(|file| seen.insert(Arc::as_ptr(file).cast::<()>()))
        .collect();
    let result = if files.len() > SYNC_VOLUME_ABOVE {
        fs.sync_volume(dir)
    } else {
        files.iter().try_for_each(|file| file.sync_data())
    };
    result.map_err(|error| {
        tracing::error!(dir = %dir.display(), %error, "a sync failed; it is not retried");
        Failure { kind: error.kind(), message: error.to_string() }
    })
}
