//! What the models in this process occupy: one byte-counted cache for everything that is worth keeping loaded.

mod budget;
mod cache;

pub use budget::default_budget;
pub use cache::{CacheUsage, CacheUser, EntryUsage, EvictScope, Evicted, Loaded, ModelCache, Pinned};
