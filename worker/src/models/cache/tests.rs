//! What the cache promises, one test a promise.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::*;

fn node(id: &str) -> CacheUser {
    CacheUser { node_id: Some(id.into()), job_id: None }
}

fn run(node: &str, job: &str) -> CacheUser {
    CacheUser { node_id: Some(node.into()), job_id: Some(job.into()) }
}

fn put(cache: &ModelCache, key: &str, bytes: u64, user: &CacheUser) -> Pinned<String> {
    let load = || Ok::<_, Infallible>(Loaded { value: format!("value of {key}"), name: key.into(), bytes });
    cache.get_or_load(key, user, load).unwrap()
}

fn names(cache: &ModelCache) -> Vec<String> {
    cache.usage().entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn the_least_recently_used_goes_first() {
    let cache = ModelCache::new(100);
    for key in ["a", "b", "c"] {
        put(&cache, key, 30, &node("n"));
    }
    put(&cache, "a", 0, &node("n"));
    put(&cache, "d", 30, &node("n"));
    assert_eq!(names(&cache), ["d", "a", "c"]);
    assert_eq!(cache.usage().used_bytes, 90);
}

#[test]
fn what_is_in_use_stays_until_it_is_free() {
    let cache = ModelCache::new(100);
    let a = put(&cache, "a", 80, &node("n"));
    let b = put(&cache, "b", 80, &node("n"));
    assert_eq!(cache.usage().used_bytes, 160);
    assert_eq!(cache.evict(&EvictScope::default()), Evicted::default());
    assert_eq!((a.as_str(), b.as_str()), ("value of a", "value of b"));
    let again = b.clone();
    drop(b);
    assert_eq!(cache.usage().used_bytes, 160);
    drop(again);
    assert_eq!(names(&cache), ["a"], "over budget: b goes as soon as nobody uses it");
    drop(a);
    assert_eq!((names(&cache), cache.usage().used_bytes), (vec!["a".into()], 80));
}

#[test]
fn more_than_the_budget_is_served_and_then_dropped() {
    let cache = ModelCache::new(10);
    put(&cache, "small", 5, &node("n"));
    let huge = put(&cache, "huge", 1000, &node("n"));
    assert_eq!((huge.as_str(), names(&cache)), ("value of huge", vec!["huge".into()]));
    drop(huge);
    assert_eq!(cache.usage().used_bytes, 0);
}

#[test]
fn the_old_one_goes_after_the_new_one_has_loaded() {
    let cache = ModelCache::new(100);
    put(&cache, "old", 80, &node("n"));
    let load = || {
        assert_eq!(names(&cache), ["old"]);
        Ok::<_, Infallible>(Loaded { value: 1, name: "new".into(), bytes: 80 })
    };
    cache.get_or_load("new", &node("n"), load).unwrap();
    assert_eq!(names(&cache), ["new"]);

    let failed = cache.get_or_load("newer", &node("n"), || Err::<Loaded<i32>, _>("no such file"));
    assert_eq!(failed.unwrap_err(), "no such file");
    assert_eq!(names(&cache), ["new"]);
}

#[test]
fn eviction_keeps_to_its_scope() {
    let cache = ModelCache::new(1000);
    put(&cache, "a", 10, &run("1", "j"));
    put(&cache, "b", 20, &run("2", "j"));
    put(&cache, "both", 40, &run("1", "j"));
    put(&cache, "both", 40, &run("3", "k"));
    put(&cache, "nobody's", 80, &CacheUser::default());

    let nodes = |ids: &[&str]| EvictScope {
        node_ids: Some(ids.iter().map(ToString::to_string).collect()),
        ..EvictScope::default()
    };
    let job = |id: &str| EvictScope { job_id: Some(id.into()), ..EvictScope::default() };
    assert_eq!(cache.evict(&nodes(&["unknown"])), Evicted::default());
    assert_eq!(cache.evict(&nodes(&[])), Evicted::default());
    assert_eq!(cache.evict(&job("unknown")), Evicted::default());
    assert_eq!(cache.evict(&nodes(&["1"])), Evicted { names: vec!["a".into()], freed_bytes: 10 });
    assert_eq!(cache.evict(&job("j")), Evicted { names: vec!["b".into()], freed_bytes: 20 });
    let either = EvictScope { job_id: Some("k".into()), ..nodes(&["1"]) };
    assert_eq!(cache.evict(&either).names, ["both"]);
    assert_eq!(cache.evict(&EvictScope::default()).names, ["nobody's"]);
}

#[test]
fn a_target_stops_the_eviction_coldest_first() {
    let cache = ModelCache::new(1000);
    for key in ["a", "b", "c"] {
        put(&cache, key, 30, &node("n"));
    }
    let evicted = cache.evict(&EvictScope { target_bytes: Some(31), ..EvictScope::default() });
    assert_eq!(evicted, Evicted { names: vec!["a".into(), "b".into()], freed_bytes: 60 });
    assert_eq!(names(&cache), ["c"]);
}

#[test]
fn released_nodes_take_only_what_is_theirs_alone() {
    let cache = ModelCache::new(1000);
    put(&cache, "a", 1, &node("1"));
    put(&cache, "shared", 2, &node("1"));
    put(&cache, "shared", 2, &node("2"));
    let busy = put(&cache, "busy", 4, &node("1"));
    assert_eq!(cache.release_nodes(&["1".into()]).names, ["a"]);
    assert_eq!(cache.release_nodes(&["2".into()]).names, ["shared"], "node 1 has let go of it");
    drop(busy);
    assert_eq!(cache.release_nodes(&["1".into()]).names, ["busy"], "it stayed node 1's while in use");
}

#[test]
fn what_is_forgotten_is_loaded_anew_and_counts_until_it_is_free() {
    let cache = ModelCache::new(1000);
    let old = put(&cache, "model@1", 10, &node("n"));
    cache.forget(|key| key.starts_with("model@"));
    assert!(cache.get::<String>("model@1", &node("n")).is_none());
    assert_eq!(cache.usage().used_bytes, 10);
    let new = put(&cache, "model@1", 20, &node("n"));
    assert_eq!(cache.usage().used_bytes, 30);
    drop(old);
    assert_eq!(cache.usage().used_bytes, 20);
    drop(new);
    assert_eq!(cache.usage().used_bytes, 20);
}

#[test]
fn a_panic_in_a_loader_leaves_the_cache_usable() {
    let cache = ModelCache::new(100);
    let load = || -> Result<Loaded<String>, Infallible> { panic!("bad file") };
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get_or_load("a", &node("n"), load))).is_err());
    assert_eq!(put(&cache, "a", 1, &node("n")).as_str(), "value of a");
}

#[test]
fn a_loader_may_load_something_else() {
    let cache = ModelCache::new(100);
    let outer = cache.get_or_load("outer", &node("n"), || {
        let inner = put(&cache, "inner", 10, &node("n"));
        Ok::<_, Infallible>(Loaded { value: inner.len(), name: "outer".into(), bytes: 10 })
    });
    assert_eq!((*outer.unwrap(), cache.usage().used_bytes), (14, 20));
}

#[test]
fn together_they_load_once() {
    let cache = ModelCache::new(100);
    let (loads, start) = (AtomicUsize::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for i in 0..8 {
            let (cache, loads, start) = (&cache, &loads, &start);
            scope.spawn(move || {
                start.wait();
                let user = node(&i.to_string());
                let pinned = cache.get_or_load("a", &user, || {
                    loads.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    Ok::<_, Infallible>(Loaded { value: 7, name: "a".into(), bytes: 1 })
                });
                assert_eq!(*pinned.unwrap(), 7);
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
    assert_eq!(cache.usage().entries[0].users.len(), 8);
}

#[test]
fn when_one_load_fails_the_next_in_line_tries() {
    let cache = ModelCache::new(100);
    let (loading, is_loading) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let cache = &cache;
        let first = scope.spawn(move || {
            cache.get_or_load("a", &node("1"), || {
                loading.send(()).unwrap();
                may_go.recv().unwrap();
                Err::<Loaded<String>, _>("broken")
            })
        });
        is_loading.recv().unwrap();
        let second = scope.spawn(move || put(cache, "a", 1, &node("2")).len());
        assert!(cache.get::<String>("a", &node("3")).is_none(), "a look does not wait");
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap_err(), "broken");
        assert_eq!(second.join().unwrap(), 10);
    });
}

#[test]
fn counts_stay_right_under_contention() {
    let cache = ModelCache::new(50);
    thread::scope(|scope| {
        for t in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for i in 0..500 {
                    let key = format!("{}", (i * 7 + t) % 11);
                    let pinned = put(cache, &key, 9, &node(&key));
                    assert_eq!(*pinned, format!("value of {key}"));
                    match i % 50 {
                        0 => drop(cache.evict(&EvictScope::default())),
                        1 => cache.forget(|k| k == key),
                        2 => drop(cache.release_nodes(&[key])),
                        _ => {}
                    }
                }
            });
        }
    });
    let usage = cache.usage();
    assert_eq!(usage.used_bytes, usage.entries.iter().map(|entry| entry.bytes).sum::<u64>());
    assert!(usage.used_bytes <= 50, "{usage:?}");
    assert!(usage.entries.iter().all(|entry| !entry.pinned));
}
