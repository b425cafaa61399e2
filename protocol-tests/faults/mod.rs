//! Random faults over real nodes: what is done to them (`plan`, `cluster`, `network`), what clients do meanwhile (`load`),
//! what is known of that (`history`), and what has to hold of it (`checks`).

pub(crate) mod ask;
pub(crate) mod checks;
pub(crate) mod cluster;
pub(crate) mod disks;
pub(crate) mod final_reads;
pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod network;
pub(crate) mod observers;
pub(crate) mod pipes;
pub(crate) mod plan;
