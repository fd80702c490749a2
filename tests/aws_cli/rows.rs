//! The rows: files, variables and flags that people have. What is right for each, the AWS CLI says.

/// One configuration.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// Below the home folder.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// `None` takes one away that every row has.
    pub(crate) variables: Vec<(&'static str, Option<&'static str>)>,
    pub(crate) args: Vec<&'static str>,
    pub(crate) than: Than,
}

/// What the agent does in comparison, with the reason where that is something else.
pub(crate) enum Than {
    Same,
    /// It works where the CLI refuses.
    Works(#[allow(dead_code, reason = "for whoever reads the row")] &'static str),
    /// It refuses where the CLI works.
    Refuses(#[allow(dead_code, reason = "for whoever reads the row")] &'static str),
    /// It works with this region, and the CLI with another or none.
    Region(&'static str, #[allow(dead_code, reason = "for whoever reads the row")] &'static str),
}

const CONFIG: &str = ".aws/config";
const CREDENTIALS: &str = ".aws/credentials";

fn row(what: &'static str) -> Row {
    Row { what, files: Vec::new(), variables: Vec::new(), args: Vec::new(), than: Than::Same }
}

impl Row {
    fn file(mut self, name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, content.into()));
        self
    }

    fn config(self, content: &str) -> Self {
        self.file(CONFIG, content)
    }

    /// A configuration file with keys for it in the other one.
    fn with_keys(self, config: &str) -> Self {
        self.config(config).credentials("[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = S\n")
    }

    fn credentials(self, content: &str) -> Self {
        self.file(CREDENTIALS, content)
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, Some(value)));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.variables.push((name, None));
        self
    }

    fn profile(mut self, name: &'static str) -> Self {
        self.args.extend(["--profile", name]);
        self
    }

    fn than(mut self, than: Than) -> Self {
        self.than = than;
        self
    }
}

/// Two profiles with regions and keys of their own.
const TWO: &str = "[default]\nregion = eu-west-1\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = S\n\
                   [profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\n\
                   [profile b]\nregion = ap-south-1\naws_access_key_id = AKIDB\naws_secret_access_key = S\n";

const UNSET: &str = "an empty variable is how a script unsets one";
const NO_KEY: &str = "there is no such key at AWS";
const NO_REGION: &str = "there is no such region at AWS";
const OWN_WAY: &str = "a mistake in a colleague's profile is no reason not to find one's own";

pub(crate) fn all() -> Vec<Row> {
    let rows = [profiles(), regions(), forms(), sources(), order(), roles(), ways(), quirks()];
    rows.into_iter().flatten().collect()
}

fn profiles() -> Vec<Row> {
    vec![
        row("nothing is set").config(TWO),
        row("AWS_PROFILE").config(TWO).var("AWS_PROFILE", "a"),
        row("AWS_DEFAULT_PROFILE").config(TWO).var("AWS_DEFAULT_PROFILE", "a"),
        row("both").config(TWO).var("AWS_PROFILE", "a").var("AWS_DEFAULT_PROFILE", "b"),
        row("AWS_PROFILE is empty").config(TWO).var("AWS_PROFILE", "").than(Than::Works(UNSET)),
        row("AWS_DEFAULT_PROFILE is empty")
            .config(TWO)
            .var("AWS_PROFILE", "a")
            .var("AWS_DEFAULT_PROFILE", "")
            .than(Than::Works(UNSET)),
        row("a flag against both").config(TWO).profile("b").var("AWS_PROFILE", "a"),
        row("a profile that is not there").config(TWO).var("AWS_PROFILE", "gone"),
        row("keys in variables against a profile in a variable")
            .config(TWO)
            .var("AWS_PROFILE", "a")
            .var("AWS_ACCESS_KEY_ID", "AKIDENV")
            .var("AWS_SECRET_ACCESS_KEY", "S"),
        row("keys in variables against a profile in a flag")
            .config(TWO)
            .profile("a")
            .var("AWS_ACCESS_KEY_ID", "AKIDENV")
            .var("AWS_SECRET_ACCESS_KEY", "S"),
        row("a token in variables")
            .config(TWO)
            .var("AWS_ACCESS_KEY_ID", "AKIDENV")
            .var("AWS_SECRET_ACCESS_KEY", "S")
            .var("AWS_SESSION_TOKEN", "TOKEN"),
        row("an empty token in a variable")
            .config(TWO)
            .var("AWS_ACCESS_KEY_ID", "AKIDENV")
            .var("AWS_SECRET_ACCESS_KEY", "S")
            .var("AWS_SESSION_TOKEN", ""),
        row("a key in a variable without its secret").config(TWO).var("AWS_ACCESS_KEY_ID", "AKIDENV"),
        row("keys in empty variables").config(TWO).var("AWS_ACCESS_KEY_ID", "").var("AWS_SECRET_ACCESS_KEY", ""),
        row("[profile default]")
            .config("[profile default]\nregion = us-east-1\naws_access_key_id = AKIDD\naws_secret_access_key = S\n"),
        row("[profile default] and [default]").config(
            "[profile default]\nregion = us-east-1\naws_access_key_id = AKIDP\naws_secret_access_key = S\n\
             [default]\nregion = eu-west-1\naws_access_key_id = AKIDD\naws_secret_access_key = S\n",
        ),
        row("[default] and [profile default]").config(
            "[default]\nregion = eu-west-1\naws_access_key_id = AKIDD\naws_secret_access_key = S\n\
             [profile default]\nregion = us-east-1\naws_access_key_id = AKIDP\naws_secret_access_key = S\n",
        ),
        row("without the word profile")
            .config("[a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .profile("a"),
        row("keys in both files")
            .config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDCONFIG\naws_secret_access_key = S\n")
            .credentials("[a]\naws_access_key_id = AKIDCREDENTIALS\naws_secret_access_key = S\n")
            .profile("a"),
        row("[profile a] in the credentials file")
            .config("[profile a]\nregion = us-east-1\n")
            .credentials("[profile a]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .profile("a"),
    ]
}

fn regions() -> Vec<Row> {
    const NEWER: &str = "version 2 of the CLI and every SDK read AWS_REGION, and before AWS_DEFAULT_REGION";
    const TRIMMED: &str = "a blank around a region is none of it";
    vec![
        row("AWS_DEFAULT_REGION").config(TWO).var("AWS_DEFAULT_REGION", "sa-east-1"),
        row("AWS_REGION").config(TWO).var("AWS_REGION", "sa-east-1").than(Than::Region("sa-east-1", NEWER)),
        row("AWS_REGION against AWS_DEFAULT_REGION")
            .config(TWO)
            .var("AWS_REGION", "sa-east-1")
            .var("AWS_DEFAULT_REGION", "us-west-2")
            .than(Than::Region("sa-east-1", NEWER)),
        row("AWS_DEFAULT_REGION is empty")
            .config(TWO)
            .var("AWS_DEFAULT_REGION", "")
            .than(Than::Region("eu-west-1", UNSET)),
        row("no region").with_keys("[default]\noutput = json\n"),
        row("an empty region").with_keys("[default]\nregion =\n").than(Than::Refuses(NO_REGION)),
        row("a region with blanks and tabs").with_keys("[default]\nregion = \t us-east-1 \t\n"),
        row("AWS_DEFAULT_REGION with a blank")
            .config(TWO)
            .var("AWS_DEFAULT_REGION", "us-west-2 ")
            .than(Than::Region("us-west-2", TRIMMED)),
        row("AWS_DEFAULT_REGION with a carriage return")
            .config(TWO)
            .var("AWS_DEFAULT_REGION", "us-west-2\r")
            .than(Than::Region("us-west-2", TRIMMED)),
        row("a region that is none").with_keys("[default]\nregion = eu_west_1!\n"),
        row("the region of the device").with_keys("[default]\nregion = snow\n").than(Than::Refuses(
            "the device's own region has no jobs; of the CLI it would go to the address of its choice",
        )),
    ]
}

fn forms() -> Vec<Row> {
    const KEYS: &str = "aws_access_key_id = AKIDA\naws_secret_access_key = S\n";
    let with = |header: &str| format!("{header}\nregion = us-east-1\n{KEYS}");
    vec![
        row("indented comments")
            .config(&format!("[profile a]\n  # one\n\t; two\nregion = us-east-1\n{KEYS}"))
            .profile("a"),
        row("a comment after a value").config(&format!("[profile a]\nregion = us-east-1 # mine\n{KEYS}")).profile("a"),
        row("a comment after a key")
            .config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA # mine\naws_secret_access_key = S\n")
            .profile("a")
            .than(Than::Refuses(NO_KEY)),
        row("indented properties")
            .config("[profile a]\n  region = us-east-1\n  aws_access_key_id = AKIDA\n  aws_secret_access_key = S\n")
            .profile("a"),
        row("properties indented more and more")
            .config("[profile a]\nregion = us-east-1\n aws_access_key_id = AKIDA\n  aws_secret_access_key = S\n")
            .profile("a"),
        row("a blank in a name").config(&with("[profile \"field team\"]")).profile("field team"),
        row("an umlaut in a name").config(&with("[profile büro]")).profile("büro"),
        row("a name in single quotes").config(&with("[profile 'a']")).profile("a"),
        row("a blank in a name without quotes").config(&with("[profile field team]")).profile("field team"),
        row("blanks around a name").config(&with("[ profile a ]")).profile("a"),
        row("a tab before a name").config(&with("[profile\ta]")).profile("a"),
        row("PROFILE").config(&with("[PROFILE a]")).profile("a"),
        row("profiles").config(&with("[profiles a]")).profile("a"),
        row("key: value")
            .config("[profile a]\nregion: us-east-1\naws_access_key_id: AKIDA\naws_secret_access_key: S\n")
            .profile("a"),
        row("text after the bracket").config(&with("[profile a] # mine")).profile("a"),
        row("a bracket in a name").config(&with("[profile a]b]")).profile("a]b"),
        row("a section twice")
            .config(&format!("{}{}", with("[profile a]"), "[profile a]\noutput = json\n"))
            .profile("a"),
        row("a section twice, quoted once")
            .config(&format!(
                "{}{}",
                with("[profile a]"),
                "[profile \"a\"]\nregion = eu-west-1\naws_access_key_id = AKIDB\naws_secret_access_key = S\n"
            ))
            .profile("a"),
        row("a key twice").config(&format!("[profile a]\nregion = us-east-1\nregion = eu-west-1\n{KEYS}")).profile("a"),
        row("a key twice in the credentials file")
            .config("[profile a]\nregion = us-east-1\n")
            .credentials("[a]\naws_access_key_id = AKIDA\naws_access_key_id = AKIDB\naws_secret_access_key = S\n")
            .profile("a"),
        row("keys in upper case")
            .config("[profile a]\nREGION = us-east-1\nAWS_ACCESS_KEY_ID = AKIDA\nAWS_SECRET_ACCESS_KEY = S\n")
            .profile("a"),
        row("blanks around keys")
            .config("[profile a]\nregion   =us-east-1\naws_access_key_id\t=\tAKIDA\naws_secret_access_key =S\n")
            .profile("a"),
        row("a byte order mark")
            .config(&format!("\u{feff}{}", with("[profile a]")))
            .profile("a")
            .than(Than::Works("editors of Windows write one")),
        row("a byte order mark in the credentials file")
            .config("[profile a]\nregion = us-east-1\n")
            .credentials("\u{feff}[a]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .profile("a")
            .than(Than::Works("editors of Windows write one")),
        row("line ends of Windows").config(&with("[profile a]").replace('\n', "\r\n")).profile("a"),
        row("line ends of an old Macintosh").config(&with("[profile a]").replace('\n', "\r")).profile("a"),
        row("a carriage return in a key")
            .config("[profile a]\nregion = us-east-1\naws_access_key_id = AK\rID\naws_secret_access_key = S\n")
            .profile("a"),
        row("not UTF-8")
            .file(CONFIG, [with("[profile a]").as_bytes(), b"[profile b\xfcro]\nregion = eu-west-1\n"].concat())
            .profile("a"),
        row("not UTF-8 in a comment")
            .file(CONFIG, [b"# b\xfcro\n", with("[profile a]").as_bytes()].concat())
            .profile("a"),
        row("an empty file")
            .config("")
            .credentials("[default]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .var("AWS_DEFAULT_REGION", "us-east-1"),
        row("a broken section that is not ours")
            .config(&format!("{}[profile b]\nnonsense\n", with("[profile a]")))
            .profile("a")
            .than(Than::Works(OWN_WAY)),
        row("a broken section that is ours")
            .config(&format!("[profile a]\nnonsense\nregion = us-east-1\n{KEYS}"))
            .profile("a"),
        row("a line before all sections").config(&format!("region = us-east-1\n{}", with("[profile a]"))).profile("a"),
        row("a section for all").config(&format!("[DEFAULT]\nregion = us-east-1\n[profile a]\n{KEYS}")).profile("a"),
        row("a value of two lines")
            .config(&format!("[profile a]\nregion = us-east-1\nca_bundle = {{ca}}\n  x\n{KEYS}"))
            .profile("a")
            .without("AWS_CA_BUNDLE"),
        row("settings of a service")
            .config(&format!(
                "[profile a]\nregion = us-east-1\ns3 =\n  max_concurrent_requests = 20\n  nonsense = = 1\n{KEYS}"
            ))
            .profile("a"),
        row("settings of a service that are none")
            .config(&format!("[profile a]\nregion = us-east-1\ns3 =\n  nonsense\n{KEYS}"))
            .profile("a"),
        row("a percent sign in a value")
            .config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA%%\naws_secret_access_key = S\n")
            .profile("a"),
        row("an equals sign in a secret")
            .config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S=/+;#x\n")
            .profile("a"),
    ]
}

fn sources() -> Vec<Row> {
    const PROCESS: &str = r#"{\"Version\": 1, \"AccessKeyId\": \"AKIDPROCESS\", \"SecretAccessKey\": \"S\"}"#;
    let process = |command: &str| format!("[profile a]\nregion = us-east-1\ncredential_process = {command}\n");
    vec![
        row("no secret").config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\n").profile("a"),
        row("an empty secret").config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key =\n").profile("a").than(Than::Refuses(NO_KEY)),
        row("an empty key id").config("[profile a]\nregion = us-east-1\naws_access_key_id =\naws_secret_access_key = S\n").profile("a"),
        row("a token").config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\naws_session_token = T\n").profile("a"),
        row("an older token").config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\naws_security_token = T\naws_session_token = U\n").profile("a"),
        row("a source_profile without a role").config("[profile a]\nregion = us-east-1\nsource_profile = b\n[profile b]\naws_access_key_id = AKIDB\naws_secret_access_key = S\n").profile("a"),
        row("a role without a source").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\n").profile("a"),
        row("a role and a source that is missing").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = gone\n").profile("a"),
        row("a role and a source without keys").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n[profile b]\nregion = us-east-1\n").profile("a"),
        row("a role with itself and without keys").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = a\n").profile("a"),
        row("roles in a circle").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = a\n").profile("a"),
        row("a role with two kinds of sources").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\ncredential_source = Environment\n[profile b]\naws_access_key_id = AKIDB\naws_secret_access_key = S\n").profile("a"),
        row("a role and a credential_source that is none").config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Nowhere\n").profile("a"),
        row("a program and its words").config(&process("/bin/sh -c \"cat '{home}/its words'\"")).file("its words", r#"{"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "S"}"#).profile("a"),
        row("a program and no shell").config(&process("/bin/echo '{\"Version\": 1, \"AccessKeyId\": \"AKID$HOME\", \"SecretAccessKey\": \"S\"}'")).profile("a"),
        row("a program and double quotes").config(&process(&format!("/bin/echo \"{PROCESS}\""))).profile("a"),
        row("a program of another version").config(&process("/bin/echo '{\"Version\": 2, \"AccessKeyId\": \"AKIDA\", \"SecretAccessKey\": \"S\"}'")).profile("a"),
        row("a program that fails").config(&process("/bin/false")).profile("a"),
        row("a program and an open quote").config(&process("/bin/echo \"x")).profile("a"),
        row("a program against keys in the other file").config(&process(&format!("/bin/echo \"{PROCESS}\""))).credentials("[a]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n").profile("a"),
        row("a program against keys beside it").config(&format!("{}aws_access_key_id = AKIDA\naws_secret_access_key = S\n", process(&format!("/bin/echo \"{PROCESS}\"")))).profile("a"),
        row("a role and a source with a program against keys beside it").config(&format!("[profile r]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = a\n{}aws_access_key_id = AKIDA\naws_secret_access_key = S\n", process(&format!("/bin/echo \"{PROCESS}\"")))).profile("r"),
        row("a role with itself and a program against keys beside it").config(&format!("{}role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = a\naws_access_key_id = AKIDA\naws_secret_access_key = S\n", process(&format!("/bin/echo \"{PROCESS}\"")))).profile("a"),
        row("a key with a blank before its line end").config("[profile a]\nregion = us-east-1\naws_access_key_id = AKIDA \naws_secret_access_key = S\n").profile("a"),
        row("a session that is missing").config("[profile a]\nregion = us-east-1\nsso_session = gone\nsso_account_id = 123456789012\nsso_role_name = r\n").profile("a"),
    ]
}

/// Which identity counts where there are several, and none where the one that counts fails.
fn order() -> Vec<Row> {
    const KEYS: &str = "region = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\n";
    const ROLE: &str = "arn:aws:iam::123456789012:role/r";
    const CONTAINER: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
    let keys = |more: &str| format!("[profile a]\n{KEYS}{more}");
    let both = |row: Row| {
        row.file("token", "t0ken")
            .var("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/token")
            .var("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    };
    let echo = "credential_process = /bin/echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDBASE\", \"SecretAccessKey\": \"S\"}'\n";
    let in_variables = |row: Row| row.var("AWS_ACCESS_KEY_ID", "AKIDENV").var("AWS_SECRET_ACCESS_KEY", "S");
    vec![
        row("a role with a token file beside a source_profile")
            .config(&format!("[profile a]\nregion = us-east-1\nrole_arn = {ROLE}\nweb_identity_token_file = {{home}}/token\nsource_profile = base\n[profile base]\n{echo}"))
            .file("token", "t0ken")
            .profile("a"),
        both(row("a token file in variables against keys in the profile").config(&keys("")).var("AWS_PROFILE", "a")),
        both(row("a token file in variables against keys in [default]").config(TWO)),
        both(row("a token file in variables and a profile in a flag").config(TWO).profile("a")),
        both(in_variables(row("a token file in variables against keys in variables").config(TWO))),
        in_variables(row("keys in variables and a token file that is not there").config(TWO))
            .var("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/gone"),
        row("a token file in a variable without a role").config(TWO).var("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/gone"),
        row("a token file without a role against keys beside it")
            .config(&keys("web_identity_token_file = {home}/token\n"))
            .file("token", "t0ken")
            .profile("a"),
        row("half a sign-in against keys beside it").config(&keys("sso_account_id = 123456789012\nsso_role_name = r\n")).profile("a"),
        row("a sign-in for a token alone against keys beside it")
            .config(&keys("sso_session = s\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://127.0.0.1:1\n"))
            .profile("a"),
        row("a profile that is not there and a container").config(TWO).var("AWS_PROFILE", "gone").var(CONTAINER.0, CONTAINER.1),
        row("roles in a circle and a container")
            .config(&format!("[profile a]\nregion = us-east-1\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nrole_arn = {ROLE}\nsource_profile = a\n"))
            .var("AWS_PROFILE", "a")
            .var(CONTAINER.0, CONTAINER.1),
        row("a role with itself and a sign-in beside its keys")
            .config(&keys(&format!("role_arn = {ROLE}\nsource_profile = a\nsso_account_id = 123456789012\nsso_role_name = r\nsso_start_url = https://127.0.0.1:1\nsso_region = us-east-1\n")))
            .profile("a"),
        row("an older token in the other file")
            .config("[profile a]\nregion = us-east-1\naws_session_token = OLD\n")
            .credentials("[a]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .profile("a"),
        in_variables(row("an older token in a variable").config(TWO))
            .var("AWS_SECURITY_TOKEN", "OLDER")
            .var("AWS_SESSION_TOKEN", "TOKEN"),
        row("a secret of blanks in a variable")
            .config(TWO)
            .var("AWS_ACCESS_KEY_ID", "AKIDENV")
            .var("AWS_SECRET_ACCESS_KEY", " ")
            .than(Than::Refuses(NO_KEY)),
        row("a star among hosts without the proxy")
            .config(TWO)
            .var("HTTPS_PROXY", "http://127.0.0.1:1")
            .var("NO_PROXY", "x.example, *"),
        row("ALL_PROXY").config(TWO).var("ALL_PROXY", "socks5h://127.0.0.1:1"),
    ]
}

/// Roles that are assumed: which, with whose keys, and for how long.
fn roles() -> Vec<Row> {
    const ROLE: &str = "arn:aws:iam::123456789012:role/r";
    const BASE: &str = "[profile base]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n";
    let role = |more: &str| format!("[profile a]\nregion = us-east-1\nrole_arn = {ROLE}\n{more}{BASE}");
    let token = |row: Row, config: &str| {
        row.config(&format!("[profile a]\nregion = us-east-1\n{config}")).file("token", "t0ken").var("AWS_PROFILE", "a")
    };
    const FILE: &str = "web_identity_token_file = {home}/token\n";
    const DURATION: &str = "a role for another time than the profile says is a guess, or none that AWS assumes";
    const OTHER: &str = "arn:aws:iam::123456789012:role/other";
    let lasts = |what, time: &str| {
        row(what).config(&role(&format!("source_profile = base\nduration_seconds = {time}\n"))).profile("a")
    };
    vec![
        row("a role").config(&role("source_profile = base\n")).profile("a"),
        lasts("a role for so long", "900"),
        lasts("a role for longer than a number can say", "99999999999").than(Than::Refuses(DURATION)),
        lasts("a role for a time that is no number", "1h").than(Than::Refuses(DURATION)),
        row("a role with a name and an external id")
            .config(&role("source_profile = base\nrole_session_name = mine\nexternal_id = 12:34/x\n"))
            .profile("a"),
        row("a role and an empty name").config(&role("source_profile = base\nrole_session_name =\n")).profile("a"),
        row("a role in quotes").config(&role("source_profile = base\n").replace(ROLE, &format!("\"{ROLE}\""))).profile("a"),
        row("a role with the keys in variables")
            .config(&role("credential_source = Environment\n"))
            .profile("a")
            .var("AWS_ACCESS_KEY_ID", "{key}")
            .var("AWS_SECRET_ACCESS_KEY", "{secret}"),
        row("a role with the keys in variables that have ended")
            .config(&role("credential_source = Environment\n"))
            .profile("a")
            .var("AWS_ACCESS_KEY_ID", "{key}")
            .var("AWS_SECRET_ACCESS_KEY", "{secret}")
            .var("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z"),
        row("a credential_source in lower case").config(&role("credential_source = environment\n")).profile("a"),
        row("a role with a role")
            .config(&format!("[profile a]\nregion = us-east-1\nrole_arn = {OTHER}\nsource_profile = b\nexternal_id = out\n[profile b]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = in\n{BASE}"))
            .profile("a"),
        token(row("a role with a token"), &format!("role_arn = {ROLE}\n{FILE}")),
        token(row("a role with a token for so long"), &format!("role_arn = {ROLE}\n{FILE}duration_seconds = 900\nexternal_id = x1\n")),
        token(row("a role with a token and names in variables"), &format!("role_arn = {ROLE}\n{FILE}role_session_name = his\n"))
            .var("AWS_ROLE_SESSION_NAME", "mine"),
        token(row("a role with a token and another in a variable"), &format!("role_arn = {ROLE}\n{FILE}")).var("AWS_ROLE_ARN", OTHER),
        token(row("a token alone and a role in a variable"), FILE).var("AWS_ROLE_ARN", OTHER),
        token(row("a token alone and an empty role in a variable"), FILE).var("AWS_ROLE_ARN", ""),
        row("a token alone in a profile in a flag and a role in a variable")
            .config(&format!("[profile a]\nregion = us-east-1\n{FILE}"))
            .file("token", "t0ken")
            .profile("a")
            .var("AWS_ROLE_ARN", OTHER),
        token(row("a token alone"), FILE),
        token(row("a role with an empty token file"), &format!("role_arn = {ROLE}\n{FILE}")).file("token", ""),
    ]
}

/// What people asked about.
fn quirks() -> Vec<Row> {
    const KEYS: &str = "aws_access_key_id = AKIDA\naws_secret_access_key = S\n";
    const NOT_OURS: &str =
        "how often and how long the CLI tries is no matter of this program, which has deadlines of its own";
    const OLDER: &str = "version 2 of the CLI has no documented place for them, and a profile is made in a minute";
    let with = |more: &str| format!("[profile a]\nregion = us-east-1\n{KEYS}{more}");
    let in_variables = |row: Row| row.var("AWS_ACCESS_KEY_ID", "AKIDENV").var("AWS_SECRET_ACCESS_KEY", "S");
    let ends = |row: Row, value| in_variables(row.config(TWO)).var("AWS_CREDENTIAL_EXPIRATION", value);
    let proxied =
        |what, no_proxy| row(what).config(TWO).var("HTTPS_PROXY", "http://127.0.0.1:1").var("NO_PROXY", no_proxy);
    vec![
        ends(row("keys in variables that have ended"), "2020-01-01T00:00:00Z"),
        ends(row("keys in variables that end late"), "2099-01-01T00:00:00+00:00"),
        ends(row("keys in variables that end at no time"), "soon"),
        in_variables(row("keys in variables and a profile that is broken otherwise"))
            .config("[profile a]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\n")
            .var("AWS_PROFILE", "a"),
        proxied("a star before hosts without the proxy", "*.0.0.1"),
        row("an empty no_proxy before NO_PROXY")
            .config(TWO)
            .var("HTTPS_PROXY", "http://127.0.0.1:1")
            .var("no_proxy", "")
            .var("NO_PROXY", "127.0.0.1"),
        row("a region in quotes").config(&with("").replace("us-east-1", "\"us-east-1\"")).profile("a"),
        row("a region in upper case")
            .config(&with("").replace("us-east-1", "US-EAST-1"))
            .profile("a")
            .than(Than::Refuses(NO_REGION)),
        row("use_fips_endpoint and an endpoint").config(&with("use_fips_endpoint = true\n")).profile("a"),
        row("retry_mode that is none")
            .config(&with("retry_mode = Standard!\n"))
            .profile("a")
            .than(Than::Works(NOT_OURS)),
        row("settings of the CLI alone")
            .config(&with(
                "cli_timestamp_format = iso8601\ncli_pager =\ncli_history = enabled\ncli_auto_prompt = on-partial\n",
            ))
            .profile("a"),
        row("credential_source without a role").config(&with("credential_source = Environment\n")).profile("a"),
        row("a blank in a name without quotes, and its keys in the other file")
            .config("[profile Foo Bar]\nregion = us-east-1\n")
            .credentials("[Foo Bar]\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .var("AWS_DEFAULT_REGION", "eu-west-1")
            .profile("Foo Bar"),
        row("a region in the credentials file")
            .config("")
            .credentials("[a]\nregion = us-west-2\naws_access_key_id = AKIDA\naws_secret_access_key = S\n")
            .profile("a"),
        row("a region in both files").config(&with("")).credentials("[a]\nregion = us-west-2\n").profile("a"),
        row("UTF-16")
            .file(CONFIG, with("").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
            .profile("a"),
        row("AWS_SHARED_CREDENTIALS_FILE that is not there")
            .with_keys("[default]\nregion = us-east-1\n")
            .var("AWS_SHARED_CREDENTIALS_FILE", "{home}/gone"),
        row("AWS_CONFIG_FILE is empty")
            .with_keys(TWO)
            .var("AWS_CONFIG_FILE", "")
            .var("AWS_DEFAULT_REGION", "us-east-1")
            .var("AWS_ENDPOINT_URL", "{endpoint}"),
        row("AWS_SHARED_CREDENTIALS_FILE is empty").with_keys(TWO).var("AWS_SHARED_CREDENTIALS_FILE", ""),
        row("a blank around AWS_PROFILE").config(TWO).var("AWS_PROFILE", " a "),
        row("AWS_ENDPOINT_URL in quotes").config(TWO).var("AWS_ENDPOINT_URL", "\"{endpoint}\""),
        row("endpoint_url below the service's name in the profile")
            .config(&with("snowball =\n  endpoint_url = https://127.0.0.1:1\n"))
            .profile("a"),
        row("an empty name").config(&format!("[profile ]\nregion = eu-west-1\n{}", with(""))).profile("a"),
        row("[default] in another case")
            .config("[Default]\nregion = us-east-1\naws_access_key_id = AKIDA\naws_secret_access_key = S\n"),
        row("AWS_SESSION_TOKEN without keys").config(TWO).var("AWS_SESSION_TOKEN", "T"),
        row("AWS_SECRET_ACCESS_KEY without its id").config(TWO).var("AWS_SECRET_ACCESS_KEY", "S"),
        row("AWS_CREDENTIAL_FILE")
            .config("[default]\nregion = us-east-1\n")
            .file("old", "AWSAccessKeyId=AKIDOLD\nAWSSecretKey=S\n")
            .var("AWS_CREDENTIAL_FILE", "{home}/old")
            .than(Than::Refuses(OLDER)),
        row("BOTO_CONFIG")
            .config("[default]\nregion = us-east-1\n")
            .file("boto", "[Credentials]\naws_access_key_id = AKIDBOTO\naws_secret_access_key = S\n")
            .var("BOTO_CONFIG", "${HOME}/boto")
            .than(Than::Refuses(OLDER)),
        row("BOTO_CONFIG with a tilde, and keys in capitals")
            .config("[default]\nregion = us-east-1\n")
            .file("boto", "[Credentials]\nAWS_ACCESS_KEY_ID = AKIDBOTO\nAWS_Secret_Access_Key = S\n")
            .var("BOTO_CONFIG", "~/boto")
            .than(Than::Refuses(OLDER)),
        row("~/.boto for another service")
            .config("[default]\nregion = us-east-1\n")
            .file(".boto", "[Credentials]\ngs_oauth2_refresh_token = x\n"),
    ]
}

fn ways() -> Vec<Row> {
    const ALL: &str = "[default]\nregion = us-east-1\naws_access_key_id = AKIDD\naws_secret_access_key = S\n";
    let services = |more: &str, urls: &str| format!("{ALL}{more}services = local\n[services local]\n{urls}");
    let bare = |what| row(what).without("AWS_ENDPOINT_URL");
    vec![
        row("AWS_CONFIG_FILE").file("other/config", ALL).var("AWS_CONFIG_FILE", "{home}/other/config"),
        row("AWS_CONFIG_FILE with a tilde").file("other/config", ALL).var("AWS_CONFIG_FILE", "~/other/config"),
        row("AWS_SHARED_CREDENTIALS_FILE with a tilde")
            .file("other/credentials", "[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = S\n")
            .with_keys("[default]\nregion = us-east-1\n")
            .var("AWS_SHARED_CREDENTIALS_FILE", "~/other/credentials"),
        row("AWS_SHARED_CREDENTIALS_FILE with a variable")
            .file("other/credentials", "[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = S\n")
            .with_keys("[default]\nregion = us-east-1\n")
            .var("AWS_SHARED_CREDENTIALS_FILE", "${HOME}/other/credentials"),
        row("AWS_CONFIG_FILE that is not there")
            .with_keys(ALL)
            .var("AWS_CONFIG_FILE", "{home}/gone")
            .var("AWS_DEFAULT_REGION", "us-east-1"),
        row("AWS_CONFIG_FILE is /dev/null")
            .with_keys(ALL)
            .var("AWS_CONFIG_FILE", "/dev/null")
            .var("AWS_DEFAULT_REGION", "us-east-1"),
        row("ca_bundle of the profile").config(&format!("{ALL}ca_bundle = {{ca}}\n")).without("AWS_CA_BUNDLE"),
        row("ca_bundle with a tilde").config(&format!("{ALL}ca_bundle = ~/ca.pem\n")).without("AWS_CA_BUNDLE"),
        row("AWS_CA_BUNDLE with a tilde").config(ALL).var("AWS_CA_BUNDLE", "~/ca.pem"),
        row("AWS_CA_BUNDLE with a variable").config(ALL).var("AWS_CA_BUNDLE", "${HOME}/ca.pem"),
        row("ca_bundle with a variable").config(&format!("{ALL}ca_bundle = $HOME/ca.pem\n")).without("AWS_CA_BUNDLE"),
        row("a proxy that is not there").config(ALL).var("HTTPS_PROXY", "http://127.0.0.1:1"),
        row("a host without the proxy")
            .config(ALL)
            .var("HTTPS_PROXY", "http://127.0.0.1:1")
            .var("NO_PROXY", "x.example,127.0.0.1"),
        row("a network without the proxy")
            .config(ALL)
            .var("HTTPS_PROXY", "http://127.0.0.1:1")
            .var("NO_PROXY", "127.0.0.0/8"),
        row("AWS_CA_BUNDLE before ca_bundle").config(&format!("{ALL}ca_bundle = /nowhere.pem\n")),
        row("AWS_CA_BUNDLE that is not there").config(ALL).var("AWS_CA_BUNDLE", "/nowhere.pem"),
        row("ca_bundle that is not there").config(&format!("{ALL}ca_bundle = /nowhere.pem\n")).without("AWS_CA_BUNDLE"),
        row("REQUESTS_CA_BUNDLE").config(ALL).without("AWS_CA_BUNDLE").var("REQUESTS_CA_BUNDLE", "{ca}"),
        row("ca_bundle before REQUESTS_CA_BUNDLE")
            .config(&format!("{ALL}ca_bundle = {{ca}}\n"))
            .without("AWS_CA_BUNDLE")
            .var("REQUESTS_CA_BUNDLE", "/nowhere.pem"),
        bare("AWS_ENDPOINT_URL_SNOWBALL").config(ALL).var("AWS_ENDPOINT_URL_SNOWBALL", "{endpoint}"),
        row("AWS_ENDPOINT_URL_SNOWBALL is empty").config(ALL).var("AWS_ENDPOINT_URL_SNOWBALL", ""),
        row("AWS_ENDPOINT_URL_SNOWBALL before AWS_ENDPOINT_URL")
            .config(ALL)
            .var("AWS_ENDPOINT_URL_SNOWBALL", "{endpoint}")
            .var("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
        row("AWS_ENDPOINT_URL before the services")
            .config(&services("", "snowball =\n  endpoint_url = https://127.0.0.1:1\n")),
        row("AWS_ENDPOINT_URL before endpoint_url").config(&format!("{ALL}endpoint_url = https://127.0.0.1:1\n")),
        bare("endpoint_url").config(&format!("{ALL}endpoint_url = {{endpoint}}\n")),
        bare("endpoint_url of the services").config(&services("", "snowball =\n  endpoint_url = {endpoint}\n")),
        bare("endpoint_url of the services before the other")
            .config(&services("endpoint_url = https://127.0.0.1:1\n", "snowball =\n  endpoint_url = {endpoint}\n")),
        bare("services for others only")
            .config(&services("endpoint_url = {endpoint}\n", "s3 =\n  endpoint_url = https://127.0.0.1:1\n")),
        bare("services that are missing").config(&format!("{ALL}endpoint_url = {{endpoint}}\nservices = gone\n")),
        row("services that are missing and not needed").config(&format!("{ALL}services = gone\n")),
        row("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is false")
            .config(ALL)
            .var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"),
        row("ignore_configured_endpoint_urls is false")
            .config(&format!("{ALL}ignore_configured_endpoint_urls = False\n")),
        row("an endpoint with a path").config(ALL).var("AWS_ENDPOINT_URL", "{endpoint}/"),
        row("an endpoint without a scheme").config(ALL).var("AWS_ENDPOINT_URL", "127.0.0.1:1"),
    ]
}
