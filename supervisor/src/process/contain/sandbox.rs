//! Linux: what a worker with `sandbox = true` may reach. Landlock says which files, seccomp which system calls; both are
//! put on between fork and exec, hold for everything that the worker starts, and cannot be taken off.
#![allow(unsafe_code, reason = "code between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};
use nix::libc;
use nix::sys::prctl;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::config::WorkerConfig;

/// The newest that is used here, then the older ones: the kernel decides.
const KNOWN: [ABI; 6] = [ABI::V6, ABI::V5, ABI::V4, ABI::V3, ABI::V2, ABI::V1];
/// What programs are made of, and what they ask the system. Folders of users, of services and of others are not here.
const READ: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix",
    "/proc",
    "/sys",
    "/dev",
    "/run/systemd",
];
/// What may be written besides the worker's own folders: nothing that lasts, and the GPU.
const WRITE: [&str; 12] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/shm",
    "/dev/dri",
    "/dev/kfd",
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
];

/// What no worker needs: other processes' memory, the kernel and its modules, mounts, clocks, keys, the machine itself.
const DENIED: [libc::c_long; 44] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Puts the sandbox on a process that is about to be started. Returns what of it is in force, and what is not.
pub(super) fn put_on(command: &mut Command, spec: &WorkerConfig, temp: Option<&Path>) -> Result<Report, String> {
    let own = Folders::of(spec, temp)?;
    let mut report = Report { in_force: vec!["no new privileges".to_owned()], missing: Vec::new() };
    let files = KNOWN.into_iter().find_map(|abi| Some((abi, rules(abi, &own).ok()?)));
    let calls = filter();
    match &files {
        Some((abi, _)) => report.in_force.push(format!("landlock (version {abi})")),
        None => report.missing.push("files are open to it: the kernel has no landlock".to_owned()),
    }
    match &calls {
        Ok(_) => report.in_force.push("seccomp".to_owned()),
        Err(error) => report.missing.push(format!("system calls are open to it: {error}")),
    }
    let mut files = files.map(|(_, rules)| rules);
    let before_exec = move || {
        prctl::set_no_new_privs()?;
        if let Some(rules) = files.take() {
            rules.restrict_self().map_err(|_| io::Error::from_raw_os_error(libc::EACCES))?;
        }
        if let Ok(calls) = &calls {
            apply_filter(calls).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls with what was prepared before the fork. It allocates nothing: the errors that
    // can come are numbers.
    unsafe { command.pre_exec(before_exec) };
    Ok(report)
}

/// What of a sandbox the system gives.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) in_force: Vec<String>,
    pub(super) missing: Vec<String>,
}

/// The folders that are this worker's.
#[derive(Debug)]
struct Folders {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Folders {
    fn of(spec: &WorkerConfig, temp: Option<&Path>) -> Result<Self, String> {
        let here = std::env::current_dir().unwrap_or_default();
        let start = spec.cwd.as_ref().map_or_else(|| here.clone(), |folder| here.join(folder));
        let told = spec.stock_folders().map(|folder| start.join(folder)).collect::<Vec<_>>();
        let workspace = if told.is_empty() { vec![start.clone()] } else { told };
        if workspace.iter().any(|folder| folder.parent().is_none()) {
            return Err("its workspace is /, which leaves nothing to guard: give it a folder (cwd)".to_owned());
        }
        let listed = |paths: &[PathBuf]| paths.iter().map(|path| start.join(path)).collect::<Vec<_>>();
        let program = spec.command.first().and_then(|program| find(program, &here));
        let program_folder = |path: &PathBuf| path.parent().map(Path::to_owned);
        let real = program.as_ref().and_then(|path| path.canonicalize().ok());
        let programs = program.iter().chain(&real).filter_map(program_folder);
        let models = spec.model_folders().map(|folder| start.join(folder));
        let read = programs.chain(listed(&spec.sandbox_read)).chain(models).chain([start.clone()]).collect();
        let write = workspace.into_iter().chain(listed(&spec.sandbox_write)).chain(temp.map(Path::to_owned)).collect();
        Ok(Self { read, write })
    }
}

/// Where a program is.
fn find(program: &str, here: &Path) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(here.join(program));
    }
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The rules for files, as this version of landlock knows them; an error where the kernel does not.
fn rules(abi: ABI, own: &Folders) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut rules =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V6 {
        // It signals nobody outside.
        rules = rules.scope(Scope::Signal)?;
    }
    let read = READ.iter().map(Path::new).chain(own.read.iter().map(PathBuf::as_path));
    let write = WRITE.iter().map(Path::new).chain(own.write.iter().map(PathBuf::as_path));
    rules
        .create()?
        .set_compatibility(CompatLevel::BestEffort)
        .add_rules(path_beneath_rules(read, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(abi)))
}

/// The system calls that fail as if they were not permitted.
fn filter() -> Result<BpfProgram, String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let rules = DENIED.into_iter().map(|call| (call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture);
    filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_can_be_made_and_the_root_is_refused() {
        assert!(filter().unwrap().len() > DENIED.len());
        let mut spec = WorkerConfig::new("a", ["sh"]);
        spec.cwd = Some("/".into());
        assert!(Folders::of(&spec, None).unwrap_err().contains("cwd"));
        spec.cwd = Some("/srv".into());
        let own = Folders::of(&spec, Some(Path::new("/t"))).unwrap();
        assert_eq!(own.write, [Path::new("/srv"), Path::new("/t")]);
        assert!(own.read.iter().any(|path| path.ends_with("bin")), "{own:?}");
    }
}
