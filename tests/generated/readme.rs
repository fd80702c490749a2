//! README's table of exit codes.

use snow_onboard::error::ExitCode;

use crate::fresh;

const HEAD: &str = "| exit code | about | look at |\n| --- | --- | --- |\n";

#[test]
fn the_table_of_exit_codes_is_the_program_s() {
    let readme = fresh::read("README.md");
    let (before, table) = readme.split_once(HEAD).expect("README has a table of exit codes");
    let end = table.find("\n\n").unwrap() + 1;
    let rows: String = ExitCode::ALL.iter().map(row).collect();
    fresh::check("README.md", &format!("{before}{HEAD}{rows}{}", &table[end..]));
}

fn row(code: &ExitCode) -> String {
    format!("| {} | {} | {} |\n", *code as u8, code.meaning(), code.advice()).replace("  |", " |")
}
