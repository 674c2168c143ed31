//! What is not needed any more is forgotten now and then.

use super::store::AgentOp;
use super::users::Writer;
use super::{Agent, Alarm};
use crate::time::UnixTime;

impl Agent {
    /// The agent was started: the first clean-up comes soon, so that an app that is opened for a minute has one too.
    pub(super) fn begin_clean_up(&mut self) {
        let at = self.shared.now.mono + self.shared.config.limits.clean_up_first;
        self.alarms.insert((at, Alarm::CleanUp));
    }

    /// Forgets messages that are told from others, and compared with receipts, no longer. What fails is done the next time.
    pub(super) fn clean_up(&mut self) {
        let limits = &self.shared.config.limits;
        let keep = i64::try_from(limits.keep_messages.as_millis()).unwrap_or(i64::MAX);
        let before = UnixTime::from_millis(self.shared.now.unix.as_millis().saturating_sub(keep));
        self.alarms.insert((self.shared.now.mono + limits.clean_up_pause, Alarm::CleanUp));
        self.write(Writer::CleanUp, vec![AgentOp::ForgetMessagesBefore(before)]);
    }
}
