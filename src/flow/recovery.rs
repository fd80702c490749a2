//! What is kept for a job, put right after an interruption.
//!
//! Two stores can't be changed in one stroke. The record's `incoming` entry is written before either is touched, so
//! whatever a killed run left behind is one of a few known situations, each of which ends here in "the new pair", "the
//! old pair" or "nothing whole".

use crate::error::{Error, Result};
use crate::keychain::{Keychain, KeychainItem};
use crate::model::{KeychainKind, ManifestDigest, PairRecord, Record, TargetId, UnlockCode};
use crate::report::{Event, Notify};
use crate::store::JobFolder;

/// A pair that is kept whole, its halves compared.
#[derive(Debug)]
pub(super) struct KeptPair {
    /// The job's record.
    pub(super) record: Record,
    /// The pair's entry in it.
    pub(super) pair: PairRecord,
    /// The code, out of the keychain.
    item: KeychainItem,
}

impl KeptPair {
    /// The code. A pair of record format 1 is converted first: the keychain's item gets its second line, then the record loses
    /// the tag. Killed in between, the next run does the rest.
    ///
    /// # Errors
    /// Those of the keychain and the disk.
    pub(super) fn converted(
        mut self,
        folder: &JobFolder,
        keychain: &Keychain,
    ) -> Result<(Record, PairRecord, UnlockCode)> {
        if self.item.manifest.is_none() {
            keychain.complete(folder.job(), &self.item, &self.pair.manifest_sha256)?;
        }
        if self.pair.tag.take().is_some() {
            self.record.pair = Some(self.pair.clone());
            folder.write_record(&self.record)?;
        }
        Ok((self.record, self.pair, self.item.code))
    }
}

/// Finishes or undoes a change that a killed run left unfinished. `items` are what the keychain that the change was for
/// ([`Record::incoming`]) holds for the job; another keychain's would tell the wrong story.
///
/// # Errors
/// Errors of the record and the disk.
pub(super) fn settle(folder: &JobFolder, items: &[KeychainItem], notify: &dyn Notify) -> Result<()> {
    let Some(mut record) = folder.record()? else { return folder.discard_incoming() };
    let Some(incoming) = record.incoming.take() else { return folder.discard_incoming() };
    let is_unchanged = record.pair.as_ref().is_some_and(|pair| {
        // A tag tells one code from another, the manifest's digest does not.
        pair.keychain == incoming.keychain && pair.manifest_sha256 == incoming.manifest_sha256 && incoming.tag.is_none()
    });
    if is_unchanged {
        // Of the two codes that came with this manifest, the keychain's may be either.
        notify.notify(Event::Warning(format!(
            "A refresh was interrupted, and whether it stored its code is not known. To refresh again: snow-onboard fetch --refresh {}",
            folder.job()
        )));
    } else if finish_change(folder, &incoming, items)? {
        notify.notify(Event::Fact("Finished keeping the pair that an interrupted run had fetched.".to_owned()));
        record.set_pair(incoming);
    }
    folder.write_record(&record)?;
    folder.discard_incoming()
}

/// Finds the pair that is kept for the folder's job in the keychain `keychain`, which holds `items` for it. Unfinished
/// changes have been settled.
///
/// # Errors
/// [`Error::PairMismatch`] if both halves are here and don't belong together, [`Error::KeychainAmbiguous`] if there are several
/// codes and not one alone belongs to the manifest; errors of the record and the disk.
pub(super) fn kept_pair(
    folder: &JobFolder,
    keychain: KeychainKind,
    items: Vec<KeychainItem>,
    notify: &dyn Notify,
) -> Result<Option<KeptPair>> {
    let Some(record) = folder.record()? else { return Ok(None) };
    let Some(pair) = record.pair.clone().filter(|pair| pair.keychain == keychain) else { return Ok(None) };
    match (items.is_empty(), folder.manifest()?) {
        (false, Some(manifest)) => {
            let count = items.len();
            let item = matching_item(folder.job(), &pair, items, &manifest.digest)?;
            if count > 1 {
                notify.notify(Event::Fact(format!(
                    "The keychain holds {count} codes for {}. The one that belongs to the manifest is used.",
                    folder.job()
                )));
            }
            Ok(Some(KeptPair { record, pair, item }))
        }
        (is_empty, manifest) => {
            let missing = match (is_empty, manifest) {
                (true, Some(_)) => "the code is not in the keychain",
                (false, None) => "the manifest is not on the disk",
                _ => "neither the code nor the manifest is here",
            };
            notify.notify(Event::Fact(format!("A pair was fetched before, but {missing}.")));
            Ok(None)
        }
    }
}

/// Of the codes in the keychain, the one that `pair` was made of together with the manifest.
fn matching_item(
    job: &TargetId,
    pair: &PairRecord,
    items: Vec<KeychainItem>,
    manifest: &ManifestDigest,
) -> Result<KeychainItem> {
    let mismatch = |why: &str| Err(Error::PairMismatch { job: job.to_string(), why: why.to_owned() });
    let count = items.len();
    let (mut right, mut wrong): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| belongs_together(job, pair, item, manifest));
    let fit_and_differ = right.windows(2).any(|two| !two[0].code.is_same_as(&two[1].code));
    match (right.pop(), wrong.pop()) {
        (Some(_), _) if fit_and_differ && pair.manifest_sha256 == *manifest => {
            Err(Error::KeychainAmbiguous { job: job.to_string(), count })
        }
        (Some(item), _) if pair.manifest_sha256 == *manifest => Ok(item),
        (Some(_), _) => mismatch("the record names another manifest"),
        _ if pair.manifest_sha256 != *manifest => mismatch(&format!(
            "the manifest has changed since it was fetched (its SHA-256 begins with {}, not with {})",
            manifest.short(),
            pair.manifest_sha256.short()
        )),
        _ if count > 1 => Err(Error::KeychainAmbiguous { job: job.to_string(), count }),
        (None, Some(item)) if item.manifest.is_none() && pair.tag.is_none() => mismatch(
            "the keychain item has no second line with the manifest's SHA-256, so it was edited after this program wrote it",
        ),
        _ => mismatch("the code in the keychain is not the one that was fetched with this manifest"),
    }
}

/// Whether the item's code came with this manifest.
fn belongs_together(job: &TargetId, pair: &PairRecord, item: &KeychainItem, manifest: &ManifestDigest) -> bool {
    match (&item.manifest, &pair.tag) {
        (Some(digest), _) => digest == manifest,
        (None, Some(tag)) => tag.fits(&item.code, job, manifest),
        (None, None) => false,
    }
}

/// Finishes an interrupted change if the keychain has the new code already; then the new manifest is either still
/// incoming or in place. Otherwise the change had touched nothing, and the old pair stands.
fn finish_change(folder: &JobFolder, incoming: &PairRecord, items: &[KeychainItem]) -> Result<bool> {
    let is_new = |digest: &ManifestDigest| {
        let is_there = || items.iter().any(|item| belongs_together(folder.job(), incoming, item, digest));
        *digest == incoming.manifest_sha256 && is_there()
    };
    if folder.incoming()?.is_some_and(|manifest| is_new(&manifest.digest)) {
        folder.promote_incoming()?;
        return Ok(true);
    }
    Ok(folder.manifest()?.is_some_and(|manifest| is_new(&manifest.digest)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::keychain::{KeychainSettings, PlainKeyring};
    use crate::model::PairTag;
    use crate::report::HeardEvents;
    use crate::store::{Manifest, StateFolder};
    use std::io::Write as _;
    use std::sync::Arc;
    use std::time::Duration;
    use time::OffsetDateTime;

    const OLD: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";
    const NEW: &str = "11111-22222-33333-44444-55555";

    fn code(text: &str) -> UnlockCode {
        UnlockCode::take(text).unwrap()
    }

    fn folder() -> (tempfile::TempDir, JobFolder) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let folder = state.job(&"JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap()).unwrap();
        (dir, folder)
    }

    fn incoming(folder: &JobFolder, content: &[u8]) -> Manifest {
        let mut draft = folder.draft().unwrap();
        draft.write_all(content).unwrap();
        draft.finish().unwrap()
    }

    fn entry(manifest: &Manifest) -> PairRecord {
        PairRecord {
            fetched_at: OffsetDateTime::now_utc(),
            keychain: KeychainKind::System,
            manifest_sha256: manifest.digest,
            manifest_bytes: manifest.bytes,
            tag: None,
            audit_head: None,
            keep: None,
        }
    }

    /// What is in the keychain: a code, and the manifest on the second line.
    fn item(text: &str, manifest: Option<&[u8]>) -> KeychainItem {
        KeychainItem::for_test(code(text), manifest.map(|content| ManifestDigest::of(content).unwrap()))
    }

    /// A folder that keeps the manifest "old" with the code OLD.
    fn with_old_pair() -> (tempfile::TempDir, JobFolder, Record) {
        let (dir, folder) = folder();
        let manifest = incoming(&folder, b"old");
        let mut record = Record::new(folder.job().clone());
        record.pair = Some(entry(&manifest));
        folder.promote_incoming().unwrap();
        folder.write_record(&record).unwrap();
        (dir, folder, record)
    }

    /// The item as it is with the manifest "old" or "new".
    fn items(in_keychain: Option<&str>) -> Vec<KeychainItem> {
        let manifest = |text: &str| if text == OLD { b"old" } else { b"new" };
        in_keychain.map(|text| item(text, Some(manifest(text)))).into_iter().collect()
    }

    fn which(folder: &JobFolder, in_keychain: Option<&str>) -> Option<(Vec<u8>, PairRecord)> {
        settle(folder, &items(in_keychain), &HeardEvents::default()).unwrap();
        let kept = kept_pair(folder, KeychainKind::System, items(in_keychain), &HeardEvents::default()).unwrap()?;
        assert!(folder.incoming().unwrap().is_none() && folder.record().unwrap().unwrap().incoming.is_none());
        Some((std::fs::read(folder.manifest_path()).unwrap(), kept.pair))
    }

    #[test]
    fn a_whole_pair_is_kept_and_half_of_one_is_not() {
        let (_dir, folder, _) = with_old_pair();
        let told = |code| {
            let told = HeardEvents::default();
            let is_kept = kept_pair(&folder, KeychainKind::System, items(code), &told).unwrap().is_some();
            let said: Vec<String> = told.0.into_inner().unwrap().iter().map(|event| format!("{event:?}")).collect();
            (is_kept, said.join(""))
        };
        assert_eq!(which(&folder, Some(OLD)).unwrap().0, b"old");
        assert_eq!(told(Some(OLD)), (true, String::new()), "one code is the usual, and nothing to speak of");
        assert!(which(&folder, None).is_none(), "only the manifest");
        assert!(told(None).1.contains("but the code is not in the keychain"));
        std::fs::remove_file(folder.manifest_path()).unwrap();
        assert!(which(&folder, Some(OLD)).is_none(), "only the code");
        assert!(told(Some(OLD)).1.contains("but the manifest is not on the disk"));
        assert!(told(None).1.contains("but neither the code nor the manifest is here"));
        let (_dir, folder, _) = with_old_pair();
        let in_another = kept_pair(&folder, KeychainKind::Kernel, items(Some(OLD)), &HeardEvents::default()).unwrap();
        assert!(in_another.is_none(), "the same code in another keychain is not the pair that is kept");
    }

    #[test]
    fn foreign_and_damaged_halves_are_refused() {
        let (_dir, folder, mut record) = with_old_pair();
        let refusal = |item| {
            kept_pair(&folder, KeychainKind::System, vec![item], &HeardEvents::default()).unwrap_err().to_string()
        };
        assert!(refusal(item(OLD, Some(b"new"))).contains("not the one that was fetched"));
        assert!(refusal(item(OLD, None)).contains("no second line"));
        std::fs::write(folder.manifest_path(), b"olD").unwrap();
        assert!(refusal(item(OLD, Some(b"old"))).contains("has changed"));
        let manifest = folder.manifest().unwrap().unwrap();
        record.pair.as_mut().unwrap().manifest_sha256 = manifest.digest;
        folder.write_record(&record).unwrap();
        assert!(refusal(item(OLD, Some(b"old"))).contains("not the one"), "the digest in the record edited to fit");
        std::fs::write(folder.manifest_path(), b"old").unwrap();
        assert!(refusal(item(OLD, Some(b"old"))).contains("names another"));
    }

    #[test]
    fn of_two_codes_the_one_of_the_manifest_is_used_and_it_is_said() {
        let (_dir, folder, _) = with_old_pair();
        for (first, second) in [(OLD, NEW), (NEW, OLD)] {
            let both = [first, second].map(|text| item(text, Some(if text == OLD { b"old" } else { b"new" })));
            let kept = HeardEvents::default();
            let pair = kept_pair(&folder, KeychainKind::System, both.into(), &kept).unwrap().unwrap();
            assert!(pair.item.code.is_same_as(&code(OLD)));
            assert!(matches!(&kept.0.lock().unwrap()[..], [Event::Fact(said)] if said.contains("2 codes")));
        }
        let neither = vec![item(OLD, Some(b"new")), item(NEW, None)];
        let refusal = kept_pair(&folder, KeychainKind::System, neither, &HeardEvents::default()).unwrap_err().report();
        assert_eq!(refusal.code, "keychain_ambiguous");
        assert!(!refusal.hint.contains("forget"), "nothing is lost by the hint: {}", refusal.hint);
    }

    /// A pair of record format 1: a code alone in the keychain, and a tag in the record.
    #[test]
    fn a_pair_of_format_1_is_converted_in_place_and_its_tag_removed() {
        let (_dir, folder, mut record) = with_old_pair();
        let digest = ManifestDigest::of(&b"old"[..]).unwrap();
        record.pair.as_mut().unwrap().tag = Some(PairTag::of(&code(OLD), folder.job(), &digest));
        folder.write_record(&record).unwrap();
        let written = || std::fs::read_to_string(folder.path().join("record.json")).unwrap();
        assert!(written().contains("\"tag\""));
        settle(&folder, &[item(OLD, None)], &HeardEvents::default()).unwrap();
        assert!(written().contains("\"tag\""), "not before the item has its second line");

        let wrong =
            kept_pair(&folder, KeychainKind::System, vec![item(NEW, None)], &HeardEvents::default()).unwrap_err();
        assert!(wrong.to_string().contains("not the one that was fetched"), "{wrong}");
        let both = vec![item(NEW, None), item(OLD, None)];
        let pair = kept_pair(&folder, KeychainKind::System, both, &HeardEvents::default()).unwrap().unwrap();
        let settings = KeychainSettings {
            kind: KeychainKind::None,
            deadline: Duration::from_secs(9),
            plain: PlainKeyring::Refused,
        };
        let keychain = Keychain::open(settings, Arc::new(HeardEvents::default())).unwrap();
        let (record, entry, used) = pair.converted(&folder, &keychain).unwrap();
        assert!(used.is_same_as(&code(OLD)) && entry.tag.is_none() && record.pair.unwrap().tag.is_none());
        assert!(!written().contains("tag"), "{}", written());
        assert!(
            kept_pair(&folder, KeychainKind::System, vec![item(OLD, Some(b"old"))], &HeardEvents::default())
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_change_of_format_1_that_was_killed_is_finished_too() {
        let (_dir, folder, mut record) = with_old_pair();
        let manifest = incoming(&folder, b"new");
        let tag = PairTag::of(&code(NEW), folder.job(), &manifest.digest);
        record.incoming = Some(PairRecord { tag: Some(tag), ..entry(&manifest) });
        folder.write_record(&record).unwrap();
        settle(&folder, &[item(NEW, None)], &HeardEvents::default()).unwrap();
        let record = folder.record().unwrap().unwrap();
        assert!(record.incoming.is_none() && record.pair.unwrap().tag.is_some(), "to be converted yet");
        assert_eq!(std::fs::read(folder.manifest_path()).unwrap(), b"new");
    }

    #[test]
    fn two_codes_that_both_fit_are_ambiguous_unless_they_are_the_same() {
        let (_dir, folder, _) = with_old_pair();
        let kept = |items| kept_pair(&folder, KeychainKind::System, items, &HeardEvents::default());
        for (one, other) in [(OLD, NEW), (NEW, OLD)] {
            let refusal = kept(vec![item(one, Some(b"old")), item(other, Some(b"old"))]).unwrap_err().report();
            assert_eq!(refusal.code, "keychain_ambiguous");
            assert!(refusal.hint.contains("fetch --refresh"), "{}", refusal.hint);
        }
        assert!(kept(vec![item(OLD, Some(b"old")), item(OLD, Some(b"old"))]).unwrap().is_some());
    }

    #[test]
    fn a_change_killed_before_the_keychain_is_undone() {
        let (_dir, folder, mut record) = with_old_pair();
        let manifest = incoming(&folder, b"new");
        record.incoming = Some(entry(&manifest));
        folder.write_record(&record).unwrap();
        assert_eq!(which(&folder, Some(OLD)).unwrap().0, b"old");
    }

    #[test]
    fn an_interrupted_refresh_of_an_unchanged_manifest_is_not_said_to_be_finished() {
        let (_dir, folder, mut record) = with_old_pair();
        let manifest = incoming(&folder, b"old");
        let before = record.pair.clone().unwrap().fetched_at;
        record.incoming = Some(PairRecord { fetched_at: before + Duration::from_secs(9), ..entry(&manifest) });
        folder.write_record(&record).unwrap();
        let told = HeardEvents::default();
        settle(&folder, &items(Some(OLD)), &told).unwrap();
        let told = told.0.lock().unwrap();
        assert!(
            matches!(&told[..], [Event::Warning(text)] if text.contains("interrupted") && text.contains("fetch --refresh JID")),
            "{told:?}"
        );
        let record = folder.record().unwrap().unwrap();
        assert_eq!(record.pair.unwrap().fetched_at, before);
        assert!(record.incoming.is_none() && folder.incoming().unwrap().is_none());
    }

    #[test]
    fn a_change_killed_after_the_keychain_is_finished() {
        for promoted in [false, true] {
            let (_dir, folder, mut record) = with_old_pair();
            let manifest = incoming(&folder, b"new");
            record.incoming = Some(entry(&manifest));
            folder.write_record(&record).unwrap();
            if promoted {
                folder.promote_incoming().unwrap();
            }
            let (content, pair) = which(&folder, Some(NEW)).unwrap();
            assert_eq!(content, b"new");
            assert_eq!(pair.manifest_sha256, manifest.digest);
            assert_eq!(which(&folder, Some(NEW)).unwrap().0, b"new", "and stays so");
        }
    }

    #[test]
    fn a_first_fetch_killed_anywhere_is_finished_or_forgotten() {
        let (_dir, folder) = folder();
        let manifest = incoming(&folder, b"new");
        assert!(which(&folder, None).is_none(), "no record yet");
        assert!(folder.incoming().unwrap().is_none(), "and nothing left");

        let manifest_again = incoming(&folder, b"new");
        assert_eq!(manifest.digest, manifest_again.digest);
        let mut record = Record::new(folder.job().clone());
        record.incoming = Some(entry(&manifest));
        folder.write_record(&record).unwrap();
        assert_eq!(which(&folder, Some(NEW)).unwrap().0, b"new");
    }
}
