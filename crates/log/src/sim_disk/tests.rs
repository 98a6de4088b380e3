//! The simulated disk keeps what was synced, and only that for sure.

use super::*;

fn file(disk: &SimDisk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new(path), Open::Create).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_crash() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file(&disk, "/data/a", b"kept").sync().unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        assert_eq!(disk.crash().contents(Path::new("/data/a")).unwrap(), b"kept");
    }
}

#[test]
fn unsynced_bytes_and_names_are_sometimes_lost_and_sometimes_torn() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        file(&disk, "/a", &[7; 2000]);
        seen.insert(
            disk.crash().contents(Path::new("/a")).map(|bytes| (bytes.contains(&7), bytes == [7; 2000])),
        );
    }
    let all = [None, Some((false, false)), Some((true, false)), Some((true, true))];
    assert_eq!(seen, BTreeSet::from(all));
}

#[test]
fn a_rename_is_whole_or_not_at_all() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        file(&disk, "/a", b"old").sync().unwrap();
        file(&disk, "/b", b"new").sync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.rename(Path::new("/b"), Path::new("/a")).unwrap();
        let disk = disk.crash();
        let (a, b) = (disk.contents(Path::new("/a")).unwrap(), disk.contents(Path::new("/b")));
        assert!(a == b"old" && b.is_some() || a == b"new" && b.is_none());
    }
}

#[test]
fn a_failed_sync_saves_nothing_for_sure_not_even_when_repeated() {
    let lost = (0..100).any(|seed| {
        let disk = SimDisk::new(seed);
        let file = file(&disk, "/a", b"bytes");
        disk.sync_dir(Path::new("/")).unwrap();
        disk.fail(Operation::Sync, "/a", 1);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        disk.crash().contents(Path::new("/a")).unwrap() != b"bytes"
    });
    assert!(lost);
}

#[test]
fn a_full_disk_takes_a_part_of_a_write() {
    let disk = SimDisk::new(1);
    disk.limit(Some(3));
    let file = disk.open(Path::new("/a"), Open::Create).unwrap();
    assert_eq!(file.write_at(0, b"bytes").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.contents(Path::new("/a")).unwrap(), b"byt");
}

#[test]
fn a_killed_process_leaves_its_writes_and_can_do_nothing_more() {
    let disk = SimDisk::new(1);
    let old = file(&disk, "/a", b"bytes");
    let disk = disk.kill();
    assert_eq!(disk.contents(Path::new("/a")).unwrap(), b"bytes");
    assert!(old.write_at(0, b"x").is_err());
}
