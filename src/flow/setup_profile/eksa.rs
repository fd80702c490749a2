//! The two files that EKS Anywhere wants: the devices' keys in clear, and their certificates.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::credentials::DeviceKey;
use crate::cloud::{config_file, credentials_file};
use crate::error::{Error, Result};
use crate::safety::path_trust;
use crate::store::{BlockKey, NotChanged, SharedFile, with_block};

/// Both files, as they were read. They may have other devices' keys already: EKS Anywhere wants all of them in one file.
#[derive(Debug)]
pub(crate) struct EksaFiles {
    /// `EKSA_AWS_CREDENTIALS_FILE`.
    credentials: SharedFile,
    /// `EKSA_AWS_CA_BUNDLES_FILE`.
    certificates: SharedFile,
}

impl EksaFiles {
    /// Looks at the file for keys, and the one for certificates beside it.
    ///
    /// # Errors
    /// [`Error::Usage`] for one of the AWS CLI's own files; [`Error::ProfileFileRefused`] for a file that is not this user's alone,
    /// or has marks that don't pair up.
    pub(super) fn read(path: &Path, key: &BlockKey) -> Result<Self> {
        let mut beside = OsString::from(path);
        beside.push(".pem");
        let open = |path: PathBuf| {
            let file = SharedFile::read(&path).map_err(|not_changed| refused(&path, not_changed))?;
            with_block(file.content(), key, &[], file.to_make())
                .map_err(|flaw| refused(&path, flaw.into()))
                .map(|_| file)
        };
        let files = Self { credentials: open(path.to_owned())?, certificates: open(PathBuf::from(beside))? };
        files.check_distinct(&aws_files()?)?;
        let flaw = match path_trust::privacy_flaw(files.credentials.path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            said => said.map_err(|error| refused(path, error.into()))?,
        };
        if let Some(flaw) = flaw {
            let why = NotChanged::Refused(
                format!("it {flaw}, and a key in clear belongs in a file that only you can open").into(),
            );
            return Err(refused(path, why));
        }
        Ok(files)
    }

    /// Whether these two are neither each other nor one of `others`, whatever links lead to them: the block of one would take the place
    /// of the other's, and the key would be where others read.
    fn check_distinct(&self, others: &[PathBuf]) -> Result<()> {
        let [keys, certificates] = [self.credentials.real(), self.certificates.real()];
        let usage = |path: &Path, is: &str| Error::Usage {
            why: format!("--eksa can't write to {}, which is {is}. Name another file after --eksa.", path.display()),
        };
        if is_same(keys, certificates) {
            return Err(usage(certificates, "named for the key and for the certificates"));
        }
        let taken = [keys, certificates].into_iter().find(|own| others.iter().any(|other| is_same(own, other)));
        taken.map_or(Ok(()), |path| Err(usage(path, "one of the AWS CLI's own files")))
    }

    /// The two, in the order of their variables.
    pub(crate) fn paths(&self) -> [&Path; 2] {
        [self.credentials.path(), self.certificates.path()]
    }

    /// Writes the certificates of the device at `address`, then its key; what is so already is left alone. `before_key` comes before
    /// the first byte of the key, which is not written if that fails. Returns whether anything was written.
    ///
    /// # Errors
    /// [`Error::ProfileFileRefused`], [`Error::ProfileFileRaced`], those of `before_key`.
    pub(super) fn write(
        self,
        key: &BlockKey,
        address: IpAddr,
        access_key: &DeviceKey,
        pem: &str,
        before_key: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let pem: Vec<String> = pem.lines().map(str::to_owned).collect();
        let new_certificates = with_lines(&self.certificates, key, &pem)?;
        if let Some(new) = &new_certificates {
            let path = self.certificates.path();
            self.certificates.replace(new).map_err(|not_changed| refused(path, not_changed))?;
        }
        let secret_line =
            Zeroizing::new(access_key.secret.expose(|secret| format!("aws_secret_access_key = {secret}")));
        let lines = Zeroizing::new(vec![
            format!("[{address}]"),
            format!("aws_access_key_id = {}", access_key.id),
            secret_line.as_str().to_owned(),
            "region = snow".to_owned(),
        ]);
        let new_key = with_lines(&self.credentials, key, &lines)?;
        if let Some(new) = &new_key {
            before_key()?;
            let path = self.credentials.path();
            self.credentials.replace_private(new).map_err(|not_changed| refused(path, not_changed))?;
        }
        Ok(new_certificates.is_some() || new_key.is_some())
    }
}

/// Where the AWS CLI's two files are or would be, without links.
fn aws_files() -> Result<Vec<PathBuf>> {
    let named = config_file()?.into_iter().chain(credentials_file()?);
    let real = |path: PathBuf| {
        let beside = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
        let real = path.canonicalize().ok().or_else(beside);
        real.or_else(|| std::path::absolute(&path).ok()).unwrap_or(path)
    };
    Ok(named.map(real).collect())
}

/// Whether two paths without links lead to the same file. Where the case of letters may not matter it is taken not to.
fn is_same(one: &Path, other: &Path) -> bool {
    let (one, other) = (dunce::simplified(one), dunce::simplified(other));
    if cfg!(any(windows, target_os = "macos")) {
        one.to_string_lossy().to_lowercase() == other.to_string_lossy().to_lowercase()
    } else {
        one == other
    }
}

/// The file with these lines in the block; `None` if it has them.
fn with_lines(file: &SharedFile, key: &BlockKey, lines: &[String]) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let new = with_block(file.content(), key, lines, file.to_make());
    let new = Zeroizing::new(new.map_err(|flaw| refused(file.path(), flaw.into()))?);
    Ok((file.content() != new.as_slice()).then_some(new))
}

fn refused(path: &Path, not_changed: NotChanged) -> Error {
    let path = path.display().to_string();
    match not_changed {
        NotChanged::Raced => Error::ProfileFileRaced { path },
        NotChanged::Refused(why) => {
            let hint = "Name a new file in a folder of your own after --eksa, then repeat the same command.".to_owned();
            Error::ProfileFileRefused { path, why, hint }
        }
    }
}
