//! The threads that look: one a hand, so that a silent router holds up nobody but itself.

use crate::engine::Message;
use crate::handle::Shared;
use crate::ports::{Hand, Order};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use suimon_base::{Clock, State};
use tokio::sync::mpsc;

/// What a looking thread needs.
pub(crate) struct Looker {
    pub hand: Arc<dyn Hand>,
    pub shared: Arc<Shared>,
    pub clock: Arc<dyn Clock>,
    pub messages: mpsc::Sender<Message>,
    pub every: Duration,
}

/// Asks for a look now; dropping it ends the thread.
pub(crate) type Wake = SyncSender<()>;

impl Looker {
    /// Starts the thread; it ends with the engine, or within one look after it.
    pub fn start(self) -> std::io::Result<Wake> {
        let (wake, asked) = sync_channel(1);
        std::thread::Builder::new().name(format!("look {}", self.hand.name())).spawn(move || {
            loop {
                if !self.once() {
                    return;
                }
                match asked.recv_timeout(self.every) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(wake)
    }

    /// Whether to go on.
    fn once(&self) -> bool {
        let began = self.clock.now();
        let wanted = orders(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner), self.hand.name());
        let result = self.hand.look(&wanted);
        let blind = matches!(result, Ok(None));
        let wanted = wanted.iter().map(|o| o.id).collect();
        let message = Message::Looked { hand: self.hand.name().to_owned(), began, wanted, result };
        self.messages.blocking_send(message).is_ok() && !blind
    }
}

/// What the ledger wants through a hand, what is only on its way in or out included.
pub(crate) fn orders(state: &State, hand: &str) -> Vec<Order> {
    let of = |m: &suimon_base::state::Measure| {
        let plan = m.plan()?;
        let (rules, text, undo) = (plan.rules.clone(), plan.text.clone(), plan.undo.clone());
        Some(Order { id: m.id, rules, text, undo })
    };
    state.in_force().filter(|m| m.draft.hand == hand).filter_map(of).collect()
}
