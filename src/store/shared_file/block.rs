//! A block of lines that is ours in a file that is not: between two marks, put in and taken out so that every other byte stays.
//!
//! ```text
//! …what was there before…
//!
//! # >>> snow-onboard JID… NAME (…)
//! …our lines…
//! # <<< snow-onboard JID… NAME
//! ```
//!
//! The line break before the first mark is a part of the block: it ends a last line that had no end, or makes a blank line. So
//! nothing has to be known of the file to take the block out again, and no byte of it is looked at as text.

use std::fmt;
use std::ops::Range;

use crate::model::{ProfileName, TargetId};

const BEGIN: &[u8] = b"# >>> snow-onboard ";
const END: &[u8] = b"# <<< snow-onboard ";

/// Which block it is: a file may have several, of other jobs or under other names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockKey {
    /// The job whose device the lines are about.
    pub(crate) job: TargetId,
    /// The name that the operator knows the lines by.
    pub(crate) name: ProfileName,
}

impl fmt::Display for BlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.job, self.name)
    }
}

/// What had to be made to put a block into a file, and goes with it again if nothing else is there by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MadeFor {
    /// Nothing: the file was there, if perhaps empty.
    Nothing,
    /// The file.
    File,
    /// The file, and the folder that it is in.
    Folder,
}

impl MadeFor {
    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::File => " new-file",
            Self::Folder => " new-folder",
        }
    }
}

/// Why a file's marks can't be relied on: the end of the sentence "the file …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockFlaw(pub(crate) String);

/// A block as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundBlock {
    pub(crate) key: BlockKey,
    pub(crate) made: MadeFor,
    /// From its first mark to the end of the line of its last one.
    bytes: Range<usize>,
    is_crlf: bool,
}

/// The blocks of this program in a file, in their order.
///
/// # Errors
/// Marks that don't pair up, or the same block twice: nobody can tell then which lines are ours.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<FoundBlock>, BlockFlaw> {
    let mut found: Vec<FoundBlock> = Vec::new();
    let mut open: Option<(FoundBlock, usize)> = None;
    for (at, line) in lines(text) {
        let (content, is_crlf) = (trimmed(&text[line.clone()]), text[line.clone()].ends_with(b"\r\n"));
        if let Some((key, made)) = begin_mark(content) {
            if let Some((block, begun)) = open {
                let key = block.key;
                return Err(BlockFlaw(format!(
                    "has no line “# <<< snow-onboard {key}” for the one in its line {begun}"
                )));
            }
            if found.iter().any(|block| block.key == key) {
                return Err(BlockFlaw(format!(
                    "has the lines “# >>> snow-onboard {key}” twice, the second time in its line {at}"
                )));
            }
            open = Some((FoundBlock { key, made, bytes: line, is_crlf }, at));
        } else if let Some(key) = content.strip_prefix(END).and_then(key) {
            match open.take() {
                Some((block, _)) if block.key == key => {
                    found.push(FoundBlock { bytes: block.bytes.start..line.end, ..block });
                }
                _ => {
                    return Err(BlockFlaw(format!(
                        "has the line “# <<< snow-onboard {key}” in its line {at} without the one that it ends"
                    )));
                }
            }
        }
    }
    match open {
        Some((block, begun)) => {
            Err(BlockFlaw(format!("has no line “# <<< snow-onboard {}” for the one in its line {begun}", block.key)))
        }
        None => Ok(found),
    }
}

/// The file with these lines in the block `key`: in place of those that it has, else at its end.
///
/// # Errors
/// Those of [`blocks`].
pub(crate) fn with_block(text: &[u8], key: &BlockKey, lines: &[String], made: MadeFor) -> Result<Vec<u8>, BlockFlaw> {
    let there = blocks(text)?.into_iter().find(|block| block.key == *key);
    let (before, after, made, line_break) = match &there {
        Some(block) => {
            let line_break = if block.is_crlf { "\r\n" } else { "\n" };
            (&text[..block.bytes.start], &text[block.bytes.end..], block.made, line_break)
        }
        None => (text, &[][..], made, line_break_of(text)),
    };
    let mut new = before.to_vec();
    if there.is_none() && !before.is_empty() {
        new.extend_from_slice(line_break.as_bytes());
    }
    let begin = begin_line(key, made);
    let end = format!("# <<< snow-onboard {key}");
    for line in std::iter::once(&begin).chain(lines).chain([&end]) {
        new.extend_from_slice(line.as_bytes());
        new.extend_from_slice(line_break.as_bytes());
    }
    new.extend_from_slice(after);
    Ok(new)
}

/// The file without the block `key`, and what was made for it. `None` if it has no such block.
///
/// # Errors
/// Those of [`blocks`].
pub(crate) fn without_block(text: &[u8], key: &BlockKey) -> Result<Option<(Vec<u8>, MadeFor)>, BlockFlaw> {
    let Some(block) = blocks(text)?.into_iter().find(|block| block.key == *key) else { return Ok(None) };
    let (before, after) = (&text[..block.bytes.start], &text[block.bytes.end..]);
    let line_break: &[u8] = if block.is_crlf && before.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    let without = before.strip_suffix(line_break).unwrap_or(before);
    // What others have added since would else become a part of a last line that had no end.
    let begins_a_line = after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r\n");
    let joins = !begins_a_line && !without.is_empty() && !without.ends_with(b"\n");
    let before = if joins { before } else { without };
    let mut rest = [before, after].concat();
    // Whoever removes the last block is to know what was made for the first.
    if block.made != MadeFor::Nothing
        && let Some(heir) = blocks(&rest)?.into_iter().find(|heir| heir.made == MadeFor::Nothing)
    {
        let (first, at) = (&rest[heir.bytes.clone()], heir.bytes.start);
        let length = first.iter().position(|byte| *byte == b'\n').unwrap_or(first.len());
        let line_break = if heir.is_crlf { "\r" } else { "" };
        let line = begin_line(&heir.key, block.made) + line_break;
        rest.splice(at..at + length, line.into_bytes());
    }
    Ok(Some((rest, block.made)))
}

fn begin_line(key: &BlockKey, made: MadeFor) -> String {
    let (made, job) = (made.word(), &key.job);
    format!("# >>> snow-onboard {key}{made} (do not edit; to remove: snow-onboard setup-profile {job} --remove)")
}

/// The lines of the block, its marks included; none if the file has no such block.
///
/// # Errors
/// Those of [`blocks`].
pub(crate) fn lines_of(text: &[u8], key: &BlockKey) -> Result<Vec<String>, BlockFlaw> {
    let block = blocks(text)?.into_iter().find(|block| block.key == *key);
    let block = block.map_or(&[][..], |block| &text[block.bytes]);
    Ok(lines(block).map(|(_, line)| String::from_utf8_lossy(trimmed(&block[line])).into_owned()).collect())
}

/// Each line with its number, counted from 1, and its end.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut from = 0;
    text.split_inclusive(|byte| *byte == b'\n').enumerate().map(move |(index, line)| {
        let range = from..from + line.len();
        from = range.end;
        (index + 1, range)
    })
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

fn begin_mark(line: &[u8]) -> Option<(BlockKey, MadeFor)> {
    let line = line.strip_prefix(BEGIN)?;
    let made = std::str::from_utf8(line).ok()?.split(' ').nth(2);
    let made = [MadeFor::File, MadeFor::Folder].into_iter().find(|known| made == Some(known.word().trim_start()));
    Some((key(line)?, made.unwrap_or(MadeFor::Nothing)))
}

/// The job and the name that a mark goes on with.
fn key(rest: &[u8]) -> Option<BlockKey> {
    let mut words = std::str::from_utf8(rest).ok()?.split(' ');
    let (job, name) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(BlockKey { job, name })
}

/// How the file ends its lines.
fn line_break_of(text: &[u8]) -> &'static str {
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.ends_with(b"\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn key(name: &str) -> BlockKey {
        let job = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        BlockKey { job, name: name.parse().unwrap() }
    }

    fn ours() -> Vec<String> {
        ["[profile snow]", "region = snow", "s3 =", "  addressing_style = path"].map(str::to_owned).to_vec()
    }

    fn added(text: &[u8], name: &str) -> Vec<u8> {
        with_block(text, &key(name), &ours(), MadeFor::Nothing).unwrap()
    }

    fn removed(text: &[u8], name: &str) -> Vec<u8> {
        without_block(text, &key(name)).unwrap().unwrap().0
    }

    /// What such files are made of, put together at random; without another block of ours, or perhaps with some.
    fn pieces(other_blocks: u32) -> impl Strategy<Value = Vec<u8>> {
        let mark = String::from_utf8(added(b"", "other")).unwrap();
        let piece = prop_oneof![
            4 => proptest::sample::select(vec![
                "[default]", "[profile a]", "[profile a]", "[profile \"b c\"]", "region = x", "region=y ; z", "s3 =",
                "  max = 1", "# comment", "; other", "\t", " ", "[DEFAULT]", "credential_process = \"/a b/c\" d", "\u{feff}",
                "=", "[", "\u{e4}", "# >>> snow-onboard", "# <<< snow-onboard JID", "# >>> snow-onboard x y",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            4 => proptest::sample::select(vec!["\n", "\r\n", "\r", "\n\n", ""]).prop_map(|text| text.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 0..6),
            other_blocks => Just(format!("\n{mark}").into_bytes()),
        ];
        vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_other_byte_stays(text in pieces(1)) {
            let Ok(before) = blocks(&text) else {
                prop_assert!(with_block(&text, &key("snow"), &ours(), MadeFor::Nothing).is_err());
                return Ok(());
            };
            let with = added(&text, "snow");
            prop_assert!(with.starts_with(&text));
            prop_assert_eq!(blocks(&with).unwrap().len(), before.len() + 1);
            prop_assert_eq!(&removed(&with, "snow"), &text);
            // In place, as often as one likes, with more lines and with fewer.
            let longer = [ours(), ours()].concat();
            let twice = with_block(&with, &key("snow"), &longer, MadeFor::Nothing).unwrap();
            prop_assert_eq!(lines_of(&twice, &key("snow")).unwrap().len(), longer.len() + 2);
            prop_assert_eq!(&with_block(&twice, &key("snow"), &ours(), MadeFor::Folder).unwrap(), &with);
            prop_assert_eq!(&removed(&twice, "snow"), &text);
            // Beside another one, in either order.
            let both = added(&with, "snow2");
            prop_assert_eq!(&removed(&both, "snow2"), &with);
            prop_assert_eq!(removed(&removed(&both, "snow"), "snow2"), text);
        }

        #[test]
        fn what_others_add_behind_it_stays_in_lines_of_its_own(text in pieces(0), after in pieces(0)) {
            let with = [added(&text, "snow"), after.clone()].concat();
            let without = removed(&with, "snow");
            prop_assert!(without.starts_with(&text) && without.ends_with(&after));
            // What would be joined, and nothing else, is kept apart by the line break that came with the block.
            let between = &without[text.len()..without.len() - after.len()];
            let would_join = !after.is_empty()
                && !text.is_empty() && !text.ends_with(b"\n") && !after.starts_with(b"\n") && !after.starts_with(b"\r\n");
            prop_assert_eq!(!between.is_empty(), would_join, "{:?}", between);
        }
    }

    #[test]
    fn the_block_is_written_as_the_file_writes_its_lines() {
        let text = String::from_utf8(added(b"[default]\r\nregion = x", "snow")).unwrap();
        assert!(text.starts_with("[default]\r\nregion = x\r\n# >>> snow-onboard JID"), "{text}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        let text = String::from_utf8(added(b"[default]\n", "snow")).unwrap();
        assert!(text.starts_with("[default]\n\n# >>> snow-onboard JID") && !text.contains('\r'), "{text}");
        assert!(added(b"", "snow").starts_with(BEGIN), "no blank line at the top of a new file");
    }

    #[test]
    fn what_was_made_is_remembered_in_the_file() {
        for made in [MadeFor::Nothing, MadeFor::File, MadeFor::Folder] {
            let with = with_block(b"", &key("snow"), &ours(), made).unwrap();
            let again = with_block(&with, &key("snow"), &[], MadeFor::Nothing).unwrap();
            assert_eq!(without_block(&again, &key("snow")).unwrap(), Some((Vec::new(), made)));
        }
        assert_eq!(without_block(b"[default]\n", &key("snow")).unwrap(), None);
        // Of two blocks either may go first.
        let both = with_block(
            &with_block(b"", &key("a"), &ours(), MadeFor::Folder).unwrap(),
            &key("b"),
            &[],
            MadeFor::Nothing,
        );
        for (first, last) in [("a", "b"), ("b", "a")] {
            let rest = removed(both.as_ref().unwrap(), first);
            assert_eq!(without_block(&rest, &key(last)).unwrap(), Some((Vec::new(), MadeFor::Folder)), "{first}");
        }
    }

    #[test]
    fn an_editor_may_have_cut_the_last_line_break_or_added_blanks() {
        let with = added(b"[default]\n", "snow");
        let text = String::from_utf8(with).unwrap();
        for edited in [text.trim_end().to_owned(), text.replace(" --remove)\n", " --remove)  \n")] {
            assert_eq!(removed(edited.as_bytes(), "snow"), b"[default]\n", "{edited}");
        }
    }

    #[test]
    fn marks_that_do_not_pair_up_are_refused_by_line() {
        let with = String::from_utf8(added(b"", "snow")).unwrap();
        let lines: Vec<&str> = with.lines().collect();
        let (first, last) = (lines[0], lines[lines.len() - 1]);
        for (text, line, why) in [
            (format!("{first}\n[a]\n"), "line 1", "has no line “# <<<"),
            (format!("[a]\n{last}\n"), "line 2", "without the one that it ends"),
            (format!("{first}\n{first}\n{last}\n"), "line 1", "has no line “# <<<"),
            (format!("{with}{with}"), "line 7", "twice"),
            (with.replacen("<<< snow-onboard JID1", "<<< snow-onboard JID2", 1), "line 6", "without the one"),
        ] {
            let flaw = blocks(text.as_bytes()).unwrap_err().0;
            assert!(flaw.contains(line) && flaw.contains(why), "{text}: {flaw}");
            assert!(without_block(text.as_bytes(), &key("snow")).is_err());
        }
        let note = "# >>> snow-onboard is installed here\n# <<< snow-onboard\n";
        assert_eq!(blocks(note.as_bytes()).unwrap(), [], "anybody's comment");
    }
}
