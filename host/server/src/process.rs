//! What the kernel counts of this process, as Prometheus names it everywhere.

use std::fmt::Write;

/// Ticks of a second in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that Linux shows it on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The metrics in the text format of Prometheus. What the kernel does not tell, e.g. on another system, is left out.
pub(crate) fn exposition() -> String {
    let mut text = String::new();
    let mut tell = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    };
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    let memory = read("status").and_then(|status| resident_bytes(&status));
    tell("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", memory);
    // Less the one by which they are counted.
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64);
    tell("process_open_fds", "gauge", "Number of open file descriptors.", files);
    let cpu = read("stat").and_then(|stat| cpu_seconds(&stat));
    tell("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu);
    text
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some((kib << 10) as f64)
}

/// Fields 14 and 15; the second is a name in parentheses, in which anything may stand.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("VmRSS:\t 2048\n"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 500 0 3 0 150 25 0 0 20 0 9 0 100 1000 10 1";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }
}
