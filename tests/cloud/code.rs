//! Roles that ask for a one-time code, where nobody can be asked; at a terminal they are in `tests/terminal`.

use snow_rehearsal::{MFA_DEVICE, Rehearsal};

use crate::child::Call;

#[test]
fn where_nobody_can_be_asked_the_way_round_is_told() {
    let world = Rehearsal::builder().start().unwrap();
    let config = format!(
        "[profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
         [profile p]\nrole_arn = arn:aws:iam::123456789012:role/with-code\nsource_profile = base\nmfa_serial = {MFA_DEVICE}\n\
         [profile site]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = p\n\
         [profile self]\nrole_arn = arn:aws:iam::123456789012:role/with-code\nsource_profile = self\nmfa_serial = m\n\
         aws_access_key_id = {0}\naws_secret_access_key = {1}\n\
         [profile ring]\nrole_arn = r\nsource_profile = gnir\nmfa_serial = m\n\
         [profile gnir]\nrole_arn = r\nsource_profile = ring\nmfa_serial = m\n\
         [profile lost]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\nmfa_serial = m\n",
        world.access_key(),
        world.secret_key(),
    );
    let call =
        |profile: &str| Call::new(&world, "job", world.job().id()).profiles(&config).set("profile", profile).run();
    for (profile, asks) in [("p", "p"), ("site", "p"), ("self", "self")] {
        let outcome = call(profile).expect("mfa_code_needed");
        assert!(
            outcome.sentence.contains(&format!("Profile “{asks}” asks for a one-time code")),
            "{}",
            outcome.sentence
        );
        // What is in use is exported, and not the profile that asks.
        let export = format!("aws configure export-credentials --profile {profile} --format ");
        assert!(outcome.hint.contains(&export), "{}", outcome.hint);
    }
    for (profile, words) in [("ring", "“ring”"), ("lost", "could not be obtained")] {
        let outcome = call(profile).expect("credentials_failed");
        assert!(outcome.sentence.contains(words), "{}", outcome.sentence);
    }
    assert!(world.requests().is_empty());
}
