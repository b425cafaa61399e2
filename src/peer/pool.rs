//! The links to all nodes.

use super::link::{Endpoint, Link, LinkSettings};
use crate::model::NodeId;
use dashmap::DashMap;
use std::fmt;
use std::sync::Arc;

/// Says where a node listens for other nodes, as far as is known now.
pub type Locate = Arc<dyn Fn(NodeId) -> Option<Endpoint> + Send + Sync>;

/// One shared link per node, and links of their own for what must not wait behind others.
pub struct Pool {
    settings: LinkSettings,
    locate: Locate,
    links: DashMap<NodeId, Arc<Link>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Pool {
    #[must_use]
    pub fn new(settings: LinkSettings, locate: Locate) -> Pool {
        Pool { settings, locate, links: DashMap::new() }
    }

    /// The shared link to `node`. It exists as long as the pool: there are no more than there are node ids.
    #[must_use]
    pub fn link(&self, node: NodeId) -> Arc<Link> {
        if let Some(link) = self.links.get(&node) {
            return Arc::clone(&link);
        }
        Arc::clone(&self.links.entry(node).or_insert_with(|| Arc::new(self.dedicated(node))))
    }

    /// Another link to `node`, for requests that wait there.
    #[must_use]
    pub fn dedicated(&self, node: NodeId) -> Link {
        let locate = Arc::clone(&self.locate);
        Link::new(node, self.settings.clone(), Arc::new(move || locate(node)))
    }

    /// Closes the shared link to a node that is no longer part of the cluster.
    pub fn forget(&self, node: NodeId) {
        self.links.remove(&node);
    }
}
