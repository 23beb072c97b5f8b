//! Ending the process at once, whatever its threads are doing.
#![allow(unsafe_code, reason = "_exit has no safe form")]

/// Ends the process without running destructors: a thread stuck in a driver must not hold it.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes no pointers and does not return.
    unsafe { nix::libc::_exit(code) }
}
