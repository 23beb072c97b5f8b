use std::time::Duration;

use super::*;

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

fn output(command: Command) -> (String, Finished) {
    let (bytes, finished) = command.output(&CancelToken::default()).unwrap();
    (String::from_utf8(bytes).unwrap(), finished)
}

/// Whether a process runs; one that has ended and waits to be reaped does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_for_end(pid: &str) {
    let since = Instant::now();
    while runs(pid) {
        assert!(since.elapsed() < Duration::from_secs(20), "{pid} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn input_goes_in_and_output_comes_out() {
    // More than any pipe holds, both ways at once.
    let text: String = (0..200_000).map(|i| format!("{i}\n")).collect();
    let (copy, finished) = output(Command::new("cat").stdin(text.clone()).most_output(1 << 24));
    assert!(copy == text && finished.is_success, "{finished:?}");
    let (nothing, finished) = output(sh("cat; echo oh no >&2; exit 3"));
    assert_eq!(nothing, "");
    assert_eq!(finished, Finished { is_success: false, how: "exit status 3".into(), stderr: "oh no".into() });
    assert_eq!(output(sh("kill -9 $$")).1.how, "signal 9");
    // Nobody reads the input.
    assert!(output(Command::new("true").stdin(text)).1.is_success);
}

#[test]
fn lines_come_one_by_one() {
    let mut lines = Vec::new();
    let each = |line: &[u8]| {
        lines.push(String::from_utf8_lossy(line).into_owned());
        ControlFlow::Continue(())
    };
    sh("printf 'a\\n\\nbc'; sleep 0.05; printf 'd\\ne'").lines(&CancelToken::default(), each).unwrap();
    assert_eq!(lines, ["a", "", "bcd", "e"]);
    let mut count = 0;
    let first = |_: &[u8]| {
        count += 1;
        ControlFlow::Break(())
    };
    // It never ends by itself, and is not waited for.
    let finished = sh("echo one; echo two; exec sleep 1000").lines(&CancelToken::default(), first).unwrap();
    assert_eq!((count, finished.how.as_str()), (1, "signal 9"));
}

#[test]
fn a_cancelled_command_dies_with_all_of_its_group() {
    let cancel = CancelToken::default();
    let mut pids = Vec::new();
    let result = sh("sleep 1000 & echo $!; echo $$; wait").lines(&cancel, |line| {
        pids.push(String::from_utf8_lossy(line).into_owned());
        if pids.len() == 2 {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(result, Err(ChildError::Cancelled));
    pids.iter().for_each(|pid| wait_for_end(pid));
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    // The child of the command holds its output open.
    let (pid, finished) = output(sh("sleep 1000 & echo $!"));
    assert!(finished.is_success);
    wait_for_end(pid.trim());
}

#[test]
fn bounds_hold() {
    let late = sh("exec sleep 1000").limit(Duration::from_millis(50)).output(&CancelToken::default()).unwrap_err();
    assert!(late.to_string().contains("longer than 0.05 s"), "{late}");
    let endless = Command::new("yes").most_output(10_000).output(&CancelToken::default()).unwrap_err();
    assert!(matches!(endless, ChildError::TooMuch { most: 10_000, .. }), "{endless}");
    let noisy = output(sh("yes nonsense | head -c 100000 >&2; echo last >&2")).1;
    assert!(noisy.stderr.len() <= STDERR && noisy.stderr.ends_with("last"));
    let gone = Command::new("/nowhere/at/all").output(&CancelToken::default()).unwrap_err().into_error();
    assert!(gone.message().contains("`/nowhere/at/all`") && gone.message().contains("no such program"), "{gone}");
    assert!(!gone.is_retryable());
    let plain = tempfile::NamedTempFile::new().unwrap();
    let plain = Command::new(plain.path()).output(&CancelToken::default()).unwrap_err();
    assert!(plain.to_string().contains("not executable"), "{plain}");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_the_worker_reaches_a_command() {
    // A descriptor that somebody forgot to close on exec, as C libraries do.
    let file = tempfile::NamedTempFile::new().unwrap();
    rustix::io::fcntl_setfd(file.as_file(), rustix::io::FdFlags::empty()).unwrap();
    let (open, _) = output(sh("ls -l /proc/self/fd"));
    assert!(open.contains("pipe:") && !open.contains(file.path().to_str().unwrap()), "{open}");
    let (status, _) = output(sh("grep -E 'SigBlk|PPid' /proc/self/status"));
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_dies_with_the_thread_that_waits_for_it() {
    let (send, receive) = std::sync::mpsc::channel();
    // The thread ends without having seen to its command, as when the worker is killed.
    std::thread::spawn(move || {
        let child = std::mem::ManuallyDrop::new(sh("exec sleep 1000").start("sh").unwrap());
        send.send(child.0.id()).unwrap();
    });
    let pid = receive.recv().unwrap();
    wait_for_end(&pid.to_string());
    LIVE.lock().retain(|other| *other != Pid::from_raw(pid as i32).unwrap());
}
