//! Each thing that a run reads, obeys, runs, writes or removes, opened to a second user in each way there is.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::scene::{Ended, Scene, listing, open};
use crate::users::{User, Users, run};

/// How a thing comes to be another user's to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Mode,
    Group,
    AccessList,
    /// The same in root's group, whose bits a list may stand behind.
    AccessListOfRoot,
    Owner,
    FolderMode,
    FolderGroup,
    FolderAccessList,
    FolderOwner,
    FolderAbove,
    Link,
    HardLink,
    Pipe,
    Huge,
}

const ALL: [Means; 14] = {
    use Means::*;
    [
        Mode,
        Group,
        AccessList,
        AccessListOfRoot,
        Owner,
        FolderMode,
        FolderGroup,
        FolderAccessList,
        FolderOwner,
        FolderAbove,
        Link,
        HardLink,
        Pipe,
        Huge,
    ]
};

impl Means {
    /// Opens the file `path` of Anna's so to Bert. What he puts in its place, where he does, is `theirs`.
    fn apply(self, path: &Path, bert: &User, theirs: &str) {
        let folder = path.parent().unwrap();
        let mode_of = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        let widen = |path: &Path, bits: u32| open(path, mode_of(path) & 0o7777 | bits);
        let to_group = |path: &Path| std::os::unix::fs::lchown(path, None, Some(bert.gid)).unwrap();
        let list = |path: &Path| run("setfacl", &["-m", &format!("u:{}:rwx", bert.name), path.to_str().unwrap()], &[0]);
        let in_its_place = |make: &dyn Fn(&Path)| {
            let _ = fs::remove_file(path);
            make(path);
        };
        match self {
            Self::Mode => widen(path, 0o002),
            Self::Group => {
                to_group(path);
                widen(path, 0o020);
            }
            Self::AccessList => list(path),
            Self::AccessListOfRoot => {
                std::os::unix::fs::lchown(path, Some(0), Some(0)).unwrap();
                open(path, mode_of(path) & 0o7777 | 0o044);
                list(path);
            }
            Self::Owner => bert.own(path),
            Self::FolderMode => widen(folder, 0o007),
            Self::FolderGroup => {
                to_group(folder);
                widen(folder, 0o070);
            }
            Self::FolderAccessList => list(folder),
            Self::FolderOwner => {
                bert.own(folder);
                widen(folder, 0o055);
            }
            Self::FolderAbove => list(folder.parent().unwrap()),
            Self::Link => in_its_place(&|path| {
                let target = folder.join("of-bert");
                fs::write(&target, theirs).unwrap();
                open(&target, 0o755);
                bert.own(&target);
                symlink(&target, path).unwrap();
            }),
            Self::HardLink => in_its_place(&|path| {
                let target = folder.join("of-bert");
                fs::write(&target, theirs).unwrap();
                open(&target, 0o755);
                bert.own(&target);
                fs::hard_link(&target, path).unwrap();
            }),
            Self::Pipe => in_its_place(&|path| {
                run("mkfifo", &["-m", "666", path.to_str().unwrap()], &[0]);
                bert.own(path);
            }),
            Self::Huge => in_its_place(&|path| {
                File::create(path).unwrap().set_len(8 << 30).unwrap();
                open(path, 0o755);
                bert.own(path);
            }),
        }
    }
}

/// Something that a run goes by, and the exit code that ends it when somebody else can change that.
struct Thing {
    name: &'static str,
    path: fn(&Scene) -> PathBuf,
    /// What Bert would have stand there.
    theirs: fn(&Scene) -> String,
    exit: i32,
}

const THINGS: [Thing; 8] = [
    Thing {
        name: "settings file",
        path: Scene::settings_file,
        theirs: |scene| format!("handoff = \"argv\"\nlog_file = \"{}\"\n", scene.mark.display()),
        exit: 3,
    },
    Thing { name: "CA file", path: |scene| scene.base.join("ca/own/ca.pem"), theirs: |_| String::new(), exit: 3 },
    Thing {
        name: "CA file of the system's variable",
        path: |scene| scene.base.join("ssl/own/ca.pem"),
        theirs: |_| String::new(),
        exit: 3,
    },
    Thing {
        name: "AWS profile file",
        path: Scene::aws_config,
        theirs: |scene| format!("[default]\ncredential_process = touch {}\n", scene.mark.display()),
        exit: 4,
    },
    Thing { name: "log file", path: |scene| scene.base.join("logs/own/log"), theirs: |_| "theirs".to_owned(), exit: 3 },
    Thing {
        name: "launcher",
        path: |scene| scene.package().join("bin/snowballEdge"),
        theirs: Scene::marking_program,
        exit: 11,
    },
    Thing {
        name: "java",
        path: |scene| scene.package().join("jre/bin/java"),
        theirs: Scene::marking_program,
        exit: 11,
    },
    Thing {
        name: "jar",
        path: |scene| scene.package().join("lib/snowball-client-1.2.0.jar"),
        theirs: |_| "theirs".to_owned(),
        exit: 11,
    },
];

/// A fresh place with everything as Anna would have it.
fn prepare(users: &Users) -> Scene {
    let scene = Scene::for_user(&users.anna);
    let ca = fs::read_to_string(scene.rehearsal.ca_bundle()).unwrap();
    scene.write_as(&users.anna, &scene.base.join("ca/own/ca.pem"), &ca, 0o600);
    scene.write_as(&users.anna, &scene.base.join("ssl/own/ca.pem"), &ca, 0o600);
    scene.write_as(&users.anna, &scene.base.join("logs/own/log"), "", 0o600);
    // A hard link of the build's: its owner and mode are not the test's to change.
    let java = scene.package().join("jre/bin/java");
    let copy = java.with_extension("copy");
    run("cp", &[java.to_str().unwrap(), copy.to_str().unwrap()], &[0]);
    fs::rename(copy, java).unwrap();
    scene
}

fn first_start(scene: &Scene, anna: &User) -> Ended {
    let run = scene.first_start().arg("--ca-bundle").arg(scene.base.join("ca/own/ca.pem"));
    run.arg("--log-file").arg(scene.base.join("logs/own/log")).by(anna)
}

#[test]
fn a_second_user_has_no_say_in_what_a_run_goes_by() {
    let Some(users) = Users::make() else { return };
    let scene = prepare(&users);
    let well = first_start(&scene, &users.anna);
    assert_eq!(well.code, Some(0), "a control: {}", well.said);
    assert!(fs::metadata(scene.base.join("logs/own/log")).unwrap().len() > 0, "the log is written");
    for thing in THINGS {
        for means in ALL {
            let scene = prepare(&users);
            let path = (thing.path)(&scene);
            means.apply(&path, &users.bert, &(thing.theirs)(&scene));
            let row = format!("{}, by {means:?}", thing.name);
            let before = listing(&scene.base.join("logs"));
            let ended = if thing.name.contains("variable") {
                scene.first_start().env("SSL_CERT_FILE", &path).by(&users.anna)
            } else {
                first_start(&scene, &users.anna)
            };
            assert_eq!(ended.code, Some(thing.exit), "{row}: {}", ended.said);
            assert!(!scene.mark.exists(), "{row}: Bert's word was obeyed: {}", ended.said);
            let told = [
                "snow-bert",
                "belongs to root",
                "can be written by",
                "can be opened by",
                "hard links",
                "symbolic link",
                "is not a file",
                "is neither",
            ];
            assert!(told.iter().any(|words| ended.said.contains(words)), "{row}: {}", ended.said);
            assert_eq!(scene.rehearsal.count(snow_rehearsal::Operation::GetJobUnlockCode), 0, "{row}");
            if thing.name == "log file" {
                assert_eq!(listing(&scene.base.join("logs")), before, "{row}");
            }
            println!("  {row}: exit {}", thing.exit);
        }
    }
}

/// Programs that an AWS profile names, and files that it leads to.
#[test]
fn what_an_aws_profile_leads_to_is_looked_at() {
    let Some(users) = Users::make() else { return };
    let (anna, bert) = (&users.anna, &users.bert);
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let try_with = |scene: &Scene, profile: &str, variables: &[(&str, &str)]| {
        scene.write_as(anna, &scene.aws_config(), profile, 0o600);
        let mut run = scene.run(&["jobs"]).with_ca();
        for name in keys {
            run.command.env_remove(name);
        }
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).by(anna)
    };
    let scene = prepare(&users);
    let (id, secret) = (scene.rehearsal.access_key(), scene.rehearsal.secret_key());
    let prints =
        format!("#!/bin/sh\necho '{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\"}}'\n");
    let bin = scene.base.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["helper", "sh"] {
        let (path, text) = (bin.join(name), if name == "sh" { scene.marking_program() } else { prints.clone() });
        fs::write(&path, text).unwrap();
        open(&path, 0o755);
    }
    let helper = bin.join("helper");
    let process = format!("[default]\ncredential_process = {}\n", helper.display());
    let well = try_with(&scene, &process, &[]);
    assert_eq!(well.code, Some(0), "a control: {}", well.said);

    // What runs a script runs with it.
    let interpreter = scene.base.join("sh-of-bert");
    fs::write(&interpreter, scene.marking_program()).unwrap();
    open(&interpreter, 0o755);
    bert.own(&interpreter);
    fs::write(&helper, prints.replacen("/bin/sh", interpreter.to_str().unwrap(), 1)).unwrap();
    let refused = try_with(&scene, &process, &[]);
    assert!(refused.code == Some(4) && refused.said.contains("helper is run by"), "{}", refused.said);
    assert!(!scene.mark.exists(), "{}", refused.said);
    fs::write(&helper, &prints).unwrap();

    bert.own(&helper);
    let refused = try_with(&scene, &process, &[]);
    assert!(refused.code == Some(4) && refused.said.contains("helper belongs to snow-bert"), "{}", refused.said);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    bert.own(&bin);
    let by_name = "[default]\ncredential_process = helper\n";
    let refused = try_with(&scene, by_name, &[("PATH", &path)]);
    assert!(refused.code == Some(4) && refused.said.contains("belongs to snow-bert"), "{}", refused.said);
    assert!(!scene.mark.exists(), "not even the shell was Bert's");

    let token = scene.base.join("token");
    fs::write(&token, "theirs").unwrap();
    bert.own(&token);
    let role = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")];
    let refused = try_with(&scene, "[default]\n", &role);
    assert!(refused.code == Some(4) && refused.said.contains("token belongs to snow-bert"), "{}", refused.said);

    let cache = scene.rehearsal.home().join(".aws/sso/cache");
    scene.write_as(anna, &cache.join("0.json"), "{}", 0o600);
    let sso = "[default]\nsso_start_url = https://127.0.0.1:9/start\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = field\n";
    assert_eq!(try_with(&scene, sso, &[]).code, Some(4), "a control: it is an empty one");
    bert.own(&cache.join("0.json"));
    let refused = try_with(&scene, sso, &[]);
    assert!(
        refused.said.contains("the kept sign-in can't be used") && refused.said.contains("snow-bert"),
        "{}",
        refused.said
    );
}

/// Where each user has a group of his own, packages are unpacked with mode 0775: that is nobody else's, until somebody else
/// is in that group.
#[test]
fn a_group_of_one_s_own_is_no_stranger_until_there_is_one_in_it() {
    let Some(users) = Users::make() else { return };
    let scene = prepare(&users);
    let package = scene.package();
    let package = package.to_str().unwrap();
    run("chown", &["-R", "snow-anna:snow-anna", package], &[0]);
    run("chmod", &["-R", "g+w", package], &[0]);
    let ended = first_start(&scene, &users.anna);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    run("usermod", &["-a", "-G", "snow-anna", "snow-bert"], &[0]);
    let ended = first_start(&scene, &users.anna);
    assert!(ended.code == Some(11) && ended.said.contains("the group snow-anna"), "{}", ended.said);
}

/// The folders of the state folder, and those above it.
#[test]
fn a_second_user_has_no_say_in_the_state_folder() {
    use Means::{AccessList, AccessListOfRoot, Group, Link, Mode, Owner};
    let Some(users) = Users::make() else { return };
    let (anna, bert) = (&users.anna, &users.bert);
    let parts = ["", "jobs", "incoming", "locks", "homes", "once", ".."];
    for part in parts {
        for means in [Mode, Group, AccessList, AccessListOfRoot, Owner, Link] {
            let scene = prepare(&users);
            // Once, so that all parts are there.
            assert_eq!(first_start(&scene, anna).code, Some(0));
            let path = if part == ".." { scene.rehearsal.state_home().to_owned() } else { scene.state().join(part) };
            let path = PathBuf::from(path.to_str().unwrap().trim_end_matches('/'));
            let theirs = scene.base.join("theirs");
            fs::create_dir(&theirs).unwrap();
            fs::write(theirs.join("n.txt"), "x").unwrap();
            if means == Link {
                fs::rename(&path, scene.base.join("moved")).unwrap();
                bert.own(&theirs);
                symlink(&theirs, &path).unwrap();
                bert.own(&path);
            } else {
                means.apply(&path, bert, "");
            }
            let places = [scene.rehearsal.home(), scene.rehearsal.state_home(), scene.rehearsal.runtime_dir(), &theirs];
            let (row, before) = (format!("{part:?}, by {means:?}"), places.map(listing));
            let downloads = scene.rehearsal.downloads();
            for verb in ["run", "fetch", "forget", "jobs", "doctor"] {
                let ended = match verb {
                    "run" => first_start(&scene, anna),
                    "jobs" | "doctor" => scene.run(&[verb, "--keychain", "none"]).with_ca().by(anna),
                    _ => scene.run(&[verb, scene.rehearsal.job().id()]).with_ca().by(anna),
                };
                assert_eq!(ended.code, Some(9), "{row}: {verb}: {}", ended.said);
            }
            assert_eq!(places.map(listing), before, "{row}: nothing was made, written or removed");
            assert_eq!(scene.rehearsal.downloads(), downloads, "{row}");
            println!("  {row}: refused");
        }
    }
}

/// Files that the agent made itself: with another owner, another name, or another's list, they are no longer its own.
#[test]
fn a_second_user_has_no_say_in_the_files_of_the_state_folder() {
    let Some(users) = Users::make() else { return };
    let (anna, bert) = (&users.anna, &users.bert);
    for name in ["audit.jsonl", "locks"] {
        for means in ALL.into_iter().filter(|means| !format!("{means:?}").starts_with("Folder")) {
            let scene = prepare(&users);
            assert_eq!(first_start(&scene, anna).code, Some(0));
            let mut path = scene.state().join(name);
            if name == "locks" {
                path = path.join(scene.rehearsal.job().id());
            }
            means.apply(&path, bert, "theirs");
            let before = fs::symlink_metadata(&path).unwrap().len();
            let ended = first_start(&scene, anna);
            assert_eq!(ended.code, Some(9), "{name}, by {means:?}: {}", ended.said);
            assert_eq!(fs::symlink_metadata(&path).unwrap().len(), before, "{name}, by {means:?}: not written");
        }
    }
}

/// What is only passed on is left out, with a note, and the run goes on.
#[test]
fn what_a_second_user_can_change_does_not_reach_the_client() {
    let Some(users) = Users::make() else { return };
    let (anna, bert) = (&users.anna, &users.bert);
    let scene = prepare(&users);
    // A launcher that looks a program up on PATH, as some do their java, and uses TMPDIR.
    let launcher = scene.package().join("bin/snowballEdge");
    let script = fs::read_to_string(&launcher).unwrap();
    let looks_up =
        script.replacen('\n', "\ncommand -v snow-tool >/dev/null && snow-tool\nls \"${TMPDIR:-/nowhere}\" >&2\n", 1);
    fs::write(&launcher, looks_up).unwrap();
    let bin = scene.base.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("snow-tool"), scene.marking_program()).unwrap();
    open(&bin.join("snow-tool"), 0o755);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let ended = scene.first_start().with_ca().env("PATH", &path).by(anna);
    assert!(
        ended.code == Some(0) && scene.mark.exists(),
        "a control: what nobody else can change is found: {}",
        ended.said
    );
    assert!(!ended.said.contains("runs without these folders"), "{}", ended.said);
    fs::remove_file(&scene.mark).unwrap();

    let list = |path: &Path| run("setfacl", &["-m", "u:snow-bert:rwx", path.to_str().unwrap()], &[0]);
    type Opened<'a> = (&'a str, &'a dyn Fn());
    let ways: [Opened<'_>; 4] = [
        ("mode", &|| open(&bin, 0o777)),
        ("sticky", &|| open(&bin, 0o1777)),
        ("list", &|| list(&bin)),
        ("owner", &|| bert.own(&bin)),
    ];
    for (way, make) in ways {
        open(&bin, 0o755);
        run("setfacl", &["-b", bin.to_str().unwrap()], &[0]);
        make();
        let ended = scene.first_start().with_ca().env("PATH", &path).by(anna);
        assert!(ended.code == Some(0) && !scene.mark.exists(), "{way}: {}", ended.said);
        assert!(
            ended.said.contains("The client runs without these folders, because other users can change them"),
            "{way}: {}",
            ended.said
        );
        assert!(ended.said.contains("(PATH)"), "{way}: {}", ended.said);
    }

    // A link of Anna's own to a program of Bert's, in a folder that only she can change.
    run("setfacl", &["-b", bin.to_str().unwrap()], &[0]);
    open(&bin, 0o755);
    anna.own(&bin);
    let theirs = scene.base.join("programs of bert");
    fs::create_dir(&theirs).unwrap();
    fs::rename(bin.join("snow-tool"), theirs.join("snow-tool")).unwrap();
    bert.own(&theirs);
    std::os::unix::fs::symlink(theirs.join("snow-tool"), bin.join("snow-tool")).unwrap();
    let ended = scene.first_start().with_ca().env("PATH", &path).by(anna);
    assert!(ended.code == Some(0) && !scene.mark.exists(), "{}", ended.said);
    assert!(ended.said.contains("snow-tool leads to") && ended.said.contains("snow-bert"), "{}", ended.said);

    let tmp = scene.base.join("tmp of bert");
    fs::create_dir(&tmp).unwrap();
    bert.own(&tmp);
    let runtime = scene.base.join("runtime of bert");
    fs::create_dir(&runtime).unwrap();
    open(&runtime, 0o777);
    bert.own(&runtime);
    open(&tmp, 0o777);
    let ended = scene.first_start().with_ca().env("TMPDIR", &tmp).env("XDG_RUNTIME_DIR", &runtime).by(anna);
    assert!(ended.code == Some(0) && ended.said.contains("(TMPDIR)"), "{}", ended.said);
    assert!(listing(&tmp).is_empty() && listing(&runtime).is_empty());
}

/// A home that an earlier run left is removed only where nobody else can have put it.
#[test]
fn what_a_second_user_put_in_the_place_of_a_leftover_stays() {
    let Some(users) = Users::make() else { return };
    let (anna, bert) = (&users.anna, &users.bert);
    let scene = prepare(&users);
    let leftover = |folder: &Path, owner: &User| {
        let home = folder.join("snow-onboard-0123456789ab");
        fs::create_dir_all(&home).unwrap();
        open(&home, 0o700);
        for name in [".lock", "profile"] {
            fs::write(home.join(name), "x").unwrap();
            open(&home.join(name), 0o600);
            owner.own(&home.join(name));
        }
        owner.own(&home);
        home
    };
    let notes = scene.state().join("homes");
    assert_eq!(first_start(&scene, anna).code, Some(0));
    let theirs = scene.base.join("bert");
    fs::create_dir(&theirs).unwrap();
    bert.own(&theirs);
    open(&theirs, 0o755);
    let note = |home: &Path| {
        scene.write_as(anna, &notes.join("snow-onboard-0123456789ab"), home.to_str().unwrap(), 0o600);
    };

    // Anna's own, by all signs, in a folder where Bert can exchange it.
    let in_theirs = leftover(&theirs, anna);
    note(&in_theirs);
    first_start(&scene, anna);
    assert!(in_theirs.join("profile").exists(), "in a folder of Bert's");
    // Bert's in Anna's place.
    let of_bert = leftover(&scene.temporary(), bert);
    note(&of_bert);
    first_start(&scene, anna);
    assert!(of_bert.join("profile").exists(), "of Bert's");
    fs::remove_dir_all(&of_bert).unwrap();
    // Behind a link.
    let behind = scene.base.join("behind");
    fs::create_dir(&behind).unwrap();
    anna.own(&behind);
    let real = leftover(&behind, anna);
    symlink(&real, &of_bert).unwrap();
    anna.own(&of_bert);
    first_start(&scene, anna);
    assert!(real.join("profile").exists(), "behind a link");
    fs::remove_file(&of_bert).unwrap();
    // A control.
    let own = leftover(&scene.temporary(), anna);
    note(&own);
    first_start(&scene, anna);
    assert!(!own.exists() && !notes.join("snow-onboard-0123456789ab").exists(), "Anna's own goes");
}
