//! Windows: access lists, crash reports. There is no well-kept safe crate for access lists, so the few calls are here.
#![allow(unsafe_code)]

use std::ffi::{OsString, c_void};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW,
    GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorDacl,
    GetSecurityDescriptorOwner, GetTokenInformation, INHERIT_ONLY_ACE, LookupAccountSidW, OWNER_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_ELEVATION, TOKEN_QUERY, TOKEN_USER, TokenElevation,
    TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TYPE_DISK, GetDiskFreeSpaceExW, GetFileInformationByHandle, GetFileType,
};
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::System::Console::{
    ENABLE_ECHO_INPUT, FlushConsoleInputBuffer, GetConsoleMode, GetStdHandle, PHANDLER_ROUTINE, STD_INPUT_HANDLE,
    SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode};
use windows_sys::Win32::System::ErrorReporting::{WER_FAULT_REPORTING_FLAG_NOHEAP, WerSetFlags};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, SHGetKnownFolderPath};

/// Takes a variable out of this process's environment, before there is another thread: at the start of the program.
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: Windows guards the environment itself.
    unsafe { std::env::remove_var(name) }
}

/// `path` without links, and without the `\\?\` that neither cmd.exe nor a JVM takes.
///
/// # Errors
/// What the system says.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    Ok(match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(text) if !text.starts_with("UNC") => PathBuf::from(text),
        _ => path,
    })
}

/// Makes a rename or removal in a folder durable: nothing to do. NTFS logs changes of names before it answers, and
/// Windows has no fsync of a folder.
///
/// # Errors
/// None.
pub(crate) fn sync_dir(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Nothing to do: what Windows leaves out of backups (`FilesNotToBackup`) is for an administrator to set.
///
/// # Errors
/// None.
pub(crate) fn exclude_from_backups(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether `path` names a share of another machine; a share under a letter of its own is not told from a disk.
///
/// # Errors
/// None.
pub(crate) fn network_drive(path: &Path) -> io::Result<Option<&'static str>> {
    use std::path::{Component, Prefix};
    Ok(match path.components().next() {
        Some(Component::Prefix(prefix)) if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..)) => {
            Some("SMB")
        }
        _ => None,
    })
}

/// What this machine is called, as the system knows it.
pub(crate) fn host_name() -> Option<String> {
    let mut name = [0_u16; 256];
    let mut length = u32::try_from(name.len()).ok()?;
    // SAFETY: the length is the buffer's, and is that of the name once the call succeeded.
    ok_if(unsafe { GetComputerNameExW(ComputerNameDnsHostname, name.as_mut_ptr(), &raw mut length) }).ok()?;
    name.get(..length as usize).map(String::from_utf16_lossy)
}

/// Bytes free for this user on the volume of `folder`.
///
/// # Errors
/// What the system says.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let path = wide(folder)?;
    let mut free = 0;
    // SAFETY: the path ends with a zero, one number is written to a variable of ours, and the two others are not asked for.
    let answer = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, null_mut(), null_mut()) };
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(free) }
}

/// Whether what lies at `path` is in memory alone: no file system of this system is.
///
/// # Errors
/// None.
pub(crate) fn lies_in_memory(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

/// How many files this process may have open at once: there is no limit that it could meet.
pub(crate) fn raise_file_limit() -> Option<u64> {
    None
}

/// The limit of core files: there are none, and the reports that take their place are switched off.
pub(crate) fn core_limit() -> Option<u64> {
    Some(0)
}

/// Whether other processes of this user are kept from this one's memory: Windows has no such setting.
pub(crate) fn is_closed() -> Option<bool> {
    None
}

/// Where settings for all users lie: the known folder ProgramData, since the variable of that name is the user's to set.
#[must_use]
pub(crate) fn settings_for_all() -> Option<PathBuf> {
    let mut text: *mut u16 = null_mut();
    // SAFETY: the identifier lives through the call, no token is given, and the result is written to a place of its type; it is
    // CoTaskMemFree's to free whatever the answer is, and ends in a zero if that is 0.
    unsafe {
        let answer = SHGetKnownFolderPath(&FOLDERID_ProgramData, 0, null_mut(), &mut text);
        let found = (answer == 0).then(|| {
            let length = (0..).take_while(|&at| *text.add(at) != 0).count();
            PathBuf::from(OsString::from_wide(std::slice::from_raw_parts(text, length)))
        });
        CoTaskMemFree(text.cast());
        found
    }
}

/// For `safety::harden`, which says why.
pub(crate) fn harden_process() -> io::Result<()> {
    // Keeps Windows Error Reporting, with its dumps, from being called at a crash; children inherit it.
    set_error_mode(SEM_NOGPFAULTERRORBOX | SEM_FAILCRITICALERRORS);
    // Should it be called all the same, by a policy, then without the heap. The list of excluded programs
    // (WerAddExcludedApplication) is not used: it would stay in the user's registry for good.
    // SAFETY: takes flags alone.
    let reported = unsafe { WerSetFlags(WER_FAULT_REPORTING_FLAG_NOHEAP) };
    if reported < 0 { Err(io::Error::from_raw_os_error(reported)) } else { Ok(()) }
}

/// Sets the flags of SetErrorMode, and gives the ones before.
fn set_error_mode(flags: u32) -> u32 {
    // SAFETY: takes flags alone.
    unsafe { SetErrorMode(flags) }
}

/// Has the system call `handler`, on a thread of its own, at Ctrl-C and its like.
pub(super) fn set_console_handler(handler: extern "system" fn(u32) -> i32) -> io::Result<()> {
    let handler: PHANDLER_ROUTINE = Some(handler);
    // SAFETY: the handler is a function, which lives as long as the program, and takes any event.
    ok_if(unsafe { SetConsoleCtrlHandler(handler, 1) })
}

/// Drops what was typed into the console and not read.
pub(super) fn flush_console_input() {
    // SAFETY: both take and give plain values; what is no console's handle is refused.
    unsafe { FlushConsoleInputBuffer(GetStdHandle(STD_INPUT_HANDLE)) };
}

/// Has the console show what is typed, or not; whether that was otherwise before.
pub(super) fn console_input_echoes(shows: bool) -> bool {
    let mut mode = 0;
    // SAFETY: both take a plain handle, and what is no console's is refused; `mode` lives through the call.
    unsafe {
        let console = GetStdHandle(STD_INPUT_HANDLE);
        let changes = GetConsoleMode(console, &mut mode) != 0 && (mode & ENABLE_ECHO_INPUT != 0) != shows;
        changes && SetConsoleMode(console, mode ^ ENABLE_ECHO_INPUT) != 0
    }
}

/// Makes a folder with the owner and access list that `sddl` describes.
pub(crate) fn create_dir(path: &Path, sddl: &str) -> io::Result<()> {
    let descriptor = Descriptor::parse(sddl)?;
    let (path, attributes) = (wide(path)?, descriptor.attributes());
    // SAFETY: `path` ends in a zero and lives through the call, as does the descriptor that `attributes` points to.
    ok_if(unsafe { CreateDirectoryW(path.as_ptr(), &attributes) })
}

/// Makes a file that did not exist before with the owner and access list that `sddl` describes, open to be read and written.
pub(crate) fn create_file(path: &Path, sddl: &str) -> io::Result<File> {
    let descriptor = Descriptor::parse(sddl)?;
    let (path, attributes) = (wide(path)?, descriptor.attributes());
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: `path` ends in a zero and lives through the call, as does the descriptor that `attributes` points to.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            GENERIC_READ | GENERIC_WRITE,
            share,
            &attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above made the handle, and nobody else has it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Whether what is open lies on a disk: no console, no pipe, no device.
pub(crate) fn is_on_disk(file: &File) -> bool {
    // SAFETY: the handle is open for as long as `file` is, and nothing is kept of it.
    unsafe { GetFileType(file.as_raw_handle()) == FILE_TYPE_DISK }
}

/// How many names a file has.
pub(crate) fn names_of(file: &File) -> io::Result<u32> {
    let mut about = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open for as long as `file` is; the answer is written to a place of its type.
    ok_if(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut about) })?;
    Ok(about.nNumberOfLinks)
}

/// Memory that the system allocated and that we give back.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: only made from pointers that the system said to free with LocalFree, once.
        unsafe { LocalFree(self.0) };
    }
}

struct Descriptor(Local);

impl Descriptor {
    fn parse(sddl: &str) -> io::Result<Self> {
        let text: Vec<u16> = sddl.encode_utf16().chain([0]).collect();
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: `text` ends in a zero; the result is written to a place of its type, and is LocalFree's to free.
        ok_if(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(Local(descriptor)))
    }

    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        let length = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(u32::MAX);
        SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: self.0.0, bInheritHandle: 0 }
    }
}

/// Who may do what with a file or folder.
pub(crate) struct Access {
    pub(crate) owner: Sid,
    /// `None`: no list at all, so everyone may do everything.
    pub(crate) entries: Option<Vec<Ace>>,
}

/// An account.
pub(crate) struct Sid {
    pub(crate) text: String,
    /// "DOMAIN\name" where the system knows one.
    pub(crate) name: Option<String>,
}

/// An entry of an access list that grants something.
pub(crate) struct Ace {
    pub(crate) sid: Sid,
    pub(crate) mask: u32,
    /// Counts for the thing itself, not only for what is made in it.
    pub(crate) effective: bool,
}

impl Access {
    /// Of what is open.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the handle is open for as long as `file` is; the result is written to a place of its type, and is
        // LocalFree's to free.
        let error = unsafe {
            GetSecurityInfo(
                file.as_raw_handle(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &mut descriptor,
            )
        };
        Self::take(error, descriptor)
    }

    /// Of what lies at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let path = wide(path)?;
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: `path` ends in a zero; the result is written to a place of its type, and is LocalFree's to free.
        let error = unsafe {
            GetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &mut descriptor,
            )
        };
        Self::take(error, descriptor)
    }

    /// Of a description in text.
    #[cfg(test)]
    pub(crate) fn described(sddl: &str) -> io::Result<Self> {
        Self::read(&Descriptor::parse(sddl)?)
    }

    fn take(error: u32, descriptor: PSECURITY_DESCRIPTOR) -> io::Result<Self> {
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error.cast_signed()));
        }
        Self::read(&Descriptor(Local(descriptor)))
    }

    fn read(descriptor: &Descriptor) -> io::Result<Self> {
        let (mut owner, mut list): (PSID, *mut ACL) = (null_mut(), null_mut());
        let (mut defaulted, mut present) = (0, 0);
        // SAFETY: the descriptor is valid; the results are written to places of their types and point into it, so
        // they are valid where they are read.
        unsafe {
            ok_if(GetSecurityDescriptorOwner(descriptor.0.0, &mut owner, &mut defaulted))?;
            ok_if(GetSecurityDescriptorDacl(descriptor.0.0, &mut present, &mut list, &mut defaulted))?;
            Ok(Self { owner: Sid::read(owner)?, entries: entries(list)? })
        }
    }
}

/// The entries of a list that allow something. Those that deny are passed over: they only take away.
///
/// # Safety
/// `list` is null or a valid access list.
unsafe fn entries(list: *const ACL) -> io::Result<Option<Vec<Ace>>> {
    if list.is_null() {
        return Ok(None);
    }
    // Kinds of entries (winnt.h): allowed, and allowed with a condition, which have one layout.
    const ALLOWED: u8 = 0;
    const ALLOWED_CALLBACK: u8 = 9;
    const DENIED: [u8; 3] = [1, 6, 10];
    let mut found = Vec::new();
    // SAFETY: the list is valid, so its count is; GetAce gives a pointer into it, to an entry that begins with its
    // header; an entry of the two kinds is an ACCESS_ALLOWED_ACE whose SID starts at `SidStart`.
    unsafe {
        for index in 0..u32::from((*list).AceCount) {
            let mut ace: *mut c_void = null_mut();
            ok_if(GetAce(list, index, &mut ace))?;
            let header = &*ace.cast::<ACE_HEADER>();
            match header.AceType {
                ALLOWED | ALLOWED_CALLBACK => {
                    let ace = ace.cast::<ACCESS_ALLOWED_ACE>();
                    let sid = Sid::read((&raw mut (*ace).SidStart).cast())?;
                    let effective = u32::from(header.AceFlags) & INHERIT_ONLY_ACE == 0;
                    found.push(Ace { sid, mask: (*ace).Mask, effective });
                }
                kind if DENIED.contains(&kind) => {}
                kind => {
                    let text = format!("an access entry of kind {kind}, which this program can't read");
                    found.push(Ace { sid: Sid { text, name: None }, mask: u32::MAX, effective: true });
                }
            }
        }
    }
    Ok(Some(found))
}

impl Sid {
    /// # Safety
    /// `sid` is a valid security identifier.
    unsafe fn read(sid: PSID) -> io::Result<Self> {
        let mut text: *mut u16 = null_mut();
        // SAFETY: `sid` is valid; the text is written to a place of its type, ends in a zero, and is LocalFree's.
        let text = unsafe {
            ok_if(ConvertSidToStringSidW(sid, &mut text))?;
            let _text = Local(text.cast());
            let length = (0..).take_while(|&at| *text.add(at) != 0).count();
            String::from_utf16_lossy(std::slice::from_raw_parts(text, length))
        };
        // SAFETY: as above.
        Ok(Self { text, name: unsafe { Self::name(sid) } })
    }

    /// # Safety
    /// `sid` is a valid security identifier.
    unsafe fn name(sid: PSID) -> Option<String> {
        const ROOM: u32 = 512;
        let (mut name, mut domain) = ([0_u16; ROOM as usize], [0_u16; ROOM as usize]);
        let (mut name_length, mut domain_length, mut kind) = (ROOM, ROOM, 0);
        // SAFETY: `sid` is valid, and both lengths are those of their buffers.
        ok_if(unsafe {
            LookupAccountSidW(
                null(),
                sid,
                name.as_mut_ptr(),
                &mut name_length,
                domain.as_mut_ptr(),
                &mut domain_length,
                &mut kind,
            )
        })
        .ok()?;
        let name = String::from_utf16_lossy(name.get(..name_length as usize)?);
        let domain = String::from_utf16_lossy(domain.get(..domain_length as usize)?);
        Some(if domain.is_empty() { name } else { format!("{domain}\\{name}") })
    }

    /// For a sentence.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.text)
    }
}

fn own_token() -> io::Result<OwnedHandle> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the process's own pseudo handle; the token is written to a place of its type.
    ok_if(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
    // SAFETY: the call above made the handle, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// Whether this process has the rights of an administrator now, not only a user who could ask for them.
pub(crate) fn is_elevated() -> io::Result<bool> {
    let token = own_token()?;
    let mut elevation = TOKEN_ELEVATION { TokenIsElevated: 0 };
    let (size, mut used) = (u32::try_from(size_of_val(&elevation)).unwrap_or(0), 0);
    let place = std::ptr::from_mut(&mut elevation).cast();
    // SAFETY: the place is a TOKEN_ELEVATION of that size.
    ok_if(unsafe { GetTokenInformation(token.as_raw_handle(), TokenElevation, place, size, &mut used) })?;
    Ok(elevation.TokenIsElevated != 0)
}

/// This process's user, as a security identifier in text.
pub(crate) fn current_user() -> io::Result<String> {
    this_account().map(|account| account.text)
}

/// This process's user.
pub(crate) fn this_account() -> io::Result<Sid> {
    let token = own_token()?;
    // A TOKEN_USER and its SID, at most 16 + 68 bytes; of `u64` for the alignment of the pointer in it.
    let mut buffer = [0_u64; 32];
    let (size, mut used) = (u32::try_from(size_of_val(&buffer)).unwrap_or(0), 0);
    // SAFETY: the buffer has that size and alignment, and holds a TOKEN_USER once the call succeeded; its SID points
    // into the buffer.
    unsafe {
        ok_if(GetTokenInformation(token.as_raw_handle(), TokenUser, buffer.as_mut_ptr().cast(), size, &mut used))?;
        Sid::read((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid)
    }
}

/// The path as the system takes it: absolute, with a zero at its end. Past the old limit of 260 characters (248 for
/// folders) only in its verbatim form.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let path = std::path::absolute(path)?;
    let mut text: Vec<u16> = path.as_os_str().encode_wide().collect();
    if text.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path contains a zero"));
    }
    let begins_with_a_drive = text.get(1) == Some(&u16::from(b':'));
    if text.len() >= 240 && begins_with_a_drive {
        text.splice(0..0, r"\\?\".encode_utf16());
    }
    text.push(0);
    Ok(text)
}

fn ok_if(succeeded: i32) -> io::Result<()> {
    if succeeded == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
