//! How much memory this process may still take, and has: the system's and that of its control groups, by which containers
//! are limited.

use std::path::{Component, Path, PathBuf};

/// Bytes of memory that are free for this process, where the system tells.
pub fn free() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // 0 where the system does not tell.
    let of_system = Some(system.available_memory()).filter(|bytes| *bytes > 0);
    let of_groups = free_in_groups(|path| std::fs::read_to_string(path).ok());
    [of_system, of_groups].into_iter().flatten().min()
}

/// Bytes of memory that this process has, where the system tells.
pub fn resident() -> Option<u64> {
    let own = sysinfo::get_current_pid().ok()?;
    let mut system = sysinfo::System::new();
    let memory = sysinfo::ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(sysinfo::ProcessesToUpdate::Some(&[own]), false, memory);
    system.process(own).map(sysinfo::Process::memory)
}

/// What is free in the control groups that this process is in: the least of all that have a limit. `read` gives the text
/// of a file.
fn free_in_groups(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let free = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match controllers {
            "" => free_above(Path::new("/sys/fs/cgroup"), path, &VERSION_2, &read),
            _ if controllers.split(',').any(|name| name == "memory") => {
                free_above(Path::new("/sys/fs/cgroup/memory"), path, &VERSION_1, &read)
            }
            _ => None,
        }
    });
    free.min()
}

/// The names of a group's files.
struct Names {
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: pages of files that the system takes back where it needs them.
    cache: &'static str,
}

const VERSION_1: Names =
    Names { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cache: "total_inactive_file" };
const VERSION_2: Names = Names { limit: "memory.max", usage: "memory.current", cache: "inactive_file" };
/// A limit from which on there is none: the first version writes the largest number of pages.
const NO_LIMIT: u64 = 1 << 60;

/// The least that is free in a group and those that it is in. In a container only the outermost may be there, under its
/// own name.
fn free_above(root: &Path, group: &str, names: &Names, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let parts = Path::new(group).components().filter(|part| matches!(part, Component::Normal(_)));
    let mut folder = root.to_owned();
    let mut folders: Vec<PathBuf> = vec![folder.clone()];
    for part in parts {
        folder.push(part);
        folders.push(folder.clone());
    }
    folders.iter().filter_map(|folder| free_in(folder, names, read)).min()
}

fn free_in(folder: &Path, names: &Names, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
    let limit = number(names.limit).filter(|limit| *limit < NO_LIMIT)?;
    let usage = number(names.usage).unwrap_or(0);
    let stat = read(&folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix(names.cache)?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(usage.saturating_sub(cache.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(files: &[(&str, &str)]) -> Option<u64> {
        free_in_groups(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.to_string()))
    }

    #[test]
    fn a_container_has_the_rest_of_its_limit() {
        let version_2 = [
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "1000\n"),
            ("/sys/fs/cgroup/memory.current", "700\n"),
            ("/sys/fs/cgroup/memory.stat", "anon 500\ninactive_file 150\nactive_file 50\n"),
        ];
        assert_eq!(free(&version_2), Some(450));
        let version_1 = [
            // The path is that outside of the container.
            ("/proc/self/cgroup", "12:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n"),
        ];
        assert_eq!(free(&version_1), Some(1500));
    }

    #[test]
    fn the_least_of_all_groups_around_a_process_counts_and_no_limit_is_none() {
        let nested = [
            ("/proc/self/cgroup", "0::/user.slice/run.scope\n"),
            ("/sys/fs/cgroup/user.slice/memory.max", "5000\n"),
            ("/sys/fs/cgroup/user.slice/memory.current", "4000\n"),
            ("/sys/fs/cgroup/user.slice/run.scope/memory.max", "3000\n"),
            ("/sys/fs/cgroup/user.slice/run.scope/memory.current", "100\n"),
        ];
        assert_eq!(free(&nested), Some(1000));
        assert_eq!(free(&nested[..1]), None);
        assert_eq!(free(&[]), None);
        let unlimited = [
            ("/proc/self/cgroup", "4:memory:/\n0::/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory.max", "max\n"),
        ];
        assert_eq!(free(&unlimited), None);
        let over = [
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "10"),
            ("/sys/fs/cgroup/memory.current", "20"),
        ];
        assert_eq!(free(&over), Some(0));
    }

    #[test]
    fn this_process_has_some_memory() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
