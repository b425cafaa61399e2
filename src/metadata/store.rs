//! The newest committed image, and the publishers that follow it.

use super::delta::Delta;
use super::image::Image;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Follows the image. Called synchronously and in order, on the thread that commits: what it does
/// is done before the answer to the request that caused the change leaves.
pub trait Publisher: Send + Sync {
    /// Acts on a change. `image` is the newest; [`Store::image`] already returns it.
    fn publish(&self, image: &Arc<Image>, delta: &Delta);
}

/// See the module.
pub struct Store {
    image: ArcSwap<Image>,
    publishers: Mutex<Vec<Arc<dyn Publisher>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("offset", &self.image.load().offset).finish_non_exhaustive()
    }
}

impl Default for Store {
    fn default() -> Store {
        Store::new(Image::default())
    }
}

impl Store {
    #[must_use]
    pub fn new(image: Image) -> Store {
        Store { image: ArcSwap::from_pointee(image), publishers: Mutex::default() }
    }

    /// The newest image, to keep.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// The newest image, to look at: cheaper than [`Store::image`], not to be held across an await.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Image>> {
        self.image.load()
    }

    /// Adds a publisher, after those already there. It is told the whole of the current image at
    /// once, and then every change.
    pub fn subscribe(&self, publisher: Arc<dyn Publisher>) {
        let mut publishers = self.publishers.lock();
        let image = self.image();
        publisher.publish(&image, &Delta::everything(&image));
        publishers.push(publisher);
    }

    /// Makes `image` the newest and tells the publishers. One caller at a time: the thread that
    /// commits.
    pub fn publish(&self, image: Arc<Image>, delta: &Delta) {
        let publishers = self.publishers.lock();
        self.image.store(Arc::clone(&image));
        for publisher in publishers.iter() {
            publisher.publish(&image, delta);
        }
    }
}
