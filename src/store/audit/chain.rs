//! The chain of the audit log: each line carries the hash of what was before it, so that none can be removed, changed,
//! inserted or moved without a trace, unless all that follow are written anew.
//!
//! One rule: `previous` is the SHA-256 of all bytes from the beginning of the last chained line, or of the log, to the
//! beginning of this line. As a rule that is one line. Where a power cut tore a line, or a version without a chain wrote
//! some, it is those lines too, and `over` says how many they are.
//!
//! A line that `over` counts is covered, which is not to say that this program wrote it: the next command counts whatever it
//! finds. So after the first link only a torn line may be covered. A whole one in no chain stays a flaw.

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{AuditDigest, AuditHead};

/// A line of ours has a few hundred bytes; a longer one is no link of the chain.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// What makes a line a link of the chain.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Link {
    /// Its number in the chain, from 1.
    pub(super) seq: u64,
    /// Hash of what is before it.
    pub(super) previous: AuditDigest,
    /// So many lines before it are in no chain: those of an older version, or one that was cut.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) over: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is wrong with a log. Lines are counted from 1 as an editor counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AuditFlaw {
    /// Where it shows.
    pub line: u64,
    /// What it is, as a sentence.
    pub text: String,
    /// What to do about it, as a whole sentence or two.
    pub advice: &'static str,
}

impl AuditFlaw {
    /// Of lines that are not as they were written, or not where.
    pub(super) fn altered(line: u64, text: String) -> Self {
        const ADVICE: &str = "Compare the lines there with the system's log, if audit_copy copies them, or with a receipt that was filed.";
        Self { line, text, advice: ADVICE }
    }

    /// Of lines that are gone at the end.
    pub(super) fn cut_off(line: u64, text: String) -> Self {
        const ADVICE: &str = "If the log was removed or shortened on purpose, this ends when the data of that job are removed. Otherwise \
            look for the lines in the system's log, if audit_copy copies them, and in receipts that were filed.";
        Self { line, text, advice: ADVICE }
    }

    /// Of a last line that a power cut may have torn.
    fn torn(line: u64, text: String) -> Self {
        const ADVICE: &str =
            "If the machine lost power or the disk was full, there is nothing to do: the next line covers it.";
        Self { line, text, advice: ADVICE }
    }

    /// Of a line in no chain.
    fn unchained(line: u64, text: String) -> Self {
        const ADVICE: &str =
            "If no older version of this program was used meanwhile, somebody added the line: do not rely on it.";
        Self { line, text, advice: ADVICE }
    }
}

/// A log, read to its end: the state that the next line is chained to, and what is wrong with it so far.
#[derive(Debug, Clone)]
pub(super) struct AuditChain {
    /// Lines so far.
    pub(super) lines: u64,
    /// The last link: its line, its number, its hash.
    last: Option<(u64, AuditHead)>,
    /// The first link's line.
    pub(super) begins: Option<u64>,
    /// Of all bytes since the last link began.
    since: Sha256,
    /// Lines since the last link.
    unchained: u64,
    /// Of those, the ones that are whole: nothing that a power cut leaves.
    whole: Vec<u64>,
    /// Whether the last line lacks its end.
    pub(super) is_cut: bool,
    /// Lines in no chain that a later link covers and counts.
    pub(super) covered: Vec<u64>,
    pub(super) flaws: Vec<AuditFlaw>,
}

impl AuditChain {
    pub(super) fn new() -> Self {
        Self {
            lines: 0,
            last: None,
            begins: None,
            since: Sha256::new(),
            unchained: 0,
            whole: Vec::new(),
            is_cut: false,
            covered: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// Reads a log to its end; `each` is given every line, by its number, with the head that it is if it is a link.
    pub(super) fn read(
        &mut self,
        mut log: impl BufRead,
        mut each: impl FnMut(u64, &[u8], Option<AuditHead>),
    ) -> io::Result<()> {
        let mut piece = Vec::new();
        let mut is_within_a_line = false;
        loop {
            piece.clear();
            (&mut log).take(MAX_LINE as u64).read_until(b'\n', &mut piece)?;
            if piece.is_empty() {
                return Ok(());
            }
            let ends = piece.ends_with(b"\n");
            if is_within_a_line {
                self.since.update(&piece);
            } else {
                self.lines += 1;
                let whole = ends || piece.len() < MAX_LINE;
                let head = match whole.then(|| serde_json::from_slice::<Link>(&piece)) {
                    Some(Ok(link)) => Some(self.link(link, &piece)),
                    _ => {
                        self.since.update(&piece);
                        self.unchained += 1;
                        if ends && self.last.is_some() && is_complete(&piece) {
                            self.whole.push(self.lines);
                        }
                        None
                    }
                };
                each(self.lines, &piece, head);
            }
            is_within_a_line = !ends;
            self.is_cut = !ends;
        }
    }

    fn link(&mut self, link: Link, line: &[u8]) -> AuditHead {
        let before = AuditDigest::from_hasher(std::mem::take(&mut self.since));
        // Whatever else is found: these were told before this line was there, and are told for ever.
        self.flaws.extend(std::mem::take(&mut self.whole).into_iter().map(in_no_chain));
        if let Some(text) = self.flaw_of(link, before) {
            self.flaws.push(AuditFlaw::altered(self.lines, text));
        } else {
            self.covered.extend(self.lines - self.unchained..self.lines);
        }
        self.since.update(line);
        self.unchained = 0;
        self.begins.get_or_insert(self.lines);
        let mut hasher = Sha256::new();
        hasher.update(line);
        if !line.ends_with(b"\n") {
            // As it is once its end is there.
            hasher.update(b"\n");
        }
        let head = AuditHead { seq: link.seq, sha256: AuditDigest::from_hasher(hasher) };
        self.last = Some((self.lines, head));
        head
    }

    /// What a link that does not fit shows, at the line `self.lines`.
    fn flaw_of(&self, link: Link, before: AuditDigest) -> Option<String> {
        let here = self.lines;
        let expected = self.last.map_or(1, |(_, head)| head.seq.saturating_add(1));
        if link.seq > expected {
            let count = link.seq - expected;
            return Some(format!("{} missing before line {here}", lines(count, "is", "are")));
        }
        if link.seq < expected {
            return Some(format!(
                "line {here} was moved or inserted: its number in the chain is {}, where {expected} belongs",
                link.seq
            ));
        }
        if self.unchained > link.over {
            return Some(format!("{} inserted or changed", between(here - self.unchained, here - 1)));
        }
        if self.unchained < link.over {
            let count = link.over - self.unchained;
            return Some(format!("{} missing before line {here}", lines(count, "is", "are")));
        }
        if link.previous == before {
            return None;
        }
        Some(match (self.last, self.unchained) {
            (None, 0) => format!("line {here} was changed: it is the first, and names another one before it"),
            (None, _) => format!("{} changed", between(1, here - 1)),
            (Some((line, _)), _) => format!("{} changed", between(line, here - 1)),
        })
    }

    /// What is wrong at the end of the log, where no later line tells of it.
    pub(super) fn flaws_at_end(&self) -> Vec<AuditFlaw> {
        let line = self.lines;
        let mut flaws: Vec<AuditFlaw> = self.whole.iter().copied().map(in_no_chain).collect();
        if self.is_cut {
            flaws.push(AuditFlaw::torn(line, format!("line {line}, the last one, is incomplete: a power cut interrupted its writing, or it was added or cut by hand")));
        } else if let Some((last, _)) = self.last
            && last < line
            && !self.whole.contains(&line)
        {
            flaws.push(AuditFlaw::altered(line, format!("line {line}, the last one, is no line of this program")));
        }
        flaws
    }

    /// The head: the last link.
    pub(super) fn head(&self) -> Option<AuditHead> {
        self.last.map(|(_, head)| head)
    }

    /// The link for a line after the last, once the log ends with a whole line.
    pub(super) fn next(mut self) -> Link {
        if self.is_cut {
            self.since.update(b"\n");
        }
        Link {
            seq: self.last.map_or(1, |(_, head)| head.seq.saturating_add(1)),
            previous: AuditDigest::from_hasher(self.since),
            over: self.unchained,
        }
    }

    /// Whether there is a link.
    pub(super) fn has_link(&self) -> bool {
        self.last.is_some()
    }
}

/// Whether it is whole JSON: of an object a power cut leaves the beginning, which is none.
fn is_complete(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

fn in_no_chain(line: u64) -> AuditFlaw {
    AuditFlaw::unchained(line, format!("line {line} is in no chain: added by hand, or by an older version"))
}

/// "line 3 was", "lines 3 to 5 were".
fn between(first: u64, last: u64) -> String {
    if first >= last { format!("line {last} was") } else { format!("lines {first} to {last} were") }
}

fn lines(count: u64, one: &str, more: &str) -> String {
    if count == 1 { format!("1 line {one}") } else { format!("{count} lines {more}") }
}
