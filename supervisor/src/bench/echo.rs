//! The reference child: reads bytes and writes the same bytes, as plainly as a program can.

use std::io::{Read, Write};

/// Echoes stdin to stdout until it ends.
///
/// # Errors
/// Where a pipe breaks.
pub(crate) fn run() -> std::io::Result<()> {
    let mut input = std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?);
    let mut output = std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = input.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        output.write_all(buffer.get(..n).unwrap_or_default())?;
    }
}
