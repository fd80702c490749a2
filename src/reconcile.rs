//! What is kept for a job, put right after an interruption.
//!
//! Two stores can't be changed in one stroke. The record's `incoming` entry is written before either is touched, so
//! whatever a killed run left behind is one of a few known situations, each of which ends here in "the new pair", "the
//! old pair" or "nothing whole".

use crate::error::{Error, Result};
use crate::job::JobId;
use crate::notice::{Notice, Notify};
use crate::pair::ManifestDigest;
use crate::secret::UnlockCode;
use crate::store::{JobFolder, PairRecord, Record};

/// A pair that is kept whole, its halves compared.
#[derive(Debug)]
pub struct KeptPair {
    /// The job's record.
    pub record: Record,
    /// The pair's entry in it.
    pub pair: PairRecord,
    /// The code, out of the keychain.
    pub code: UnlockCode,
}

/// Finishes or undoes a change that a killed run left unfinished. `code` is what the keychain that the change was for
/// ([`Record::incoming`]) holds for the job; another keychain's code would tell the wrong story.
///
/// # Errors
/// Errors of the record and the disk.
pub fn settle(folder: &JobFolder, code: Option<&UnlockCode>, notify: &dyn Notify) -> Result<()> {
    let Some(mut record) = folder.record()? else { return folder.discard_incoming() };
    let Some(incoming) = record.incoming.take() else { return folder.discard_incoming() };
    if finish_change(folder, &incoming, code)? {
        notify.notify(Notice::Fact("Finished keeping the pair that an interrupted run had fetched.".to_owned()));
        record.pair = Some(incoming);
    }
    folder.write_record(&record)?;
    folder.discard_incoming()
}

/// Finds the pair that is kept for the folder's job in the keychain `keychain`, which holds `code` for it. Unfinished
/// changes have been settled.
///
/// # Errors
/// [`Error::PairMismatch`] if both halves are here and don't belong together; errors of the record and the disk.
pub fn kept_pair(
    folder: &JobFolder,
    keychain: &str,
    code: Option<UnlockCode>,
    notify: &dyn Notify,
) -> Result<Option<KeptPair>> {
    let Some(record) = folder.record()? else { return Ok(None) };
    let Some(pair) = record.pair.clone().filter(|pair| pair.keychain == keychain) else { return Ok(None) };
    match (code, folder.manifest()?) {
        (Some(code), Some(manifest)) => {
            check(folder.job(), &pair, &code, &manifest.digest)?;
            Ok(Some(KeptPair { record, pair, code }))
        }
        (code, manifest) => {
            let missing = match (code, manifest) {
                (None, Some(_)) => "the code is not in the keychain",
                (Some(_), None) => "the manifest is not on the disk",
                _ => "neither the code nor the manifest is here",
            };
            notify.notify(Notice::Fact(format!("A pair was fetched before, but {missing}.")));
            Ok(None)
        }
    }
}

/// Whether the code and the manifest are the two that `pair` was made of.
fn check(job: &JobId, pair: &PairRecord, code: &UnlockCode, manifest: &ManifestDigest) -> Result<()> {
    let mismatch = |why: String| Err(Error::PairMismatch { job: job.to_string(), why });
    if pair.tag.fits(code, job, manifest) {
        // The tag covers the digest; a record whose own digest says otherwise was edited.
        return if pair.manifest_sha256 == *manifest {
            Ok(())
        } else {
            mismatch("the record names another manifest".to_owned())
        };
    }
    if pair.manifest_sha256 == *manifest {
        mismatch("the code in the keychain is not the one that was fetched with this manifest".to_owned())
    } else {
        mismatch(format!(
            "the manifest has changed since it was fetched (its SHA-256 begins with {}, not with {})",
            manifest.short(),
            pair.manifest_sha256.short()
        ))
    }
}

/// Finishes an interrupted change if the keychain has the new code already; then the new manifest is either still
/// incoming or in place. Otherwise the change had touched nothing, and the old pair stands.
fn finish_change(folder: &JobFolder, incoming: &PairRecord, code: Option<&UnlockCode>) -> Result<bool> {
    let Some(code) = code else { return Ok(false) };
    let is_new =
        |digest: &ManifestDigest| *digest == incoming.manifest_sha256 && incoming.tag.fits(code, folder.job(), digest);
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
    use crate::notice::Kept;
    use crate::pair::PairTag;
    use crate::store::{Manifest, StateFolder};
    use std::io::Write as _;
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

    fn entry(folder: &JobFolder, manifest: &Manifest, code: &UnlockCode) -> PairRecord {
        PairRecord {
            fetched_at: OffsetDateTime::now_utc(),
            keychain: "system".to_owned(),
            manifest_sha256: manifest.digest,
            manifest_bytes: manifest.bytes,
            tag: PairTag::of(code, folder.job(), &manifest.digest),
        }
    }

    /// A folder that keeps the manifest "old" with the code OLD.
    fn with_old_pair() -> (tempfile::TempDir, JobFolder, Record) {
        let (dir, folder) = folder();
        let manifest = incoming(&folder, b"old");
        let mut record = Record::new(folder.job().clone());
        record.pair = Some(entry(&folder, &manifest, &code(OLD)));
        folder.promote_incoming().unwrap();
        folder.write_record(&record).unwrap();
        (dir, folder, record)
    }

    fn which(folder: &JobFolder, in_keychain: Option<&str>) -> Option<(Vec<u8>, PairRecord)> {
        settle(folder, in_keychain.map(code).as_ref(), &Kept::default()).unwrap();
        let kept = kept_pair(folder, "system", in_keychain.map(code), &Kept::default()).unwrap()?;
        assert!(folder.incoming().unwrap().is_none() && folder.record().unwrap().unwrap().incoming.is_none());
        Some((std::fs::read(folder.manifest_path()).unwrap(), kept.pair))
    }

    #[test]
    fn a_whole_pair_is_kept_and_half_of_one_is_not() {
        let (_dir, folder, _) = with_old_pair();
        assert_eq!(which(&folder, Some(OLD)).unwrap().0, b"old");
        assert!(which(&folder, None).is_none(), "only the manifest");
        std::fs::remove_file(folder.manifest_path()).unwrap();
        assert!(which(&folder, Some(OLD)).is_none(), "only the code");
        let (_dir, folder, _) = with_old_pair();
        let in_another = kept_pair(&folder, "kernel", Some(code(OLD)), &Kept::default()).unwrap();
        assert!(in_another.is_none(), "the same code in another keychain is not the pair that is kept");
    }

    #[test]
    fn foreign_and_damaged_halves_are_refused() {
        let (_dir, folder, mut record) = with_old_pair();
        let refusal =
            |text: &str| kept_pair(&folder, "system", Some(code(text)), &Kept::default()).unwrap_err().to_string();
        assert!(refusal(NEW).contains("not the one that was fetched"));
        std::fs::write(folder.manifest_path(), b"olD").unwrap();
        assert!(refusal(OLD).contains("has changed"));
        let manifest = folder.manifest().unwrap().unwrap();
        record.pair.as_mut().unwrap().manifest_sha256 = manifest.digest;
        folder.write_record(&record).unwrap();
        assert!(refusal(OLD).contains("not the one"), "the digest in the record edited to fit");
    }

    #[test]
    fn a_change_killed_before_the_keychain_is_undone() {
        let (_dir, folder, mut record) = with_old_pair();
        let manifest = incoming(&folder, b"new");
        record.incoming = Some(entry(&folder, &manifest, &code(NEW)));
        folder.write_record(&record).unwrap();
        assert_eq!(which(&folder, Some(OLD)).unwrap().0, b"old");
    }

    #[test]
    fn a_change_killed_after_the_keychain_is_finished() {
        for promoted in [false, true] {
            let (_dir, folder, mut record) = with_old_pair();
            let manifest = incoming(&folder, b"new");
            record.incoming = Some(entry(&folder, &manifest, &code(NEW)));
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
        record.incoming = Some(entry(&folder, &manifest, &code(NEW)));
        folder.write_record(&record).unwrap();
        assert_eq!(which(&folder, Some(NEW)).unwrap().0, b"new");
    }
}
