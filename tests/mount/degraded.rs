//! Pictures that lost more than their protection covers, and have it back.

use rustix::io::Errno;
use serde_json::Value;

use super::*;

pub(super) const SPREAD: &str = "version = 1\n[defaults]\nprofile = \"standard\"\nlayout = \"spread\"\n[encode]\nlinger = \"0s\"\n";

/// The chunk files of the set of a file.
pub(super) fn chunks(mount: &Mount, name: &str) -> Vec<PathBuf> {
    let set = mount.dir.path().join(format!("store/{name}.holo"));
    let files = fs::read_dir(set)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| !path.ends_with("manifest")).collect();
    files.sort();
    files
}

/// Moves chunk files away, or back.
pub(super) fn hide(mount: &Mount, chunks: &[PathBuf], hide: bool) {
    let aside = mount.dir.path().join("aside");
    fs::create_dir_all(&aside).unwrap();
    for chunk in chunks {
        let hidden = aside.join(chunk.file_name().unwrap());
        let (from, to) = if hide {
            (chunk, &hidden)
        } else {
            (&hidden, chunk)
        };
        fs::rename(from, to).unwrap();
    }
}

fn counted(mount: &Mount, counter: &str) -> u64 {
    let stats = fs::read_to_string(mount.path(".holofs/stats.json")).unwrap();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    stats[counter].as_u64().unwrap()
}

/// Waits until the kernel, which is told on another thread, shows a change time later than this one.
fn changed_since(path: &Path, before: (i64, i64)) -> (i64, i64) {
    loop {
        let meta = fs::metadata(path).unwrap();
        let now = (meta.ctime(), meta.ctime_nsec());
        if now != before {
            assert!(now > before);
            return now;
        }
        thread::yield_now();
    }
}

fn status(mount: &Mount) -> holofs::store::FileStatus {
    let attr = mount.store.lookup_path(Path::new("photo.ppm")).unwrap();
    let status = mount.store.status(attr.ino).unwrap();
    mount.store.forget(attr.ino, 1);
    status
}

/// A mount of a store with one picture, spread over chunk files.
fn with_picture(policy: &str) -> Option<(Mount, Vec<u8>)> {
    let mount = Mount::with_policy(policy, "")?;
    let content = picture(11, 400, 300);
    fs::write(mount.path("photo.ppm"), &content).unwrap();
    assert_eq!(mount.settle().encoded, 1);
    assert_eq!(chunks(&mount, "photo.ppm").len(), 16);
    Some((mount, content))
}

#[test]
fn a_picture_loses_sharpness_and_has_it_back() {
    let Some((mount, content)) = with_picture(SPREAD) else {
        return;
    };
    let mount = mount.again(""); // without a decoded copy
    let path = mount.path("photo.ppm");
    let lost = chunks(&mount, "photo.ppm")[3..9].to_vec();
    hide(&mount, &lost, true);
    let meta = fs::metadata(&path).unwrap();
    let begin = (meta.ctime(), meta.ctime_nsec());
    assert_eq!(counted(&mount, "degraded"), 0);

    let shown = fs::read(&path).unwrap();
    assert_eq!(shown[..15], content[..15]);
    let db = psnr(&shown, &content);
    let softer = changed_since(&path, begin);
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.len(), content.len() as u64);
    assert_eq!(counted(&mount, "degraded"), 1);
    assert_eq!(computed(&path, "status").unwrap(), "degraded");
    assert_eq!(computed(&path, "chunks").unwrap(), "10/16");
    let health = computed(&path, "health").unwrap();
    assert!(health.contains("chunk 3 missing") && health.contains("chunk 8 missing"));
    let told: f64 = computed(&path, "quality").unwrap().parse().unwrap();
    assert!((told - db).abs() < 0.5, "{told} dB told, {db} dB");
    let json = serde_json::to_value(status(&mount)).unwrap();
    assert_eq!(json["state"], "degraded");
    assert_eq!(json["chunks"]["have"], 10);
    assert!((json["quality_db"].as_f64().unwrap() - told).abs() < 0.01);
    // Again the same, and nothing new.
    assert!(fs::read(&path).unwrap() == shown);
    assert_eq!(counted(&mount, "degraded"), 1);
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.ctime(), meta.ctime_nsec()), softer);
    // Soft content does not become the file: it can neither be written to nor kept by a settle.
    let refused = OpenOptions::new().write(true).open(&path).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::IO.raw_os_error()));
    mount.settle();
    assert!(fs::read(&path).unwrap() == shown);

    hide(&mount, &lost, false);
    assert!(fs::read(&path).unwrap() == content);
    changed_since(&path, softer);
    assert!(fs::read(&path).unwrap() == content, "from the cache");
    assert_eq!(computed(&path, "status").unwrap(), "exact");
    assert_eq!(computed(&path, "quality"), Err(Errno::NODATA));
    assert_eq!(computed(&path, "chunks").unwrap(), "16/16");
    assert_eq!(computed(&path, "health").unwrap(), "ok");
    assert_eq!(counted(&mount, "degraded"), 1);
}

/// Who copies through a mount that may not show such pictures gets an error, and never a softer copy.
#[test]
fn mount_option_and_policy_refuse_reduced_quality() {
    let refusing = format!("{SPREAD}[degraded]\nimage = \"eio\"\n");
    for (policy, option) in [(SPREAD, "degraded=eio"), (refusing.as_str(), "")] {
        let Some((mount, content)) = with_picture(policy) else {
            return;
        };
        let lost = chunks(&mount, "photo.ppm")[..5].to_vec();
        hide(&mount, &lost, true);
        let mount = mount.again(option);
        let path = mount.path("photo.ppm");
        let refused = fs::read(&path).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert_eq!(fs::metadata(&path).unwrap().len(), content.len() as u64);
        assert_eq!(computed(&path, "status").unwrap(), "degraded");
        assert_eq!(counted(&mount, "degraded"), 0);
        // The option goes before the policy.
        let mount = mount.again("degraded=serve");
        assert_eq!(fs::read(&path).unwrap().len(), content.len());
        assert_eq!(counted(&mount, "degraded"), 1);
        let mount = mount.again(option);
        assert!(fs::read(&path).is_err());
        hide(&mount, &lost, false);
        assert!(fs::read(&path).unwrap() == content);
    }
}
