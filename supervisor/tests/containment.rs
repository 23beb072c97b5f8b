//! What encloses a worker, with real processes: a shell that looks at what it has been given, leaves things behind or
//! takes too much, and then becomes a scripted worker.
#![allow(clippy::disallowed_methods, reason = "the supervisor is killed here, so it is a process of its own")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millwork::config::RestartConfig;
use millwork::{Client, Config, ErrorKind, Supervisor, WorkerConfig};

const MILLWORK: &str = env!("CARGO_BIN_EXE_millwork");
/// Generous: nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker that does `first` in a shell, with `$0` for a folder, before it serves; it dies by SIGKILL at a request.
fn worker(first: &str, folder: &Path) -> WorkerConfig {
    let script = format!("{first}\nexec \"$1\" fake-worker --scenario killed-mid-request --lifetime 300");
    WorkerConfig::new("w", ["sh", "-c", &script, &folder.to_string_lossy(), MILLWORK])
}

fn config(workers: impl IntoIterator<Item = WorkerConfig>) -> Config {
    // One that cannot start is not tried again meanwhile.
    let restart = RestartConfig { backoff_ms: 60_000, max_backoff_ms: 60_000, ..RestartConfig::default() };
    Config { restart, ..Config::with_workers(workers) }
}

/// Runs a test against a fleet, within a generous limit.
fn with_fleet<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Client) -> F) {
    let supervisor = Supervisor::start(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, test(supervisor.client())).await.expect("the test ends in time");
        supervisor.shutdown().await;
    });
}

/// The text of the error with which the worker dies at its first request.
async fn death(client: &Client) -> String {
    client.ready().await.unwrap();
    let error = client.execute("fake.Echo").field("value", 1).send().finish().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WorkerDied, "{error}");
    error.message
}

/// Why no worker could be made ready.
async fn failure(client: &Client) -> String {
    client.ready().await.unwrap_err().to_string()
}

/// What the status says bounds the only worker.
async fn bounds(client: &Client) -> String {
    let status = client.status().await.unwrap();
    let supervisor = status.get("extensions").unwrap().get("supervisor").unwrap();
    let row = supervisor.get("workers").unwrap().as_list().unwrap()[0].clone();
    row.get("bounds").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// How many of these processes are there and have become a `sleep`.
fn sleeping(pids: &[String]) -> usize {
    let lives = |pid: &&String| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"));
    pids.iter().filter(lives).count()
}

/// Leaves a child in the worker's group, one in a session of its own, and one without a parent.
const LEAVE: &str = "sleep 600 & echo $! >> $0/pids
setsid sleep 600 & echo $! >> $0/pids
(setsid sleep 600 & echo $! >> $0/pids)";

#[test]
fn promise_2_what_a_worker_leaves_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    with_fleet(config([worker(LEAVE, folder.path())]), |client| async move {
        client.ready().await.unwrap();
        let pids = lines(&pids);
        wait_until("they are there", || sleeping(&pids) == 3);
        death(&client).await;
        wait_until("they are gone", || sleeping(&pids) == 0);
    });
}

/// `millwork serve` with one worker, once it is ready.
fn serve(worker: &WorkerConfig, folder: &Path, temp: &Path) -> Child {
    let file = folder.join("millwork.toml");
    fs::write(&file, toml::to_string(&config([worker.clone()])).unwrap()).unwrap();
    let mut serve = Command::new(MILLWORK);
    serve.args(["serve", "--stdio"]).current_dir(folder).env("XDG_CONFIG_HOME", folder).env("TMPDIR", temp);
    serve.env_remove("MILLWORK_CONFIG").env("CANARY", "a-canary-for-the-guardian");
    let mut serve = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(serve.stderr.take().unwrap());
    let mut stderr = stderr.lines().map_while(Result::ok);
    stderr.find(|line| line == "NODETOOL_STDIO_READY").expect("it is ready");
    // Somebody goes on reading.
    std::thread::spawn(move || stderr.for_each(drop));
    serve
}

/// The processes with this name, of those that were not there before.
fn named(name: &str) -> Vec<String> {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let pids = folders.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)).collect()
}

#[test]
fn promise_2_nothing_is_left_of_a_supervisor_that_was_killed() {
    let (folder, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut serve = serve(&worker(LEAVE, folder.path()), folder.path(), temp.path());
    let pids = lines(&folder.path().join("pids"));
    wait_until("they are there", || sleeping(&pids) == 3);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    for guardian in named("mw-guardian") {
        let environment = fs::read(format!("/proc/{guardian}/environ")).unwrap_or_default();
        assert!(environment.iter().all(|byte| *byte == 0), "a guardian has no variables");
    }
    serve.kill().unwrap();
    serve.wait().unwrap();
    let took = wait_until("they are gone", || sleeping(&pids) == 0);
    wait_until("the folders are gone", || fs::read_dir(temp.path()).unwrap().count() == 0);
    eprintln!("gone {} ms after the supervisor was reaped", took.as_millis());
}

#[test]
fn nothing_is_left_of_a_supervisor_that_has_ended() {
    let (folder, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut serve = serve(&worker(LEAVE, folder.path()), folder.path(), temp.path());
    let pids = lines(&folder.path().join("pids"));
    wait_until("they are there", || sleeping(&pids) == 3);
    drop(serve.stdin.take());
    assert!(serve.wait().unwrap().success());
    assert!(sleeping(&pids) == 0 && fs::read_dir(temp.path()).unwrap().count() == 0, "it waits for that itself");
}

#[test]
fn what_nobody_removed_is_removed_at_the_next_start() {
    let (folder, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut first = serve(&worker("", folder.path()), folder.path(), temp.path());
    let left = fs::read_dir(temp.path()).unwrap().next().unwrap().unwrap().path();
    first.kill().unwrap();
    first.wait().unwrap();
    wait_until("its guardian is done", || !left.exists());
    // As it would be found had there been no guardian; the lock's owner is gone.
    fs::create_dir(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    fs::create_dir(temp.path().join("millwork-not-ours")).unwrap();
    let mut second = serve(&worker("", folder.path()), folder.path(), temp.path());
    wait_until("it is gone", || !left.exists());
    drop(second.stdin.take());
    second.wait().unwrap();
    assert!(temp.path().join("millwork-not-ours").exists());
}

#[test]
fn a_worker_has_a_private_temporary_folder_that_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let first = "echo $TMPDIR > $0/told; mkdir -p $TMPDIR/a/b; date > $TMPDIR/a/b/file; chmod 500 $TMPDIR/a/b";
    with_fleet(config([worker(first, folder.path())]), |client| async move {
        client.ready().await.unwrap();
        let temp = lines(&told).remove(0);
        let temp = Path::new(&temp);
        assert_eq!(fs::metadata(temp).unwrap().permissions().mode() & 0o777, 0o700);
        death(&client).await;
        wait_until("it is removed", || !temp.exists());
    });
}

#[test]
fn a_fleet_that_has_stopped_has_removed_everything() {
    let folder = tempfile::tempdir().unwrap();
    let first = format!("{LEAVE}\necho $TMPDIR > $0/told; echo x > $TMPDIR/file");
    with_fleet(config([worker(&first, folder.path())]), |client| async move { client.ready().await.unwrap() });
    let temp = lines(&folder.path().join("told")).remove(0);
    assert!(!Path::new(&temp).exists() && sleeping(&lines(&folder.path().join("pids"))) == 0);
}

#[test]
fn a_temporary_folder_can_be_turned_off_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let first = "echo \"$TMPDIR\" >> $0/told";
    let plain = WorkerConfig { temp: false, ..worker(first, folder.path()) };
    let named = WorkerConfig { name: "n".to_owned(), ..worker(first, folder.path()) };
    let named = WorkerConfig { env: [("TMPDIR".to_owned(), "/elsewhere".to_owned())].into(), ..named };
    with_fleet(config([plain, named]), |client| async move {
        client.discover().await.unwrap();
        let mut told = lines(&told);
        told.sort();
        let mut expected = [std::env::var("TMPDIR").unwrap_or_default(), "/elsewhere".to_owned()];
        expected.sort();
        assert_eq!(told, expected);
    });
}

#[test]
fn promise_10_a_declared_secret_reaches_its_worker_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = "
        [[worker]]
        name = \"w\"
        secrets = [\"CANARY\"]
        command = [\"sh\", \"-c\", \"env > has; echo my key is $CANARY >&2; exec $MILLWORK fake-worker --scenario killed-mid-request\"]
        [[worker]]
        name = \"other\"
        command = [\"sh\", \"-c\", \"env > has-not; exec $MILLWORK fake-worker --scenario killed-mid-request\"]
        [[worker]]
        name = \"strict\"
        env_allow = [\"MILLWORK\", \"ALLOWED_*\"]
        env = { OWN = \"mine\" }
        command = [\"sh\", \"-c\", \"env > strict; exec $MILLWORK fake-worker --scenario killed-mid-request\"]";
    fs::write(folder.path().join("millwork.toml"), file).unwrap();
    let mut run = Command::new(MILLWORK);
    run.args(["run", "fake.Echo", "value=1", "-v"]).current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path());
    run.env("MILLWORK", MILLWORK).env("CANARY", "canary-4711").env("ALLOWED_1", "yes").env("NOT_ALLOWED", "no");
    let output = run.env_remove("MILLWORK_CONFIG").stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("my key is ***") && !told.contains("canary-4711"), "{told}");
    let env = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(env("has").contains("CANARY=canary-4711\n"));
    let (other, strict) = (env("has-not"), env("strict"));
    assert!(!other.contains("canary-4711") && other.contains("NOT_ALLOWED=no\n"), "{other}");
    let mut names: Vec<&str> = strict.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // What the shell adds itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    let expected =
        ["ALLOWED_1", "MILLWORK", "MILLWORK_FLEET", "MILLWORK_LOG", "MILLWORK_LOG_FORMAT", "OWN", "PATH", "TMPDIR"];
    assert_eq!(names, expected);
}

#[test]
fn limits_of_each_process_are_set_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let mut worker = worker("for l in n t v c; do ulimit -S -$l; done > $0/told", folder.path());
    worker.limits.open_files = Some(77);
    worker.limits.cpu_seconds = Some(300);
    worker.limits.address_space_mb = Some(4096);
    with_fleet(config([worker]), |client| async move {
        client.ready().await.unwrap();
        // A core file of no block: what is set is 0 or 1 byte.
        assert_eq!(lines(&told), ["77", "300", &(4096 * 1024).to_string(), "0"]);
        let bounds = bounds(&client).await;
        assert_eq!(bounds, "address_space_mb 4096; cpu_seconds 300; open_files 77");
    });
}

#[test]
fn a_worker_that_uses_up_its_cpu_time_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker("while :; do :; done", folder.path());
    worker.limits.cpu_seconds = Some(1);
    with_fleet(config([worker]), |client| async move {
        let text = failure(&client).await;
        assert!(text.contains("SIGXCPU") && text.contains("limits.cpu_seconds = 1"), "{text}");
    });
}

#[test]
fn a_worker_over_its_memory_is_ended_and_named_whoever_of_it_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    // It keeps all that has no end of a line.
    let mut worker = worker("setsid tail /dev/zero & wait", folder.path());
    worker.limits.memory_mb = Some(64);
    with_fleet(config([worker]), |client| async move {
        let text = failure(&client).await;
        assert!(text.contains("SIGKILL") && text.contains("limits.memory_mb"), "{text}");
        assert!(!text.contains("the system may be"), "{text}");
    });
}

#[test]
fn a_worker_within_its_limits_lives_and_the_status_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker("", folder.path());
    worker.limits.memory_mb = Some(512);
    worker.limits.processes = Some(64);
    with_fleet(config([worker]), |client| async move {
        client.ready().await.unwrap();
        let bounds = bounds(&client).await;
        let is_kept = |setting: &str| {
            bounds.contains(&format!("{setting} (cgroup)")) || bounds.contains(&format!("{setting} (watched)"))
        };
        assert!(is_kept("memory_mb 512") && is_kept("processes 64"), "{bounds}");
        assert_eq!(bounds.contains("watched"), bounds.contains("without limits."), "{bounds}");
    });
}

#[test]
fn a_worker_with_too_many_processes_is_ended_and_named_or_gets_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let many = "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do setsid sleep 600 & done; wait";
    let mut worker = worker(many, folder.path());
    worker.limits.processes = Some(12);
    with_fleet(config([worker]), |client| async move {
        let text = failure(&client).await;
        assert!(text.contains("limits.processes allows 12") || text.contains("fork"), "{text}");
    });
}

#[test]
fn a_sandbox_leaves_a_worker_its_own_files_and_no_others() {
    let (folder, outside, more) =
        (tempfile::tempdir_in(".").unwrap(), tempfile::tempdir_in(".").unwrap(), tempfile::tempdir_in(".").unwrap());
    fs::write(outside.path().join("private"), "nobody's business").unwrap();
    fs::write(more.path().join("shared"), "for all").unwrap();
    let absolute = |folder: &tempfile::TempDir| folder.path().canonicalize().unwrap();
    let first = format!(
        "grep -E 'Seccomp:|NoNewPrivs:' /proc/self/status > told
         cat {0}/private >> told 2>> errors || echo unreadable >> told
         echo x 2>> errors > {0}/new || echo unwritable >> told
         cat {1}/shared >> told && echo >> told
         echo x 2>> errors > {1}/new || echo unwritable >> told
         echo x > $TMPDIR/new && echo x > /dev/null && echo writable >> told
         unshare -U true 2>> errors || echo unshared >> told",
        absolute(&outside).display(),
        absolute(&more).display()
    );
    let mut worker = worker(&first, Path::new("."));
    worker.cwd = Some(absolute(&folder));
    worker.sandbox = true;
    worker.sandbox_read = vec![absolute(&more), Path::new(MILLWORK).parent().unwrap().to_owned()];
    let told = folder.path().join("told");
    with_fleet(config([worker]), |client| async move {
        client.ready().await.unwrap();
        let bounds = bounds(&client).await;
        let (has_landlock, has_seccomp) = (bounds.contains("landlock (version"), bounds.contains("seccomp"));
        let mut expected = vec!["NoNewPrivs:\t1".to_owned(), format!("Seccomp:\t{}", if has_seccomp { 2 } else { 0 })];
        let files: &[&str] = if has_landlock {
            &["unreadable", "unwritable", "for all", "unwritable", "writable"]
        } else {
            eprintln!("skipped: what landlock keeps, which this kernel does not have");
            &["nobody's businessfor all", "writable"]
        };
        expected.extend(files.iter().map(|line| (*line).to_owned()));
        if has_seccomp {
            expected.push("unshared".to_owned());
        }
        assert_eq!(lines(&told), expected, "{bounds}");
        assert_eq!(bounds.contains("without sandbox"), !(has_landlock && has_seccomp), "{bounds}");
    });
}
