//! What a power cut, or a kill of all our processes, left of an earlier run: its private home, and a client in it that ignored
//! the system's hang-up. Both go with the next command that opens the state folder, once that is known to be ours.

use std::path::Path;
use std::sync::Once;

use crate::device::{self, Places};
use crate::error::{Result, io_in_words};
use crate::report::{Event, Notify};
use crate::store::{HomeNote, StateFolder};

/// The places for homes are looked through once in a command: one about hundreds of jobs opens the state folder for each.
static SYSTEM_PLACES: Once = Once::new();

/// Opens the state folder `root`, making it when it is not there, and removes what earlier runs left: homes in the places that
/// are for homes now, and those that runs with another environment noted.
///
/// # Errors
/// Those of [`StateFolder::open`]. A home that won't go is a warning.
pub(crate) fn open_state_folder(root: &Path, notify: &dyn Notify) -> Result<StateFolder> {
    let state = StateFolder::open(root)?;
    let mut stuck = Vec::new();
    // Those that were noted are known to be ours, whatever became of them.
    for (note, home) in state.noted_homes(device::is_home_name) {
        match device::remove_stale_home(&home) {
            Ok(true) => HomeNote::remove(note),
            Ok(false) => {}
            Err(error) => stuck.push((home, error)),
        }
    }
    let mut in_places = Vec::new();
    SYSTEM_PLACES.call_once(|| in_places = device::remove_stale_homes(&Places::of_system()));
    in_places.retain(|(path, _)| stuck.iter().all(|(told, _)| told != path));
    for (path, error) in stuck.into_iter().chain(in_places) {
        notify.notify(Event::Warning(format!(
            "An earlier run left {} behind, which may hold an unlock code, and it can't be removed: {}.",
            path.display(),
            io_in_words(&error)
        )));
    }
    Ok(state)
}
