//! How many bytes the model cache may hold when nobody says.

use std::fs;

const MIB: u64 = 1024 * 1024;
const CAP: u64 = 16 * 1024 * MIB;
const WHERE_MEMORY_IS_UNKNOWN: u64 = 2 * 1024 * MIB;

/// `MILLWORK_MODEL_CACHE_MIB` if it is set and a number, else half of the memory that this process may use, at most
/// 16 GiB; 2 GiB where that cannot be read. In bytes.
pub fn default_budget() -> u64 {
    let asked = std::env::var("MILLWORK_MODEL_CACHE_MIB").ok().and_then(|text| text.trim().parse::<u64>().ok());
    match asked {
        Some(mib) => mib.saturating_mul(MIB),
        None => usable_memory().map_or(WHERE_MEMORY_IS_UNKNOWN, |bytes| (bytes / 2).min(CAP)),
    }
}

/// The machine's memory, or the control group's limit if that is lower. Both files exist on Linux only.
fn usable_memory() -> Option<u64> {
    let machine = total_of(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(group.map_or(machine, |limit: u64| limit.min(machine)))
}

/// The `MemTotal:  16318412 kB` line, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::total_of;

    #[test]
    fn reads_meminfo() {
        assert_eq!(total_of("MemFree: 1 kB\nMemTotal:       16318412 kB\n"), Some(16_318_412 * 1024));
        assert_eq!(total_of("MemTotal: many\n"), None);
        assert_eq!(total_of(""), None);
    }
}
