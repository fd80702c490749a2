use super::*;

const ONE: &str = "JID11111111-0000-4000-8000-000000000000";
const CLUSTER: &str = "CID33333333-0000-4000-8000-000000000000";
const OTHER: &str = "JID22222222-0000-4000-8000-000000000000";

fn plan(text: &str) -> Result<Vec<(String, String, Option<String>)>, PlanFlaw> {
    let text = PlanText::of(text);
    let plan = DevicePlan::parse(&text, PlanFormat::of("-", &text))?;
    let row = |device: &PlannedDevice| {
        let addresses: Vec<String> = device.addresses().map(ToString::to_string).collect();
        (device.job.to_string(), addresses.join(" "), device.label.clone())
    };
    Ok(plan.devices().iter().map(row).collect())
}

#[test]
fn every_way_to_write_it_says_the_same() {
    let expected = vec![
        (ONE.to_owned(), "192.0.2.10".to_owned(), Some("dock 1, left".to_owned())),
        (OTHER.to_owned(), "192.0.2.11".to_owned(), None),
    ];
    for text in [
        format!("{ONE},192.0.2.10,\"dock 1, left\"\n{OTHER},192.0.2.11\n"),
        format!("\u{feff}job;address;label\r\n{ONE};192.0.2.10;dock 1, left\r\n{OTHER};192.0.2.11;\r\n;;\r\n"),
        format!(
            "# a pallet\n\nLabel\tAddress\tJob\n\"dock 1, left\"\thttps://192.0.2.10\t{ONE}\n\t192.0.2.11\t{OTHER}"
        ),
        format!(
            "[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.10\"\nlabel = \"dock 1, left\"\n[[device]]\njob = \"{OTHER}\"\naddress = \"192.0.2.11\""
        ),
    ] {
        assert_eq!(plan(&text), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn a_cluster_has_the_addresses_of_its_nodes_in_one_value() {
    let expected =
        vec![(CLUSTER.to_owned(), "192.0.2.10 192.0.2.11 192.0.2.12:9092".to_owned(), Some("rack".to_owned()))];
    for text in [
        format!("{CLUSTER},192.0.2.10 192.0.2.11 192.0.2.12:9092,rack"),
        format!("{CLUSTER},192.0.2.10; 192.0.2.11;192.0.2.12:9092,rack"),
        format!("{CLUSTER},\"192.0.2.10, 192.0.2.11, 192.0.2.12:9092\",rack"),
        format!("job;address;label\r\n{CLUSTER};\"192.0.2.10;192.0.2.11;192.0.2.12:9092\";rack\r\n"),
        format!("job,address,label\n{CLUSTER},\"192.0.2.10\n192.0.2.11\r\n192.0.2.12:9092\",rack\n"),
        format!(
            "[[device]]\njob = \"{CLUSTER}\"\naddress = [\"192.0.2.10\", \"192.0.2.11\", \"192.0.2.12:9092\"]\nlabel = \"rack\""
        ),
    ] {
        assert_eq!(plan(&text), Ok(expected.clone()), "{text}");
    }
    let addresses = ["192.0.2.10", "192.0.2.11"].map(|at| at.parse().unwrap());
    let line = plan_line(&CLUSTER.parse().unwrap(), &addresses, None);
    assert_eq!(plan(&line), Ok(vec![(CLUSTER.to_owned(), "192.0.2.10 192.0.2.11".to_owned(), None)]), "{line}");
}

#[test]
fn a_node_beside_its_cluster_is_refused() {
    let text = format!("{CLUSTER},192.0.2.10 192.0.2.11\n{ONE},192.0.2.12 192.0.2.13");
    let DevicePlan(mut devices) = DevicePlan::parse(&PlanText::of(&text), PlanFormat::Csv).unwrap();
    (devices[1].job, devices[1].node) = (devices[0].job.clone(), ONE.parse().ok());
    let flaw = DevicePlan::of(devices).unwrap_err();
    assert!(
        flaw.line == Some(2)
            && flaw.why.starts_with(&format!("{ONE} is a node of "))
            && flaw.why.ends_with("first in line 1"),
        "{flaw:?}"
    );
}

#[test]
fn one_flaw_refuses_all_of_it_by_its_line() {
    for (text, line, why) in [
        (String::new(), None, "names no device"),
        ("job,address\n".to_owned(), None, "names no device"),
        (format!("{ONE},192.0.2.10\n{ONE},192.0.2.11"), Some(2), "twice, first in line 1"),
        (format!("{ONE},192.0.2.10\n{OTHER},https://192.0.2.10:9091/"), Some(2), "192.0.2.10:9091 stands in it twice"),
        (
            format!("{OTHER},192.0.2.9\n{ONE},192.0.2.10\n{ONE},192.0.2.11\n{ONE},192.0.2.12"),
            Some(3),
            "twice, first in line 2; line 4: JID11111111-0000-4000-8000-000000000000 stands in it twice, first in line 2",
        ),
        (
            format!("{OTHER},192.0.2.9\n{ONE},192.0.2.9\n{CLUSTER},192.0.2.9"),
            Some(2),
            "first in line 1; line 3: 192.0.2.9 stands in it twice, first in line 1",
        ),
        (format!("Pallet 7,,\njob,address\n{ONE},192.0.2.10"), Some(2), "it names the columns"),
        (format!("label;job;address\n#1;{ONE};192.0.2.10\nx;{OTHER};192.0.2.11"), Some(2), "begins with #"),
        (format!("label,address,job\n#1,192.0.2.10,\"{CLUSTER}\""), Some(2), "begins with #"),
        (format!("{CLUSTER},192.0.2.10 192.0.2.10"), Some(1), "192.0.2.10 stands in it twice"),
        (format!("{CLUSTER},192.0.2.10;192.0.2.11\n{ONE},192.0.2.11"), Some(2), "192.0.2.11 stands in it twice, first"),
        (format!("{CLUSTER};192.0.2.10;192.0.2.11"), Some(1), "the label “192.0.2.11” is an address"),
        (format!("{CLUSTER},192.0.2.10 192.0.2.300"), Some(1), "the address “192.0.2.300”"),
        (format!("{CLUSTER};;rack"), Some(1), "needs a job and an address"),
        (format!("[[device]]\njob = \"{CLUSTER}\"\naddress = []"), Some(1), "needs an address"),
        (format!("[[device]]\njob = \"{CLUSTER}\"\naddress = [1]"), Some(3), "no list of texts"),
        (format!("{ONE}\n"), Some(1), "needs a job and an address"),
        (format!("job,label\n{ONE},192.0.2.10"), Some(1), "not both"),
        (format!("{ONE},192.0.2.10,dock 1,left"), Some(1), "nothing beyond"),
        (format!("job,address,label\n{ONE},192.0.2.10,dock 1,left"), Some(2), "more values"),
        (format!("{ONE},192.0.2.300"), Some(1), "the address “192.0.2.300”"),
        (format!("{ONE},192.0.2.10\nJID1,192.0.2.11"), Some(2), "the job id “JID1”"),
        (format!("Job,IP,Name\n{ONE},192.0.2.10,x"), Some(1), "The columns are job, address and"),
        (format!("Order,IP\n{ONE},192.0.2.10"), Some(1), "The columns are job, address and"),
        (format!("[[device]]\njob = \"{ONE}\"\n"), Some(1), "needs a job and an address"),
        (format!("[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.1\"\nport = 1"), Some(4), "“port” is not known"),
        (format!("[[device]]\njob = \"{ONE}\"\nadress = \"192.0.2.1\""), Some(3), "“adress” is not known"),
        (format!("[[device]\njob = \"{ONE}\""), Some(1), "it is not TOML"),
        (format!("[[devices]]\njob = \"{ONE}\""), Some(1), "“devices” is not known"),
        ("[[device]]\njob = 1\naddress = \"192.0.2.1\"".to_owned(), Some(2), "“job” is no text"),
    ] {
        let flaw = plan(&text).unwrap_err();
        assert_eq!(flaw.line, line, "{text}: {flaw:?}");
        assert!(flaw.why.contains(why), "{text}: {flaw:?}");
    }
}

#[test]
fn columns_that_the_first_row_names_may_be_others_and_empty_values_say_nothing() {
    for text in [
        format!("rack,job,address,label,weight\n7,{ONE},192.0.2.10,dock 1,22\n"),
        format!("{ONE},192.0.2.10,dock 1,,\n"),
    ] {
        let expected = (ONE.to_owned(), "192.0.2.10".to_owned(), Some("dock 1".to_owned()));
        assert_eq!(plan(&text), Ok(vec![expected]), "{text}");
    }
}

#[test]
fn a_row_that_is_commented_out_is_a_comment() {
    let row = |job: &str, at: u8| (job.to_owned(), format!("192.0.2.{at}"), None::<String>);
    for text in [
        format!("{ONE},192.0.2.10\n#{OTHER},192.0.2.11"),
        format!("job;address\n{ONE};192.0.2.10\n# {OTHER};192.0.2.11\n# see {OTHER}"),
        format!("# label;{OTHER};192.0.2.11\n{ONE};192.0.2.10"),
        format!("label;job;address\n;{ONE};192.0.2.10\n#1;swapped;192.0.2.11"),
    ] {
        assert_eq!(plan(&text), Ok(vec![row(ONE, 10)]), "{text}");
    }
}

#[test]
fn what_is_written_as_a_line_is_read_again() {
    for code in ["01234-abcde-ABCDE-56789-fghij", "01234 abcde ABCDE 56789 fghij"] {
        let label = plan_label(&format!("gate {code}"));
        assert!(label.is_none_or(|label| !label.contains("56789")), "{code}");
    }
    assert_eq!(plan_label(" "), None);
    for label in ["dock 1, \"left\"", "Ship log", "# 7; x"] {
        let label = plan_label(label).unwrap();
        let text = format!(
            "  job,address,label\n  {}",
            plan_line(&ONE.parse().unwrap(), &["192.0.2.10".parse().unwrap()], Some(&label))
        );
        assert_eq!(plan(&text), Ok(vec![(ONE.to_owned(), "192.0.2.10".to_owned(), Some(label))]), "{text}");
    }
    for (text, label) in [
        ("=HYPERLINK(1)", Some("HYPERLINK(1)")),
        ("+-@ dock", Some("dock")),
        ("\t=1", Some("1")),
        ("192.168.1.10", None),
        ("-192.168.1.10", None),
        ("192.168.1.10 left", Some("192.168.1.10 left")),
        ("=", None),
    ] {
        assert_eq!(plan_label(text).as_deref(), label, "{text}");
        let line = plan_line(&ONE.parse().unwrap(), &["192.0.2.10".parse().unwrap()], Some(text));
        let expected = (ONE.to_owned(), "192.0.2.10".to_owned(), label.map(str::to_owned));
        assert_eq!(plan(&line), Ok(vec![expected]), "{text}");
    }
    let open = plan_line(&ONE.parse().unwrap(), &[], None);
    assert!(plan(&open).unwrap_err().why.contains("needs a job and an address"), "{open}");
}

#[test]
fn all_flaws_are_told_at_once_up_to_ten() {
    let flaw = plan(&format!("{ONE},192.0.2.300\n{OTHER}\nJID1,192.0.2.11")).unwrap_err();
    assert_eq!(flaw.line, Some(1));
    for told in ["“192.0.2.300”", "; line 2: a row needs", "; line 3: the job id “JID1”"] {
        assert!(flaw.why.contains(told), "{flaw:?}");
    }
    let flaw = plan(&"x1,y2\n".repeat(13)).unwrap_err();
    assert!(flaw.why.contains("; line 10: ") && flaw.why.ends_with("; and 3 more"), "{flaw:?}");
    let twice = plan(&format!("{ONE},192.0.2.10\n{ONE},192.0.2.11\n{OTHER},192.0.2.10")).unwrap_err();
    assert!(twice.why.contains("; line 3: 192.0.2.10 stands in it twice"), "{twice:?}");
}

#[test]
fn a_file_that_is_no_text_is_told_as_what_it_is() {
    for (bytes, why) in [
        (&b"PK\x03\x04\x14\x00\xff"[..], "spreadsheet file"),
        (b"\xd0\xcf\x11\xe0\xa1", "spreadsheet file"),
        (b"\xff\xfej\x00", "UTF-16"),
        (b"j\x00o\x00b\x00", "UTF-16"),
        (b"\x00j\x00o\x00b", "UTF-16"),
        (b"j\xfc", "not UTF-8"),
    ] {
        assert!(DevicePlan::text(bytes.to_vec()).unwrap_err().why.contains(why));
    }
    assert_eq!(DevicePlan::text(b"\xef\xbb\xbfjob\r1\r\n".to_vec()), Ok(PlanText::of("job\n1\n")));
}

#[test]
fn what_is_no_plan_is_not_said_again() {
    for text in [
        "[[device]]\ndevice = \"7c0e1bab84f76750a2b6f8b33\"",
        "[[device]]\n7c0e1bab84f76750a2b6f8b33 = 1",
        "[[device]]\njob = 7c0e1bab84f76750a2b6f8b33",
    ] {
        let flaw = plan(text).unwrap_err();
        assert!(!flaw.why.contains("7c0e1b"), "{flaw:?}");
    }
}

#[test]
fn a_quote_that_takes_other_lines_into_a_value_refuses_the_plan() {
    let rows = |label: &str| format!("job,address,label\n{ONE},192.0.2.10,{label}\n{OTHER},192.0.2.11,dock 2\n");
    for (text, line, why) in [
        (rows("\"dock 1"), 2, "a quote is not closed"),
        // The next quote opens another value, and would close this one.
        (rows("\"dock 1") + &format!("{CLUSTER},192.0.2.12,\"rack, left\"\n"), 2, "a quote is not closed"),
        (rows("\"dock 1") + &format!("{CLUSTER},192.0.2.12,rack\"\n"), 2, "line break"),
        (rows("\"dock 1\" left"), 2, "text after a closing quote"),
        (rows("dock 12\""), 2, "in the middle of a value"),
        (rows("dock \"1\" left"), 2, "in the middle of a value"),
        (rows("\"dock 1\nleft\""), 2, "the label has a line break"),
        (format!("job,address,note\n{ONE},192.0.2.10,\"x\n{OTHER},192.0.2.11,y\"\n"), 2, "a value has a line break"),
        (format!("\"job\n{ONE}\",192.0.2.10\n"), 1, "the job has a line break"),
        (format!("{CLUSTER},\"192.0.2.10\n{ONE},192.0.2.11\"\n"), 1, "is a job id and no address"),
        (
            format!("[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.10\"\nlabel = \"a\\nb\""),
            1,
            "the label has a line break",
        ),
        (rows("dock 1,left"), 2, "more values"),
        (format!("job,address,label,,\n{ONE},192.0.2.10,dock 1, left,\n"), 2, "more values"),
        (format!("job,address,label,Label\n{ONE},192.0.2.10,a,b\n"), 1, "the column label twice"),
    ] {
        let flaw = plan(&text).unwrap_err();
        assert_eq!(flaw.line, Some(line), "{text}: {flaw:?}");
        assert!(flaw.why.contains(why), "{text}: {flaw:?}");
        assert!(plan(&text.replace('\n', "\r\n")).is_err_and(|same| same == flaw), "{text}");
    }
    for (cell, label) in [
        ("\"dock 1\"", "dock 1"),
        (" \"dock \"\"1\"\", left\" ", "dock \"1\", left"),
        ("dock 1's \u{201c}left\u{201d}", "dock 1's \u{201c}left\u{201d}"),
    ] {
        assert_eq!(plan(&rows(cell)).unwrap()[0].2.as_deref(), Some(label), "{cell}");
    }
}

#[test]
fn a_line_is_told_as_an_editor_counts_it() {
    let head = format!("\u{feff}# pallet 7\n\njob,address,label\n\n{ONE},192.0.2.10,\n# not yet\n   \n");
    let of_cluster = format!("{CLUSTER},\"192.0.2.20\n192.0.2.21\",rack\n");
    for (text, line, why) in [
        (format!("{head}JID1,192.0.2.11\n"), 8, "the job id “JID1”"),
        (format!("{head}{of_cluster}JID1,192.0.2.11\n"), 10, "the job id “JID1”"),
        (format!("{head}{of_cluster}{OTHER},192.0.2.10"), 10, "192.0.2.10 stands in it twice, first in line 5"),
        (format!("{head}{of_cluster}{ONE},192.0.2.30"), 10, "stands in it twice, first in line 5"),
        (format!("{head}{OTHER},192.0.2.11,\"x"), 8, "a quote is not closed"),
        (format!("{head}\n# 7c0e1-bab84-a7390-0ffee-31337"), 9, "shape of an unlock code"),
        (format!("\u{feff}sep=,\n{}{OTHER},192.0.2.300", &head[3..]), 9, "“192.0.2.300”"),
        (
            format!(
                "\u{feff}# pallet 7\n\n[[device]]\njob = \"{ONE}\"\n# x\naddress = \"192.0.2.1\"\n\n[[device]]\njob = \"JID1\"\naddress = \"192.0.2.2\"\n"
            ),
            8,
            "the job id “JID1”",
        ),
        (format!("# pallet 7\n\n[[device]]\njob = \"{ONE}\"\naddress = 7\n"), 5, "no text in quotes"),
        (format!("# pallet 7\n\n[[device]]\njob = {ONE}\naddress = 7\n"), 4, "not TOML"),
    ] {
        for ends in ["\n", "\r\n", "\r"] {
            let flaw = plan(&text.replace('\n', ends)).unwrap_err();
            assert_eq!(flaw.line, Some(line), "{text:?} {ends:?}: {flaw:?}");
            assert!(flaw.why.contains(why), "{text:?} {ends:?}: {flaw:?}");
        }
    }
}

#[test]
fn a_first_line_may_name_the_separator_as_spreadsheets_do() {
    let expected = vec![(ONE.to_owned(), "192.0.2.10".to_owned(), Some("dock 1, left".to_owned()))];
    for text in [
        format!("sep=;\njob;address;label\n{ONE};192.0.2.10;dock 1, left\n"),
        format!("\u{feff}SEP=;\r\n{ONE};192.0.2.10;dock 1, left\r\n"),
        format!("\"sep=;\"\n{ONE};192.0.2.10;dock 1, left\n"),
        format!("sep=\t\n{ONE}\t192.0.2.10\tdock 1, left\n"),
        format!("sep=,\n{ONE},192.0.2.10,\"dock 1, left\"\n"),
    ] {
        assert_eq!(plan(&text), Ok(expected.clone()), "{text}");
    }
    for text in ["sep=\n", "sep=x\n", "sep=;;\n"] {
        let flaw = plan(&format!("\n{text}{ONE},192.0.2.10")).unwrap_err();
        assert!(flaw.line == Some(2) && flaw.why.contains("names no separator"), "{text}: {flaw:?}");
    }
    let quoted = format!("{CLUSTER};\"192.0.2.10, 192.0.2.11\";rack");
    assert_eq!(plan(&quoted).unwrap()[0].2.as_deref(), Some("rack"), "the comma stands in quotes");
}

#[test]
fn ids_in_capital_letters_and_addresses_in_two_spellings_are_the_same() {
    let capital = ONE.to_owned().replace("JID1111", "JIDabcd");
    let text = format!("{},192.0.2.10\n", capital.replace("abcd", "ABCD"));
    assert_eq!(plan(&text).unwrap()[0].0, capital);
    let twice = plan(&format!("{text}{capital},192.0.2.11")).unwrap_err();
    assert!(twice.why.contains("twice, first in line 1"), "{twice:?}");
    let twice = plan(&format!("{ONE},192.0.2.10\n{OTHER},[::ffff:192.0.2.10]:9091")).unwrap_err();
    assert!(twice.line == Some(2) && twice.why.contains("192.0.2.10:9091 stands in it twice"), "{twice:?}");
    for (text, why) in [
        ("JOB0,192.0.2.10\n".to_owned(), "does not begin with JID (a job) or CID (a cluster)"),
        (format!("{ONE},?"), "is neither an IP address nor a host name"),
        (format!("{ONE},n/a"), "is neither an IP address nor a host name"),
    ] {
        let flaw = plan(&text).unwrap_err();
        assert!(flaw.why.contains(why) && !flaw.why.contains("MID"), "{flaw:?}");
    }
}

#[test]
fn a_code_in_it_is_refused_and_not_said() {
    let code = "01234-abcde-ABCDE-56789-fghij";
    for text in [
        format!("{ONE},192.0.2.10,{code}"),
        format!("{ONE},{code}"),
        format!("{ONE},192.0.2.10,dock 1,{code}"),
        format!("# {code}\n{ONE},192.0.2.10"),
        format!("[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.1\"\nunlock_code = \"{code}\""),
        format!("device = \"{code}\""),
        format!("{ONE},192.0.2.10,{}", code.replace('-', "")),
        format!("{ONE},192.0.2.10,gate {} left", code.replace('-', "")),
        format!("{ONE},192.0.2.10,{} gate 4", code.replace('-', " ")),
        format!("{ONE},192.0.2.10,{}", code.replace('-', " - ")),
        format!("{ONE},192.0.2.10,rack{}", code.replace('-', "")),
        format!("{ONE},192.0.2.10,{}", code.chars().map(|c| format!("{c} ")).collect::<String>()),
        format!("{ONE},rack{}", code.replace('-', "")),
        format!("# {}\n{ONE},192.0.2.10", code.replace('-', " / ")),
        format!("{ONE},192.0.2.10,\"{}\"", code.replace('-', "\n")),
    ] {
        let flaw = plan(&text).unwrap_err();
        assert!(flaw.why.contains("shape of an unlock code"), "{text}: {flaw:?}");
        assert!(!flaw.why.contains("56789"), "{flaw:?}");
    }
}
