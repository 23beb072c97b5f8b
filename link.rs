//! The build script of the programs. It changes how they are linked and nothing else.
//!
//! A program that can be loaded anywhere holds the place of every pointer in it. Written out that is 1.7 MB, read at every
//! start and counted as the process's memory; packed it is a hundredth. Both ends have to know the packed form: the linker,
//! and the C library that loads the program (glibc from 2.36 on).
//!
//! Functions that came out as the same instructions are kept once, which makes a program 4 % smaller. That takes the linker that
//! comes with Rust on this architecture.

#![expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::env;
use std::fs;

fn main() {
    println!("cargo::rerun-if-changed=../link.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let is_native = env::var("HOST") == env::var("TARGET");
    if target("OS") == "linux" && target("ENV") == "gnu" && is_native && loader_knows_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_own_linker =
        env::var_os("RUSTC_LINKER").is_none() && !flags.contains("linker") && !flags.contains("fuse-ld");
    if target("OS") == "linux" && target("ENV") == "gnu" && target("ARCH") == "x86_64" && is_own_linker {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// Whether the C library that this script itself runs with says so.
fn loader_knows_packed_relocations() -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let library =
        maps.lines().find_map(|line| line.split_whitespace().last().filter(|path| path.ends_with("/libc.so.6")));
    let library = library.and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let wanted = b"GLIBC_ABI_DT_RELR";
    library.windows(wanted.len()).any(|window| window == wanted)
}
