//! The cache itself: counted in bytes, least recently used first, pinned while in use. It knows nothing of ONNX or GPUs.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use millwork_protocol::{Map, Value, map};
use parking_lot::{Condvar, Mutex};

#[cfg(test)]
mod tests;

/// An entry remembers at most this many users; a host that never ends its jobs does not make it grow.
const USERS_REMEMBERED: usize = 256;

/// One cache for anything that occupies memory. Cheap to clone: every clone is the same cache.
///
/// An entry is loaded once, also when several threads ask for it together, and shared until it is dropped: when the
/// budget needs its bytes and nothing uses it, on [`evict`](Self::evict), or when its nodes are
/// [released](Self::release_nodes). A [`Pinned`] entry is never dropped. So what is in use may exceed the budget; the
/// excess goes as soon as it is free.
#[derive(Clone)]
pub struct ModelCache {
    shared: Arc<Shared>,
}

/// Who asks: the node and the job of the request, where the host named them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheUser {
    /// The node's id in the host's graph.
    pub node_id: Option<String>,
    /// The run that the node belongs to.
    pub job_id: Option<String>,
}

/// What a loader hands over.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The thing itself.
    pub value: T,
    /// What people call it, as `models.evict` reports it: a file name, a shape.
    pub name: String,
    /// Memory that it occupies, in bytes.
    pub bytes: u64,
}

/// Which entries [`ModelCache::evict`] may drop. With neither nodes nor a job, every entry.
#[derive(Debug, Clone, Default)]
pub struct EvictScope {
    /// Only entries of these nodes.
    pub node_ids: Option<Vec<String>>,
    /// Only entries of this job; together with `node_ids`, entries of either.
    pub job_id: Option<String>,
    /// Stop once this many bytes are free.
    pub target_bytes: Option<u64>,
}

/// What [`ModelCache::evict`] dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Names, coldest first.
    pub names: Vec<String>,
    /// Their bytes.
    pub freed_bytes: u64,
}

/// What the cache holds now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheUsage {
    /// Bytes that it may hold.
    pub budget_bytes: u64,
    /// Bytes that it does hold.
    pub used_bytes: u64,
    /// Entries, most recently used first.
    pub entries: Vec<EntryUsage>,
}

impl CacheUsage {
    /// As `worker.status` reports it.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let entries = self.entries.iter().map(|entry| {
            Value::Map(map! { "name" => entry.name.as_str(), "bytes" => entry.bytes, "pinned" => entry.pinned })
        });
        map! {
            "budget_bytes" => self.budget_bytes,
            "used_bytes" => self.used_bytes,
            "entries" => Value::List(entries.collect()),
        }
    }
}

/// One entry of [`CacheUsage`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EntryUsage {
    /// What people call it.
    pub name: String,
    /// Memory that it occupies.
    pub bytes: u64,
    /// True while something uses it.
    pub pinned: bool,
    /// Who has used it.
    pub users: Vec<CacheUser>,
}

struct Shared {
    budget: u64,
    state: Mutex<State>,
    /// A slot has left `Loading`.
    settled: Condvar,
}

/// Entries of different types never meet, whatever their keys.
type Key = (TypeId, String);

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Forgotten while in use: nobody finds them any more, but their bytes still count.
    retired: Vec<Entry>,
    bytes: u64,
    clock: u64,
}

enum Slot {
    Loading,
    Ready(Entry),
}

struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    name: String,
    bytes: u64,
    /// The clock at the last use.
    used: u64,
    users: Vec<CacheUser>,
}

impl ModelCache {
    /// An empty cache that keeps at most `budget` bytes of what is not in use.
    pub fn new(budget: u64) -> Self {
        let shared = Shared { budget, state: Mutex::default(), settled: Condvar::new() };
        ModelCache { shared: Arc::new(shared) }
    }

    /// The entry of type `T` under `key`, made by `load` if it is not there.
    ///
    /// `load` runs without the lock. Threads that ask for the same key meanwhile wait for it; if it fails or panics,
    /// the next of them loads. Only after it has succeeded are older entries dropped to make room. It may ask this
    /// cache for other keys, but waits for itself if it asks for its own.
    ///
    /// # Errors
    /// Only what `load` returns.
    pub fn get_or_load<T, E>(
        &self,
        key: &str,
        user: &CacheUser,
        load: impl FnOnce() -> Result<Loaded<T>, E>,
    ) -> Result<Pinned<T>, E>
    where
        T: Send + Sync + 'static,
    {
        let key = (TypeId::of::<T>(), key.to_owned());
        {
            let mut state = self.shared.state.lock();
            while let Some(Slot::Loading) = state.slots.get(&key) {
                self.shared.settled.wait(&mut state);
            }
            if let Some(pinned) = self.pin(&mut state, &key, user) {
                return Ok(pinned);
            }
            state.slots.insert(key.clone(), Slot::Loading);
        }
        let claim = Claim { shared: &self.shared, key: Some(key) };
        let loaded = load()?;
        Ok(claim.settle(self, loaded, user))
    }

    /// The entry of type `T` under `key`, if it is loaded.
    pub fn get<T: Send + Sync + 'static>(&self, key: &str, user: &CacheUser) -> Option<Pinned<T>> {
        self.pin(&mut self.shared.state.lock(), &(TypeId::of::<T>(), key.to_owned()), user)
    }

    fn pin<T: Send + Sync + 'static>(&self, state: &mut State, key: &Key, user: &CacheUser) -> Option<Pinned<T>> {
        state.clock += 1;
        let now = state.clock;
        let Some(Slot::Ready(entry)) = state.slots.get_mut(key) else { return None };
        entry.used = now;
        entry.remember(user);
        let value = Arc::clone(&entry.value).downcast().ok()?;
        Some(Pinned::new(value, &self.shared))
    }

    /// Drops entries of the scope that are not in use, coldest first. A scope that matches nothing drops nothing.
    ///
    /// An entry is in scope when everybody who has used it is: what another node still refers to stays.
    pub fn evict(&self, scope: &EvictScope) -> Evicted {
        let target = scope.target_bytes.unwrap_or(u64::MAX);
        let mut evicted = Evicted::default();
        let mut state = self.shared.state.lock();
        let mut dropped = Vec::new();
        while evicted.freed_bytes < target {
            let Some(entry) = state.take_coldest(|entry| scope.covers(entry)) else { break };
            evicted.freed_bytes += entry.bytes;
            evicted.names.push(entry.name.clone());
            dropped.push(entry);
        }
        drop(state);
        evicted
    }

    /// Drops what only these nodes have used: they will not run again. Entries in use stay, and stay theirs.
    pub fn release_nodes(&self, node_ids: &[String]) -> Evicted {
        // An empty list is a scope too: it matches nothing.
        let scope = EvictScope { node_ids: Some(node_ids.to_vec()), ..EvictScope::default() };
        let evicted = self.evict(&scope);
        let mut state = self.shared.state.lock();
        for slot in state.slots.values_mut() {
            if let Slot::Ready(entry) = slot
                && !scope.covers(entry)
            {
                entry.users.retain(|user| !scope.names(user));
            }
        }
        evicted
    }

    /// Takes out the entries whose key the test accepts: nobody finds them any more, and their memory goes when the
    /// last user is done. For what has become outdated.
    pub fn forget(&self, mut outdated: impl FnMut(&str) -> bool) {
        let mut state = self.shared.state.lock();
        let gone = state.slots.extract_if(|(_, key), slot| matches!(slot, Slot::Ready(_)) && outdated(key));
        let gone: Vec<Slot> = gone.map(|(_, slot)| slot).collect();
        state.retired.extend(gone.into_iter().filter_map(Slot::ready));
        let dropped = state.shrink_to(self.shared.budget);
        drop(state);
        drop(dropped);
    }

    /// What the cache holds now.
    pub fn usage(&self) -> CacheUsage {
        let state = self.shared.state.lock();
        let ready = state.slots.values().filter_map(|slot| match slot {
            Slot::Ready(entry) => Some(entry),
            Slot::Loading => None,
        });
        let mut entries: Vec<&Entry> = ready.chain(&state.retired).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        CacheUsage {
            budget_bytes: self.shared.budget,
            used_bytes: state.bytes,
            entries: entries.into_iter().map(Entry::usage).collect(),
        }
    }
}

impl fmt::Debug for ModelCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelCache").field(&self.usage()).finish()
    }
}

impl State {
    /// Removes the free entry that was used longest ago among those that the test accepts.
    fn take_coldest(&mut self, eligible: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let free = self.slots.iter().filter_map(|(key, slot)| match slot {
            Slot::Ready(entry) if !entry.in_use() && eligible(entry) => Some((entry.used, key)),
            _ => None,
        });
        let key = free.min_by_key(|(used, _)| *used)?.1.clone();
        let entry = self.slots.remove(&key)?.ready()?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Removes retired entries that are free, then free entries until the rest fits. The caller drops them unlocked:
    /// dropping a model takes time.
    fn shrink_to(&mut self, budget: u64) -> Vec<Entry> {
        let mut dropped: Vec<Entry> = self.retired.extract_if(.., |entry| !entry.in_use()).collect();
        self.bytes -= dropped.iter().map(|entry| entry.bytes).sum::<u64>();
        while self.bytes > budget {
            let Some(entry) = self.take_coldest(|_| true) else { break };
            dropped.push(entry);
        }
        dropped
    }
}

impl Slot {
    fn ready(self) -> Option<Entry> {
        match self {
            Slot::Ready(entry) => Some(entry),
            Slot::Loading => None,
        }
    }
}

impl Entry {
    /// The cache holds one reference; every [`Pinned`] another. New ones are made under the lock only.
    fn in_use(&self) -> bool {
        Arc::strong_count(&self.value) > 1
    }

    fn remember(&mut self, user: &CacheUser) {
        if *user == CacheUser::default() {
            return;
        }
        self.users.retain(|known| known != user);
        if self.users.len() == USERS_REMEMBERED {
            self.users.remove(0);
        }
        self.users.push(user.clone());
    }

    fn usage(&self) -> EntryUsage {
        let (name, users) = (self.name.clone(), self.users.clone());
        EntryUsage { name, bytes: self.bytes, pinned: self.in_use(), users }
    }
}

impl EvictScope {
    fn covers(&self, entry: &Entry) -> bool {
        if self.node_ids.is_none() && self.job_id.is_none() {
            return true;
        }
        !entry.users.is_empty() && entry.users.iter().all(|user| self.names(user))
    }

    fn names(&self, user: &CacheUser) -> bool {
        let node = user.node_id.as_ref().zip(self.node_ids.as_ref()).is_some_and(|(id, ids)| ids.contains(id));
        node || user.job_id.is_some() && user.job_id == self.job_id
    }
}

/// The right to fill a `Loading` slot. Dropped without filling it (an error, a panic), it frees the slot again.
struct Claim<'a> {
    shared: &'a Arc<Shared>,
    key: Option<Key>,
}

impl Claim<'_> {
    fn settle<T: Send + Sync + 'static>(
        mut self,
        cache: &ModelCache,
        loaded: Loaded<T>,
        user: &CacheUser,
    ) -> Pinned<T> {
        let value = Arc::new(loaded.value);
        let pinned = Pinned::new(Arc::clone(&value), self.shared);
        let mut state = self.shared.state.lock();
        state.clock += 1;
        state.bytes += loaded.bytes;
        let mut entry = Entry { value, name: loaded.name, bytes: loaded.bytes, used: state.clock, users: Vec::new() };
        entry.remember(user);
        if let Some(key) = self.key.take() {
            state.slots.insert(key, Slot::Ready(entry));
        }
        let dropped = state.shrink_to(cache.shared.budget);
        drop(state);
        self.shared.settled.notify_all();
        drop(dropped);
        pinned
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.state.lock().slots.remove(&key);
            self.shared.settled.notify_all();
        }
    }
}

/// An entry in use: it reads as a `T`, and stays loaded as long as this lives.
pub struct Pinned<T: Send + Sync + 'static> {
    // In this order: the reference is gone before the cache looks for what is free.
    value: Arc<T>,
    _release: Release,
}

impl<T: Send + Sync + 'static> Pinned<T> {
    fn new(value: Arc<T>, shared: &Arc<Shared>) -> Self {
        Pinned { value, _release: Release(Arc::clone(shared)) }
    }
}

impl<T: Send + Sync + 'static> Clone for Pinned<T> {
    fn clone(&self) -> Self {
        Pinned::new(Arc::clone(&self.value), &self._release.0)
    }
}

impl<T: Send + Sync + 'static> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Lets what had to wait for the end of a use go.
struct Release(Arc<Shared>);

impl Drop for Release {
    fn drop(&mut self) {
        let dropped = self.0.state.lock().shrink_to(self.0.budget);
        drop(dropped);
    }
}
