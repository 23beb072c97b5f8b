//! Models fetched from a hub into the cache, and what is left where that goes wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code: what goes wrong here ends the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millwork_local::{Hub as Cache, Local, Pull, Roots, Settings, Store, StoreError, Watch, models_in, verify};
use millwork_worker::protocol::message::{ModelDownload, ModelPrepare, Token, TransferProgress, TransferStatus};
use millwork_worker::testing::ProviderTest;
use millwork_worker::{ErrorKind, ModelStore as _};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::hub::{COMMIT, Fault, Hub, weights};

const CONFIG: (&str, &str) = ("{\"model_type\": \"none\"}", "f939c45b9f5bbdbd99d9d891d740241cdbb01ebd");

/// A hub, and a cache of its own.
struct World {
    hub: Hub,
    folder: TempDir,
}

/// Whoever waits: notes what is told, and gives up when there is enough.
#[derive(Default)]
struct Waiting {
    told: Mutex<Vec<TransferProgress>>,
    enough: Option<u64>,
}

impl Watch for Waiting {
    fn tell(&self, progress: TransferProgress) {
        self.told.lock().push(progress);
    }

    fn is_cancelled(&self) -> bool {
        let arrived = self.told.lock().last().map_or(0, |progress| progress.downloaded_bytes);
        self.enough.is_some_and(|enough| arrived >= enough)
    }
}

impl Waiting {
    fn statuses(&self) -> Vec<TransferStatus> {
        self.told.lock().iter().map(|progress| progress.status.clone()).collect()
    }

    fn last(&self) -> TransferProgress {
        self.told.lock().last().unwrap().clone()
    }
}

impl World {
    /// Two small files and a large one.
    fn new() -> Self {
        let hub = Hub::start()
            .small("config.json", CONFIG.0, CONFIG.1)
            .small("a b/empty.txt", "", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
            .large("onnx/model.onnx", weights(300_000, 1));
        Self { hub, folder: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> Store {
        self.store_with(self.hub.settings())
    }

    fn store_with(&self, settings: Settings) -> Store {
        Store::new(&self.roots(), settings).unwrap()
    }

    fn roots(&self) -> Roots {
        Roots::only(&[]).with_hub(Cache::new(self.folder.path().join("hub")))
    }

    /// With a hub of these files, names and contents.
    fn of(files: &[(&str, &[u8])]) -> Self {
        let hub = files.iter().fold(Hub::start(), |hub, (path, bytes)| hub.large(path, bytes.to_vec()));
        Self { hub, folder: tempfile::tempdir().unwrap() }
    }

    /// A sentence encoder with this file of the worker's tests, and beside it one that does not run here.
    fn encoder(network: &str) -> Self {
        Self::of(&[
            ("config.json", b"{\"architectures\": [\"BertModel\"]}"),
            (
                "tokenizer.json",
                br#"{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}"#,
            ),
            ("onnx/model.onnx", &graph(network)),
            ("onnx/model_bnb4.onnx", &graph("unsupported.onnx")),
        ])
    }

    fn prepare(&self, store: &Store, model_type: &str) -> millwork_worker::Result<()> {
        let cx = ProviderTest::new(Local::new(self.roots())).context();
        let request = ModelPrepare {
            backend: "millwork".into(),
            model_type: model_type.into(),
            repo_id: Some("org/tiny".into()),
            ..ModelPrepare::default()
        };
        store.prepare(&request, &cx)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("hub/models--org--tiny")
    }

    fn pull(&self) -> Result<PathBuf, StoreError> {
        self.store().pull(&tiny(), None, &Waiting::default())
    }

    /// The names in `blobs`.
    fn blobs(&self) -> Vec<String> {
        names(&self.repository().join("blobs"))
    }

    fn incomplete(&self) -> PathBuf {
        self.repository().join("blobs").join(format!("{}.incomplete", self.hub.etag("onnx/model.onnx")))
    }

    /// Whether there is any sign of a model.
    fn shows(&self) -> bool {
        !names(&self.repository().join("snapshots")).is_empty() || !names(&self.repository().join("refs")).is_empty()
    }
}

fn tiny() -> Pull {
    Pull { repo_id: "org/tiny".into(), ..Pull::default() }
}

/// A file of the worker's tests.
fn graph(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/onnx").join(name)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_repository_arrives_as_the_hubs_own_tools_write_it() {
    let world = World::new();
    let waiting = Waiting::default();
    let settings = Settings { token: Some("hf_canary".into()), ..world.hub.settings() };
    let snapshot = world.store_with(settings.clone()).pull(&tiny(), None, &waiting).unwrap();
    assert_eq!(snapshot, world.repository().join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(world.repository().join("refs/main")).unwrap(), COMMIT);
    let link = fs::read_link(snapshot.join("onnx/model.onnx")).unwrap();
    assert_eq!(link, Path::new("../../../blobs").join(world.hub.etag("onnx/model.onnx")));
    assert_eq!(fs::read_link(snapshot.join("config.json")).unwrap(), Path::new("../../blobs").join(CONFIG.1));
    assert_eq!(fs::read(snapshot.join("onnx/model.onnx")).unwrap(), weights(300_000, 1));
    assert_eq!(fs::read(snapshot.join("a b/empty.txt")).unwrap(), b"");
    assert_eq!(world.blobs().len(), 3);
    // The token is for the hub, and for nobody else.
    let seen = world.hub.seen();
    assert!(seen.iter().any(|request| request.at_cdn));
    for request in &seen {
        let wanted = (!request.at_cdn).then(|| "Bearer hf_canary".to_owned());
        assert_eq!(request.authorization, wanted, "{request:?}");
    }
    let statuses = waiting.statuses();
    assert_eq!((&statuses[0], statuses.last().unwrap()), (&TransferStatus::Start, &TransferStatus::Completed));
    let TransferProgress { downloaded_bytes, total_bytes, downloaded_files, total_files, .. } = waiting.last();
    assert_eq!((downloaded_bytes, downloaded_files), (300_022, 3));
    assert_eq!((total_bytes, total_files), (300_022, 3));
    // The second time there is nothing to fetch, nor to ask about files.
    world.hub.forget();
    let waiting = Waiting::default();
    world.store_with(settings).pull(&tiny(), None, &waiting).unwrap();
    assert_eq!((waiting.statuses(), world.hub.seen().len()), (vec![TransferStatus::Start, TransferStatus::Exists], 1));
    assert_eq!(waiting.last().downloaded_bytes, 300_022);
    let checked = verify(&snapshot, |_| {});
    assert_eq!((checked.files, checked.digests, checked.models), (3, 3, 0));
    assert!(checked.findings.iter().any(|it| it.problem.contains("not a readable ONNX model")), "{checked:?}");
}

#[test]
fn a_mirror_that_lists_names_alone_does_as_well() {
    let world = World::new();
    world.hub.hide_blobs();
    world.pull().unwrap();
    assert_eq!(world.blobs().len(), 3);
}

#[test]
fn patterns_and_a_path_say_which_files() {
    let world = World::new();
    let allow = Some(vec!["*.json".into(), "onnx/*".into()]);
    let pull = Pull { allow, ignore: vec!["*.onnx".into()], ..tiny() };
    let snapshot = world.store().pull(&pull, None, &Waiting::default()).unwrap();
    assert_eq!(names(&snapshot), ["config.json"]);
    let one = Pull { path: Some("onnx/model.onnx".into()), ..tiny() };
    world.store().pull(&one, None, &Waiting::default()).unwrap();
    assert_eq!(names(&snapshot), ["config.json", "onnx"]);
    let error = |pull: Pull| world.store().pull(&pull, None, &Waiting::default()).unwrap_err().to_string();
    assert!(error(Pull { path: Some("no.txt".into()), ..tiny() }).contains("\"no.txt\""));
    assert!(error(Pull { allow: Some(vec!["*.bin".into()]), ..tiny() }).contains("none of the 3 files"));
    assert!(error(Pull { path: Some("../x".into()), ..tiny() }).contains("no path of a file"));
    assert!(error(Pull { repo_id: "../x".into(), ..tiny() }).contains("no name of a repository"));
    assert!(error(Pull { repo_id: "org/other".into(), ..tiny() }).contains("no such repository"));
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Cut(100_000));
    world.hub.fault("onnx/model.onnx", Fault::Stall(50_000));
    world.hub.fault("onnx/model.onnx", Fault::Status(503, ""));
    world.pull().unwrap();
    let ranges: Vec<_> = world.hub.fetched().into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(ranges, ["", "bytes=100000-", "bytes=150000-", "bytes=150000-"]);
}

#[test]
fn what_an_earlier_program_left_is_gone_on_from() {
    let world = World::new();
    // Killed in the middle: only the beginning of a blob, and a lock that nobody holds.
    let settings = Settings {
        patience: millwork_local::Patience { attempts: 1, ..world.hub.settings().patience },
        ..world.hub.settings()
    };
    world.hub.fault("onnx/model.onnx", Fault::Cut(100_000));
    let error = world.store_with(settings).pull(&tiny(), None, &Waiting::default()).unwrap_err();
    assert!(
        matches!(error, StoreError::Unreachable { .. }) && error.to_string().contains("100000 of 300000 bytes"),
        "{error}"
    );
    assert_eq!(fs::metadata(world.incomplete()).unwrap().len(), 100_000);
    assert!(!world.shows());
    world.hub.forget();
    world.pull().unwrap();
    assert_eq!(world.hub.fetched(), [Some("bytes=100000-".to_owned())]);
    assert_eq!(world.blobs().len(), 3);
}

#[test]
fn a_beginning_that_is_no_beginning_is_thrown_away() {
    for (garbage, faults) in [
        (50_000, vec![]),
        (400_000, vec![]),
        (300_000, vec![]),
        (1000, vec![Fault::NoRange]),
        (1000, vec![Fault::Status(416, "")]),
    ] {
        let world = World::new();
        fs::create_dir_all(world.repository().join("blobs")).unwrap();
        fs::write(world.incomplete(), vec![7; garbage]).unwrap();
        faults.into_iter().for_each(|fault| world.hub.fault("onnx/model.onnx", fault));
        let snapshot = world.pull().unwrap();
        assert_eq!(fs::read(snapshot.join("onnx/model.onnx")).unwrap(), weights(300_000, 1));
    }
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    for (fault, text) in [
        (Fault::Corrupt, "not what its digest says"),
        (Fault::Longer, "more than the 300000 bytes"),
        (Fault::Circle, "in a circle"),
    ] {
        let world = World::new();
        (0..9).for_each(|_| world.hub.fault("onnx/model.onnx", fault.clone()));
        let waiting = Waiting::default();
        let error = world.store().pull(&tiny(), None, &waiting).unwrap_err();
        assert!(matches!(error, StoreError::Wrong(_)) && error.to_string().contains(text), "{error}");
        assert_eq!(waiting.last().status, TransferStatus::Error);
        assert_eq!(waiting.last().error.as_deref(), Some(&*error.to_string()));
        assert!(!world.shows());
        assert!(!world.repository().join("blobs").join(world.hub.etag("onnx/model.onnx")).exists());
    }
    // A file that ends too early may be a connection's fault, until patience ends.
    let world = World::new();
    (0..9).for_each(|_| world.hub.fault("onnx/model.onnx", Fault::Shorter));
    let error = world.pull().unwrap_err();
    assert!(error.to_string().contains("ends after"), "{error}");
}

#[test]
fn a_server_that_is_busy_is_given_the_time_it_asks_for() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Status(429, "Retry-After: 1\r\n"));
    let started = Instant::now();
    world.pull().unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Status(429, "Retry-After: 100000\r\n"));
    let error = world.pull().unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreachable { after: Some(after), .. } if after.as_secs() == 100_000),
        "{error:?}"
    );
    assert!(error.to_string().contains("HTTP 429"), "{error}");
    let world = World::new();
    world.hub.refuse(503, "");
    let error: millwork_worker::Error = world.pull().unwrap_err().into();
    assert!(error.is_retryable() && error.message().starts_with("org/tiny: "), "{error}");
    assert_eq!(world.hub.seen().len(), 4);
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let world = World::new();
    let settings = Settings { endpoint: "http://127.0.0.1:9".into(), ..world.hub.settings() };
    let error = world.store_with(settings).pull(&tiny(), None, &Waiting::default()).unwrap_err();
    assert!(error.to_string().starts_with("org/tiny: the connection to 127.0.0.1 broke"), "{error}");
    let settings = Settings { endpoint: "hub.example".into(), ..world.hub.settings() };
    let error = world.store_with(settings).pull(&tiny(), None, &Waiting::default()).unwrap_err();
    assert!(error.to_string().contains("$HF_ENDPOINT"), "{error}");
}

#[test]
fn refusals_say_what_would_help() {
    let ask = |token: Option<&str>, prepare: &dyn Fn(&Hub)| {
        let world = World::new();
        prepare(&world.hub);
        let error = world.store().pull(&tiny(), token, &Waiting::default()).unwrap_err();
        assert!(!world.shows() && !error.to_string().contains("hf_canary"), "{error}");
        error
    };
    let gated = "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to model org/tiny is restricted.\r\n";
    let error = ask(None, &|hub| hub.gate(401, gated)).to_string();
    assert!(error.contains("/org/tiny — accept its terms there") && error.contains("HF_TOKEN"), "{error}");
    let error = ask(Some("hf_canary"), &|hub| hub.gate(403, gated));
    assert!(matches!(&error, StoreError::NoAccess(text) if text.contains("the account of your token")), "{error}");
    let error = ask(None, &|hub| hub.refuse(401, "X-Error-Code: RepoNotFound\r\n")).to_string();
    assert!(error.contains("no such repository, or it is private and needs a token"), "{error}");
    let error = ask(Some("hf_canary"), &|hub| hub.refuse(401, "X-Error-Message: Invalid credentials\r\n")).to_string();
    assert!(error.contains("does not accept the token (Invalid credentials)"), "{error}");
    let error = ask(None, &|hub| hub.refuse(404, "X-Error-Code: RevisionNotFound\r\n")).to_string();
    assert!(error.contains("no such revision"), "{error}");
    let error = ask(Some("hf_\ncanary"), &|_| {}).to_string();
    assert!(error.contains("no token has"), "{error}");
}

#[test]
fn a_list_that_leads_out_of_the_folder_is_refused() {
    for path in ["../../../x", "/etc/passwd", "a/../../x", "a\\\\..\\\\x", "a//b", ""] {
        let world = World::new();
        world.hub.list(&format!(
            "{{\"sha\":\"{COMMIT}\",\"siblings\":[{{\"rfilename\":\"config.json\"}},{{\"rfilename\":\"{path}\"}}]}}"
        ));
        let error = world.pull().unwrap_err().to_string();
        assert!(error.contains("outside of the repository"), "{path}: {error}");
        assert!(!world.folder.path().join("hub").exists());
    }
    for (list, text) in [
        ("{\"sha\":\"../..\",\"siblings\":[]}", "names no commit"),
        ("{\"siblings\":[]}", "names no commit"),
        ("<html>", "cannot be read"),
        ("[]", "cannot be read"),
    ] {
        let world = World::new();
        world.hub.list(list);
        let error = world.pull().unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_cancel_ends_at_once_and_leaves_a_beginning() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Stall(100_000));
    let settings = Settings {
        patience: millwork_local::Patience { stall: Duration::from_secs(60), ..world.hub.settings().patience },
        ..world.hub.settings()
    };
    let waiting = Waiting { enough: Some(100_000), ..Waiting::default() };
    let started = Instant::now();
    let error = world.store_with(settings).pull(&tiny(), None, &waiting).unwrap_err();
    assert_eq!((error, waiting.last().status), (StoreError::Cancelled, TransferStatus::Cancelled));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!world.shows() && world.incomplete().exists());
    assert!(world.store().repositories().is_empty());
    world.hub.forget();
    world.pull().unwrap();
    assert_eq!(world.hub.fetched(), [Some("bytes=100000-".to_owned())]);
}

#[test]
fn two_at_once_fetch_everything_once() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Cut(10_000));
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| world.pull()));
        both.into_iter().for_each(|one| drop(one.join().unwrap().unwrap()));
    });
    assert_eq!(world.hub.fetched(), [None, Some("bytes=10000-".to_owned())]);
    assert_eq!(world.blobs().len(), 3);
}

#[test]
fn many_files_arrive_a_few_at_a_time() {
    let mut hub = Hub::start();
    for i in 0..12 {
        hub = hub.large(&format!("part-{i}"), weights(70_000 + i, i as u32 + 2));
    }
    let world = World { hub, folder: tempfile::tempdir().unwrap() };
    (0..12).for_each(|i| world.hub.fault(&format!("part-{i}"), Fault::Cut(1000 * i)));
    let waiting = Waiting::default();
    world.store().pull(&tiny(), None, &waiting).unwrap();
    assert_eq!(world.blobs().len(), 12);
    let told = waiting.told.lock();
    assert!(
        told.iter()
            .all(|progress| progress.current_files.len() <= 4 && progress.downloaded_bytes <= progress.total_bytes)
    );
    assert!(told.windows(2).all(|pair| pair[0].downloaded_files <= pair[1].downloaded_files));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_says_so() {
    let world = World::new();
    fs::create_dir_all(world.repository().join("blobs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", world.incomplete()).unwrap();
    let error = world.pull().unwrap_err();
    assert!(matches!(&error, StoreError::Disk(text) if text.contains("the disk is full")), "{error}");
    assert!(!world.shows());
}

#[test]
fn without_network_only_what_is_there_is_found() {
    let world = World::new();
    let offline = Settings { offline: true, ..world.hub.settings() };
    let error = world.store_with(offline.clone()).pull(&tiny(), None, &Waiting::default()).unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE") && world.hub.seen().is_empty(), "{error}");
    let there = world.pull().unwrap();
    assert_eq!(world.store_with(offline).pull(&tiny(), None, &Waiting::default()).unwrap(), there);
}

#[test]
fn a_repository_is_removed_whole_and_nothing_else_is() {
    let world = World::new();
    world.pull().unwrap();
    let store = world.store();
    let listed = store.list().unwrap();
    assert_eq!((listed.len(), listed[0].id.as_str(), listed[0].size_on_disk), (1, "org/tiny", Some(300_022)));
    assert!(listed[0].downloaded && listed[0].name == "tiny" && listed[0].repo_id.as_deref() == Some("org/tiny"));
    for bad in ["../../x", "/no/such/folder", "a/../../..", "..", ""] {
        assert!(store.remove(bad).is_err(), "{bad}");
    }
    assert!(!store.remove("org/other").unwrap());
    assert!(store.remove("org/tiny").unwrap() && !store.remove("org/tiny").unwrap());
    assert!(store.list().unwrap().is_empty());
    let hub = world.folder.path().join("hub");
    // Somebody may hold its locks.
    let left = vec!["models--org--tiny".to_owned()];
    assert_eq!((names(&hub), names(&hub.join(".locks"))), (vec![".locks".to_owned()], left));
    world.pull().unwrap();
}

#[test]
fn what_is_being_downloaded_is_not_removed() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Stall(1000));
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| world.pull());
        while !world.incomplete().exists() {
            std::thread::yield_now();
        }
        let error = world.store().remove("org/tiny").unwrap_err();
        assert!(error.to_string().contains("is being downloaded"), "{error}");
        pull.join().unwrap().unwrap();
    });
    // Nor is it while nothing is fetched: before the first file, between two, and until all are linked.
    let lock = fs::File::open(world.folder.path().join("hub/.locks/models--org--tiny/.millwork")).unwrap();
    lock.lock_shared().unwrap();
    let error = world.store().remove("org/tiny").unwrap_err();
    assert!(error.to_string().contains("is being downloaded"), "{error}");
    world.pull().unwrap();
    drop(lock);
    assert!(world.store().remove("org/tiny").unwrap());
}

#[test]
fn what_another_program_takes_away_meanwhile_is_missed() {
    let world = World::new();
    world.hub.fault("onnx/model.onnx", Fault::Stall(1000));
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| world.pull());
        let blob = world.repository().join("blobs").join(CONFIG.1);
        while !blob.exists() || !world.incomplete().exists() {
            std::thread::yield_now();
        }
        fs::remove_file(blob).unwrap();
        let error = pull.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("config.json: its contents were removed meanwhile"), "{error}");
    });
    let snapshot = world.pull().unwrap();
    assert_eq!(fs::read_to_string(snapshot.join("config.json")).unwrap(), CONFIG.0);
}

#[test]
fn files_that_are_not_loaded_hinder_nobody() {
    let world = World::encoder("mlp.onnx");
    world.prepare(&world.store(), "embedding").unwrap();
    let checked = verify(&world.repository().join("snapshots").join(COMMIT), |_| {});
    assert_eq!((checked.files, checked.digests, checked.models), (4, 4, 1));
    assert!(checked.findings.is_empty(), "{checked:?}");
    assert_eq!((checked.notes.len(), checked.notes[0].file.as_str()), (1, "onnx/model_bnb4.onnx"));
    assert!(checked.notes[0].problem.contains("operators that do not run here"), "{checked:?}");
    // One that is loaded does.
    let world = World::encoder("unsupported.onnx");
    let error = world.prepare(&world.store(), "embedding").unwrap_err();
    assert!(error.message().contains("onnx/model.onnx: operators that do not run here"), "{error}");
    let checked = verify(&world.repository().join("snapshots").join(COMMIT), |_| {});
    assert_eq!((checked.findings.len(), checked.findings[0].file.as_str()), (1, "onnx/model.onnx"));
}

#[test]
fn a_voice_is_found_behind_its_repository() {
    let config = b"{\"audio\": {\"sample_rate\": 22050}, \"phoneme_type\": \"text\", \
        \"phoneme_id_map\": {\"_\": [0], \"^\": [1], \"$\": [2]}}";
    let world = World::of(&[("en/amy.onnx.json", config), ("en/amy.onnx", &graph("mlp.onnx"))]);
    let store = world.store();
    world.prepare(&store, "tts").unwrap();
    assert_eq!(store.list().unwrap()[0].kind.as_deref(), Some("tts"));
    // It is there the second time, and is no more than a voice.
    world.hub.forget();
    world.prepare(&store, "tts").unwrap();
    let error = world.prepare(&store, "language").unwrap_err();
    assert!(error.message().contains("org/tiny is a voice, not a language model"), "{error}");
    assert!(world.hub.seen().is_empty());
    let snapshot = world.repository().join("snapshots").join(COMMIT);
    let ids = |place: &Path, id: &str| -> Vec<String> {
        models_in(place, id).models.into_iter().map(|model| model.id).collect()
    };
    assert_eq!(ids(&snapshot, "org/tiny"), ["org/tiny/en/amy"]);
    assert_eq!(ids(&snapshot.join("en/amy.onnx"), "amy"), ["amy"]);
    assert!(ids(&snapshot.join("en/none.onnx"), "none").is_empty());
}

#[test]
fn a_model_is_told_from_its_folder_alone() {
    let world = World::encoder("mlp.onnx");
    let pull = Pull { revision: Some("v2".into()), ..tiny() };
    let snapshot = world.store().pull(&pull, None, &Waiting::default()).unwrap();
    assert!(models_in(&snapshot, "org/tiny").models.iter().any(|model| model.path == snapshot));
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    let found = models_in(&snapshot, "org/tiny");
    assert!(found.models.is_empty() && found.problems[0].reason.contains("tokenizer.json"), "{found:?}");
}

#[test]
fn only_what_is_missing_is_downloaded() {
    // A folder of the user's is the user's to mend.
    let world = World::encoder("mlp.onnx");
    let own = world.folder.path().join("own");
    fs::create_dir_all(own.join("org/tiny")).unwrap();
    fs::write(own.join("org/tiny/config.json"), "{}").unwrap();
    let roots = Roots::only(std::slice::from_ref(&own)).with_hub(Cache::new(world.folder.path().join("hub")));
    let error = world.prepare(&Store::new(&roots, world.hub.settings()).unwrap(), "embedding").unwrap_err();
    assert!(error.message().contains("own/org/tiny/config.json") && world.hub.seen().is_empty(), "{error}");
    // No download makes another model of one.
    world.pull().unwrap();
    world.hub.forget();
    let error = world.prepare(&world.store(), "language").unwrap_err();
    assert!(error.message().contains("is a sentence encoder, not a language model"), "{error}");
    assert!(world.hub.seen().is_empty());
    // Half a model in the cache becomes a whole one.
    let world = World::encoder("mlp.onnx");
    let half = Pull { ignore: vec!["tokenizer.json".into()], ..tiny() };
    world.store().pull(&half, None, &Waiting::default()).unwrap();
    world.prepare(&world.store(), "embedding").unwrap();
}

#[test]
fn the_workers_messages_reach_the_store() {
    let world = World::new();
    let store = world.store();
    let cx = ProviderTest::new(Local::new(world.roots())).context();
    let request = ModelDownload {
        repo_id: "org/tiny".into(),
        ignore_patterns: Some(vec!["*.onnx".into()]),
        token: Some(Token("hf_canary".into())),
        ..ModelDownload::default()
    };
    store.download(&request, &cx).unwrap();
    assert_eq!(world.hub.seen()[0].authorization.as_deref(), Some("Bearer hf_canary"));
    let missing = ModelDownload { repo_id: "org/other".into(), ..ModelDownload::default() };
    let error = store.download(&missing, &cx).unwrap_err();
    assert_eq!((error.kind(), error.message().contains("org/other")), (&ErrorKind::InvalidInput, true));
    assert_eq!(store.backends(), ["millwork"]);
    // What is there is no model that runs here, and the answer says why.
    let prepare =
        ModelPrepare { backend: "millwork".into(), repo_id: Some("org/tiny".into()), ..ModelPrepare::default() };
    let error = store.prepare(&prepare, &cx).unwrap_err();
    assert!(error.message().contains("config.json"), "{error}");
    assert!(
        store.prepare(&ModelPrepare { repo_id: None, ..prepare }, &cx).unwrap_err().message().contains("`repo_id`")
    );
    assert!(store.delete("org/tiny", &cx).unwrap());
}
