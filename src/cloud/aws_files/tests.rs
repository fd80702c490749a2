//! What both files come to.

use super::*;

fn files(config: &str, credentials: &str) -> AwsFiles {
    let source = |name: &str, text: &str| Source { path: PathBuf::from(name), text: text.to_owned() };
    AwsFiles::read(Some(&source("config", config)), Some(&source("credentials", credentials)))
}

fn written(config: &str, credentials: &str, profile: &str) -> String {
    files(config, credentials).for_sdk(profile)
}

fn refusal(config: &str, profile: &str) -> (usize, String) {
    let unusable = files(config, "").check(profile).unwrap_err();
    (unusable.line, unusable.why)
}

#[test]
fn names_that_the_sdk_does_not_take_are_spelled() {
    let config = "[profile \"field büro\"]\nregion: x\nsource_profile = base 1\nrole_arn=r\n[profile 'base 1']\naws_access_key_id=A\naws_secret_access_key=S\n";
    let text = written(config, "", "field büro");
    let (field, base) = (sdk_name("field büro"), sdk_name("base 1"));
    assert_eq!(text, format!("[profile {base}]\n[profile {field}]\nregion = x\n"));
    assert_eq!(sdk_name("a/b.c@d:e+f%g_h-i"), "a/b.c@d:e+f%g_h-i");
    assert_ne!(sdk_name(&sdk_name("ä")), sdk_name("ä"), "no name can pass for another one");
}

#[test]
fn of_several_kinds_the_cli_s_is_written() {
    let kind = |config: &str, credentials: &str| files(config, credentials).kind("a", false).unwrap();
    let keys = "[a]\naws_access_key_id=A\naws_secret_access_key=S\n";
    assert_eq!(kind("[profile a]\ncredential_process = x\n", keys), CredentialKind::Keys);
    assert_eq!(kind("[profile a]\ncredential_process = x\naws_access_key_id=A\n", ""), CredentialKind::Process);
    assert_eq!(kind("[profile a]\nsso_account_id = 1\n", keys), CredentialKind::Sso);
    assert_eq!(
        kind("[profile a]\nsso_session = s\n", keys),
        CredentialKind::Keys,
        "that alone is a sign-in for a token"
    );
    assert_eq!(kind("[profile a]\nrole_arn = r\nsource_profile = a\n", keys), CredentialKind::Role);
    assert_eq!(
        kind("[profile a]\nrole_arn = r\nweb_identity_token_file = f\nsource_profile = a\n", ""),
        CredentialKind::WebIdentity
    );
    assert_eq!(kind("[profile a]\nlogin_session = l\ncredential_process = x\n", ""), CredentialKind::Login);
    assert_eq!(
        written("[profile a]\ncredential_process = \"x # y\" ; $z\n", "", "a"),
        "[profile a]\n",
        "programs are run by ourselves"
    );
    let role = "[profile a]\nrole_arn = r\nmfa_serial = m\nsource_profile = b\n[profile b]\ncredential_process = x\n";
    assert_eq!(written(role, "", "a"), "[profile a]\n[profile b]\n", "roles are assumed by ourselves");
    let token = "[profile a]\nrole_arn = r\nweb_identity_token_file = f\nsource_profile = gone\n";
    assert_eq!(written(token, "", "a"), "[profile a]\nrole_arn = r\nweb_identity_token_file = f\n");
    assert_eq!(files(token, "").check("a"), Ok(()), "the source_profile beside a token file is not read");
    let beside = "credential_process = x\naws_access_key_id = A\naws_secret_access_key = S\n";
    let own = written(&format!("[profile a]\nrole_arn = r\nsource_profile = a\n{beside}"), "", "a");
    assert_eq!(own, "[profile a]\n", "what it borrows is never written");
    let source = files(&format!("[profile a]\nrole_arn = s\nsource_profile = b\n{beside}"), "").kind("a", true);
    assert_eq!(source, Some(CredentialKind::Process));
    let both = written(
        "[profile a]\nsso_session = s\nsso_region = r\nsso_start_url = u\nsso_role_name = n\n[sso-session s]\nsso_region = r\nsso_start_url = u\n",
        "",
        "a",
    );
    assert_eq!(
        both,
        "[profile a]\nsso_role_name = n\nsso_session = s\n[sso-session s]\nsso_region = r\nsso_start_url = u\n"
    );
    let unnamed = "[profile a]\nservices = s\n[services s]\nk = v\n[services t]\n[sso-session s]\n";
    assert_eq!(written(unnamed, "", "a"), "[profile a]\nservices = s\n[services s]\nk = v\n", "nobody names them");
}

#[test]
fn keys_are_of_one_file() {
    let keys = |config: &str, credentials: &str| {
        let files = files(config, credentials);
        let keys =
            files.keys("a").map(|(id, secret, token)| (id.to_owned(), secret.to_owned(), token.map(str::to_owned)));
        keys.map(|(id, secret, token)| format!("{id} {secret} {}", token.unwrap_or_default()))
    };
    let both = "[a]\naws_access_key_id=A\naws_secret_access_key=S\n";
    assert_eq!(keys("", &format!("{both}aws_security_token=T\naws_session_token=U\n")).unwrap(), "A S T");
    assert_eq!(keys("[profile a]\naws_session_token=OLD\n", both).unwrap(), "A S ");
    assert_eq!(keys("[profile a]\naws_secret_access_key=S\n", "[a]\naws_access_key_id=A\n"), None);
    assert_eq!(keys("", "[a]\naws_access_key_id=\naws_secret_access_key=S\n"), None);
}

#[test]
fn what_nobody_depends_on_harms_nobody() {
    let config = "[profile broken]\nnonsense\n[profile a]\nregion = x\ns3 =\n  max = 1\n";
    assert_eq!(files(config, "").check("a"), Ok(()));
    assert_eq!(refusal(config, "broken").0, 2);
    assert_eq!(refusal("[profile a]\nrole_arn = r\nsource_profile = broken\n[profile broken]\nnonsense\n", "a").0, 5);
    assert_eq!(refusal("region = x\n[profile a]\n", "a").0, 1);
}

#[test]
fn what_would_mean_something_else_is_refused_by_line() {
    for (config, line, why) in [
        ("[profile a]\nregion = eu-central-1 # mine\n", 2, "“#”"),
        ("[profile a]\nregion = eu\n  central\n", 2, "more than one line"),
        ("[profile a]\nrole_arn = r\nsource_profile = gone\n", 3, "in neither file"),
        ("[profile a]\nsso_session = gone\nsso_role_name = n\n", 2, "not in the config file"),
        (
            "[profile a]\nsso_account_id = 1\nsso_region = r\nsso_session = s\n[sso-session s]\nsso_region = other\n",
            3,
            "another sso_region",
        ),
        ("[profile a]\nsso_account_id = 1\naws_access_key_id = A\n", 2, "no sso_start_url"),
        ("[profile a]\nweb_identity_token_file = f\naws_access_key_id = A\n", 2, "no role_arn"),
        ("[profile a]\nrole_arn = r\n", 2, "no source_profile"),
        ("[profile a]\nrole_arn = r\nsource_profile = a\n", 3, "leads back"),
        (
            "[profile a]\nrole_arn = r\nsource_profile = a\naws_access_key_id = A\nlogin_session = l\n",
            3,
            "sign-in beside",
        ),
        ("[profile a]\nrole_arn = r\ncredential_source = snow-onboard\n", 3, "none of Environment"),
        ("[profile a]\nrole_arn = r\ncredential_source = EcsContainer\nsource_profile = a\n", 3, "beside the source"),
        ("[profile a]\naws_access_key_id = A\naws_security_token = T T\n", 3, "a blank in aws_security_token"),
        ("[profile a]\ncredential_process = \"x y\n", 2, "a quote open"),
        ("[profile a]\ncredential_process =\n", 2, "no program"),
        ("[profile a]\naws_access_key_id = AK ID\n", 2, "a blank"),
        ("[profile a]\naws_access_key_id = AK\u{200b}ID\n", 2, "U+200B"),
    ] {
        let (found, said) = refusal(config, "a");
        assert!(found == line && said.contains(why), "{config}: {found} {said}");
    }
    assert_eq!(files("[profile a]\ncredential_process = x # y\n  z\n", "").check("a"), Ok(()));
    assert_eq!(
        files("[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a\n", "")
            .lineage("a"),
        ["a", "b"]
    );
}

#[test]
fn a_chain_of_very_many_roles_is_refused_by_line() {
    let chain = |roles: usize| -> String {
        let role = |at: usize| format!("[profile p{at}]\nrole_arn = r\nsource_profile = p{}\n", at + 1);
        (0..roles).map(role).collect::<String>() + &format!("[profile p{roles}]\naws_access_key_id = A\n")
    };
    assert_eq!(files(&chain(50), "").check("p0"), Ok(()));
    assert_eq!(
        refusal(&chain(51), "p0"),
        (153, "leads on to “p51” behind 50 roles, and no more are assumed".to_owned())
    );
    assert_eq!(refusal(&chain(100_000), "p0").0, 153);
}

#[test]
fn no_key_comes_out_of_debug() {
    let files = files("[profile a]\naws_secret_access_key = S3CRET\ns3 =\n  max = S3CRET\n", "");
    assert!(!format!("{files:?}").contains("S3CRET"));
    let source = Source { path: PathBuf::from("config"), text: "S3CRET".to_owned() };
    assert!(!format!("{source:?}").contains("S3CRET"));
}

#[test]
fn sections_mean_what_they_mean_to_the_cli() {
    let files = files(
        "[field]\nregion = x\n[profile a]\nregion = old\n[profile \"a\"]\noutput = json\n[DEFAULT]\nregion = all\n",
        "[profile b]\naws_access_key_id = A\n",
    );
    assert!(!files.has("field") && files.has_without_prefix("field"));
    assert_eq!(files.get("a", "region"), Some("all"), "a later section replaces an earlier one; all inherit");
    assert!(files.has("profile b") && !files.has("b"));
}

#[test]
fn what_every_profile_inherits_is_read_as_python_does() {
    // Of two such sections both count.
    let merged =
        written("[DEFAULT]\noutput = json\n[profile a]\nrole_arn = r\n[DEFAULT]\nregion = eu-west-1\n", "", "a");
    assert!(merged.contains("region = eu-west-1\n"), "{merged}");
    for (config, line) in [
        ("[DEFAULT]\nregion = x\nregion = y\n[profile a]\noutput = json\n", 3),
        ("[DEFAULT]\nregion = x\n[profile a]\noutput = json\n[DEFAULT]\nregion = y\n", 6),
        ("[DEFAULT]\nnonsense\n[profile a]\noutput = json\n", 2),
    ] {
        assert_eq!(refusal(config, "a").0, line, "{config}");
    }
}

#[test]
fn a_role_s_duration_is_a_number_or_refused() {
    let role = |seconds: &str| {
        let config = format!("[profile a]\nrole_arn = r\nsource_profile = b\nduration_seconds ={seconds}\n");
        files(&(config + "[profile b]\naws_access_key_id = A\naws_secret_access_key = S\n"), "").check("a")
    };
    for seconds in ["", " 900", " +900", " 2147483647"] {
        assert_eq!(role(seconds), Ok(()), "{seconds}");
    }
    for seconds in [" 99999999999", " 1h", " 9_00", " 900.0"] {
        assert_eq!(role(seconds).unwrap_err().line, 4, "{seconds}");
    }
}
