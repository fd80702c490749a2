//! The device's lock, as a machine of states that knows no network.

use std::time::{Duration, Instant};

/// What the device does when it is asked to unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocking {
    /// UNLOCKED after this long.
    For(Duration),
    /// UNLOCKED after this many descriptions that said UNLOCKING.
    Polls(u32),
}

/// In what way the device misbehaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    #[default]
    Normal,
    /// Stays UNLOCKING for ever.
    StuckUnlocking,
    /// LOCKED again where it should have become UNLOCKED.
    FallsBack,
    /// Describes itself with this word, whatever its state.
    Says(String),
    /// Describes itself with this `DeviceId`.
    OtherDevice(String),
    /// Describes itself without a `DeviceId`.
    NoDeviceId,
    /// Of a node: opens, and stays DISASSOCIATED for ever.
    StaysDisassociated,
}

/// The lock's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Powered, and not listening yet.
    Booting,
    /// As it arrives, and after every loss of power.
    Locked,
    /// Asked to unlock.
    Unlocking,
    /// Open.
    Unlocked,
}

impl State {
    /// The word that `describe-device` uses; a booting device says nothing.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Booting => "",
            Self::Locked => "LOCKED",
            Self::Unlocking => "UNLOCKING",
            Self::Unlocked => "UNLOCKED",
        }
    }
}

/// The machine. Time is given to it, so that its tests need not wait.
pub(super) struct Machine {
    pub(super) mode: Mode,
    pub(super) unlocking: Unlocking,
    state: State,
    asked_at: Instant,
    polls: u32,
    boots_until: Instant,
    /// Whether it was asked into its cluster since it last got power, and whether it ever was.
    joins: bool,
    joined: bool,
}

impl Machine {
    pub(super) fn new(mode: Mode, unlocking: Unlocking, boots_until: Instant) -> Self {
        let (state, asked_at) = (State::Locked, boots_until);
        Self { mode, unlocking, state, asked_at, polls: 0, boots_until, joins: false, joined: false }
    }

    /// The state at this moment.
    pub(super) fn state(&mut self, now: Instant) -> State {
        if now < self.boots_until {
            return State::Booting;
        }
        let done = match self.unlocking {
            Unlocking::For(time) => now >= self.asked_at + time,
            Unlocking::Polls(polls) => self.polls >= polls,
        };
        if self.state == State::Unlocking && done {
            self.state = match self.mode {
                Mode::StuckUnlocking => State::Unlocking,
                Mode::FallsBack => State::Locked,
                _ => State::Unlocked,
            };
        }
        self.state
    }

    /// When the boot under way, or the last one, ends.
    pub(super) fn boots_until(&self) -> Instant {
        self.boots_until
    }

    /// What a description says, and counts it.
    pub(super) fn describe(&mut self, now: Instant) -> String {
        let state = self.state(now);
        if state == State::Unlocking {
            self.polls += 1;
        }
        match &self.mode {
            Mode::Says(word) => word.clone(),
            _ => state.word().to_owned(),
        }
    }

    /// Asks a locked device to unlock; an open one stays open.
    pub(super) fn unlock(&mut self, now: Instant) {
        if self.state(now) == State::Locked {
            (self.state, self.asked_at, self.polls) = (State::Unlocking, now, 0);
        }
    }

    /// Asks a node to unlock and into its cluster.
    pub(super) fn join(&mut self, now: Instant) {
        self.unlock(now);
        (self.joins, self.joined) = (true, true);
    }

    /// Whether a node is of its cluster. While nobody reaches it, the others say what they knew; that is a guess, and so is
    /// that a node which lost power has to be asked again for more than its lock.
    pub(super) fn is_associated(&mut self, now: Instant) -> bool {
        match self.state(now) {
            State::Booting => self.joined,
            State::Unlocked => self.joins && !matches!(self.mode, Mode::StaysDisassociated | Mode::Says(_)),
            State::Locked | State::Unlocking => false,
        }
    }

    /// Opens the device without anybody asking; a node is of its cluster then.
    pub(super) fn open(&mut self) {
        self.state = State::Unlocked;
        (self.joins, self.joined) = (true, true);
    }

    /// Cuts the power, and gives it back for a boot that ends at `boots_until`. Locks the device.
    pub(super) fn power_loss(&mut self, boots_until: Instant) {
        (self.state, self.boots_until, self.joins) = (State::Locked, boots_until, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn locked(mode: Mode, unlocking: Unlocking) -> (Machine, Instant) {
        let now = Instant::now();
        (Machine::new(mode, unlocking, now), now)
    }

    #[test]
    fn opens_after_a_time_and_locks_when_the_power_goes() {
        let (mut machine, now) = locked(Mode::Normal, Unlocking::For(SECOND));
        assert_eq!(machine.describe(now + SECOND), "LOCKED");
        machine.unlock(now);
        assert_eq!(machine.describe(now), "UNLOCKING");
        // Asking again does not start over.
        machine.unlock(now + SECOND / 2);
        assert_eq!(machine.describe(now + SECOND), "UNLOCKED");
        machine.unlock(now + SECOND);
        assert_eq!(machine.describe(now + SECOND), "UNLOCKED");
        machine.power_loss(now + 3 * SECOND);
        assert_eq!(machine.state(now + 2 * SECOND), State::Booting);
        assert_eq!(machine.state(now + 3 * SECOND), State::Locked);
    }

    #[test]
    fn opens_after_a_number_of_descriptions() {
        let (mut machine, now) = locked(Mode::Normal, Unlocking::Polls(2));
        machine.unlock(now);
        let words: Vec<_> = (0..3).map(|_| machine.describe(now)).collect();
        assert_eq!(words, ["UNLOCKING", "UNLOCKING", "UNLOCKED"]);
    }

    #[test]
    fn misbehaves_as_told() {
        let describe = |mode| {
            let (mut machine, now) = locked(mode, Unlocking::For(SECOND));
            machine.unlock(now);
            machine.describe(now + 9 * SECOND)
        };
        assert_eq!(describe(Mode::StuckUnlocking), "UNLOCKING");
        assert_eq!(describe(Mode::FallsBack), "LOCKED");
        assert_eq!(describe(Mode::Says("DEGRADED".to_owned())), "DEGRADED");
        assert_eq!(describe(Mode::OtherDevice("JID".to_owned())), "UNLOCKED");
    }

    #[test]
    fn may_be_open_before_anybody_asks() {
        let (mut machine, now) = locked(Mode::Normal, Unlocking::For(SECOND));
        machine.open();
        assert_eq!(machine.describe(now), "UNLOCKED");
        assert!(machine.is_associated(now));
    }

    #[test]
    fn a_node_is_of_its_cluster_once_it_is_open_and_until_it_loses_power() {
        let (mut node, now) = locked(Mode::Normal, Unlocking::For(SECOND));
        node.join(now);
        assert!(!node.is_associated(now));
        assert!(node.is_associated(now + SECOND));
        node.power_loss(now + 3 * SECOND);
        assert!(node.is_associated(now + 2 * SECOND), "the others know no better yet");
        node.unlock(now + 3 * SECOND);
        assert_eq!((node.state(now + 9 * SECOND), node.is_associated(now + 9 * SECOND)), (State::Unlocked, false));
        node.join(now + 9 * SECOND);
        assert!(node.is_associated(now + 9 * SECOND));
        for mode in [Mode::StaysDisassociated, Mode::Says("DEGRADED".to_owned())] {
            node.mode = mode;
            assert!(!node.is_associated(now + 9 * SECOND));
        }
    }
}
