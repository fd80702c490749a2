//! Pauses between two looks at a device.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
pub(in crate::device) const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Growing pauses, each twice the one before: 1, 2, 4, 8, 15, 15 … seconds, if not told otherwise.
pub(in crate::device) struct Pause(Duration);

impl Pause {
    pub(in crate::device) fn new() -> Self {
        Self(FIRST)
    }

    /// To begin with a quarter of the time that a look takes: shorter ones would bring nothing, and a longer one would be waited
    /// for after a device that opens at once.
    pub(in crate::device) fn between_looks_of(look: Duration) -> Self {
        Self((look / 4).clamp(SHORTEST, LONGEST_PAUSE))
    }

    pub(in crate::device) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_quarter_of_a_minute() {
        let mut pause = Pause::new();
        let pauses: Vec<u64> = (0..6).map(|_| pause.next().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        let first = |look| Pause::between_looks_of(Duration::from_millis(look)).next().as_millis();
        assert_eq!([1100, 8, 600_000].map(first), [275, 100, 15_000]);
    }
}
