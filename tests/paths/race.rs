//! A name that changes what it leads to between two looks.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::scene::{Scene, open};
use crate::users::Users;

/// In a folder where everyone may make files, Bert exchanges the log file for a link to something of Anna's, without end.
#[test]
fn a_log_file_that_is_exchanged_for_a_link_in_between_is_never_followed() {
    let Some(users) = Users::make() else { return };
    let scene = Scene::for_user(&users.anna);
    let shared = scene.base.join("shared");
    fs::create_dir(&shared).unwrap();
    open(&shared, 0o1777);
    let victim = scene.rehearsal.home().join("diary");
    scene.write_as(&users.anna, &victim, "dear diary\n", 0o600);
    let (log, job) = (shared.join("log"), scene.rehearsal.job().id().to_owned());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&log);
                let _ = symlink(&victim, &log);
                users.bert.own(&log);
                let _ = fs::remove_file(&log);
                let _ = fs::hard_link(&victim, &log);
                let _ = fs::remove_file(&log);
                std::thread::yield_now();
            }
        });
        for _ in 0..60 {
            scene.run(&["forget", &job, "--keychain", "kernel", "--log-file", log.to_str().unwrap()]).by(&users.anna);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(&victim).unwrap(), "dear diary\n");
}
