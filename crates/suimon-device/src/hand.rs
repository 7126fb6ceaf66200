//! A device as the spine's hand.

use crate::device::{Device, UndoBy};
use crate::error::DeviceError;
use crate::observed::{Observation, State};
use crate::wanted::Wanted;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use suimon_base::MeasureId;
use suimon_spine::ports::{Budget, Decision, Hand, HandError, HandReport, Order, Sight};

/// Seconds between two tries of our own timer to take back what was left half done.
const UNDO_RETRY_S: u64 = 2;
/// Tries of our own timer: a little over an hour, after which the log says that a person must look.
const UNDO_TRIES: u32 = 1_800;

/// One router as a hand. Calls on one router never overlap.
pub struct DeviceHand {
    name: String,
    budget_lines: Option<usize>,
    device: Arc<dyn Device>,
    one: Arc<Mutex<()>>,
    /// Measures that our own timer takes back.
    pending: Arc<Mutex<BTreeSet<MeasureId>>>,
}

impl DeviceHand {
    /// `name` is the hand's name in configuration and ledger; `budget_lines` bounds the lines of all our lists on it.
    pub fn new(name: &str, budget_lines: Option<usize>, device: Arc<dyn Device>) -> Self {
        DeviceHand { name: name.into(), budget_lines, device, one: Arc::default(), pending: Arc::default() }
    }

    /// Desired against observed state (catalogue rows 96, 146): what differs, what is too much, what was dropped.
    ///
    /// # Errors
    /// When the router cannot be reached or read.
    pub fn observe(&self, wanted: &[Wanted]) -> Result<Observation, DeviceError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.device.read()?.against(wanted, self.device.dialect()))
    }

    /// An order made ready for this router; see [`Wanted::new`].
    ///
    /// # Errors
    /// When the text is not what was approved, in this router's dialect.
    pub fn wanted(&self, order: &Order) -> Result<Wanted, DeviceError> {
        Wanted::new(order, self.device.dialect())
    }

    /// Puts an order into force. The same as [`Hand::apply`] with errors by consequence.
    ///
    /// # Errors
    /// When nothing is in force afterwards, or when the error says who takes it back.
    pub fn put(&self, order: &Order) -> Result<HandReport, DeviceError> {
        let wanted = self.wanted(order)?;
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.device.read()?;
        if before.state(&wanted, self.device.dialect()) == State::Present {
            self.settled(wanted.id());
            let place = format!("{} {}", self.device.place(), wanted.names().join(", "));
            return Ok(HandReport::Done { place, receipt: "already in force as wanted; nothing was changed".into() });
        }
        if let Some(budget) = self.budget_lines {
            let others: usize = before.lines() - before.of(wanted.id()).map(|l| l.lines).sum::<usize>();
            if others + wanted.lines() > budget {
                return Err(DeviceError::InTheWay(format!(
                    "{}: {} lines are in use, {} more would exceed the budget of {budget}; release something or place the \
                     filter elsewhere",
                    self.name,
                    others,
                    wanted.lines()
                )));
            }
        }
        match self.device.apply(&wanted) {
            Ok(applied) => {
                self.settled(wanted.id());
                let receipt = format!("{}; {}", applied.receipt, applied.undo_by);
                Ok(HandReport::Done { place: applied.place, receipt })
            }
            Err(error) => {
                if error.is_clean() {
                    return Err(error);
                }
                // Nobody here knows what the router did, or it could not be taken back: our timer looks until it is gone.
                self.take_back_later(wanted.id());
                let undone = "what may have been entered is taken back as soon as the router answers".into();
                Err(DeviceError::NotAsWanted { why: error.to_string(), undone })
            }
        }
    }

    /// Removes a measure. The same as [`Hand::release`] with errors by consequence.
    ///
    /// # Errors
    /// When it may still be in force.
    pub fn remove(&self, id: MeasureId) -> Result<HandReport, DeviceError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = self.device.undo(id)?;
        self.settled(id);
        Ok(HandReport::Done { place: self.device.place(), receipt })
    }

    /// Measures that our own timer is still taking back.
    pub fn taking_back(&self) -> Vec<MeasureId> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Ends the timer of a measure whose state is known again.
    fn settled(&self, id: MeasureId) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn take_back_later(&self, id: MeasureId) {
        if !self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let (device, one, pending, name) =
            (self.device.clone(), self.one.clone(), self.pending.clone(), self.name.clone());
        std::thread::spawn(move || {
            for _ in 0..UNDO_TRIES {
                std::thread::sleep(Duration::from_secs(UNDO_RETRY_S));
                let _one = one.lock().unwrap_or_else(PoisonError::into_inner);
                if !pending.lock().unwrap_or_else(PoisonError::into_inner).contains(&id) {
                    return;
                }
                match device.undo(id) {
                    Ok(done) => {
                        tracing::warn!(device = %name, measure = %id, done, "a half-made change was taken back");
                        pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(device = %name, measure = %id, %error, "taking back will be tried again")
                    }
                }
            }
            tracing::error!(device = %name, measure = %id, "a half-made change could not be taken back; look at the router");
        });
    }
}

impl Hand for DeviceHand {
    fn name(&self) -> &str {
        &self.name
    }
    fn apply(&self, order: &Order, _: &Decision) -> Result<HandReport, HandError> {
        self.put(order).map_err(|e| HandError(format!("{}: {e}", self.name)))
    }
    fn release(&self, id: MeasureId) -> Result<HandReport, HandError> {
        self.remove(id).map_err(|e| HandError(format!("{}: {e}", self.name)))
    }
    fn budget(&self) -> Result<Option<Budget>, HandError> {
        let Some(limit) = self.budget_lines else { return Ok(None) };
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.device.read().map_err(|e| HandError(format!("{}: {e}", self.name)))?;
        Ok(Some(Budget { used: seen.lines() as u64, limit: limit as u64 }))
    }
    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.device.read().map_err(|e| HandError(format!("{}: {e}", self.name)))?;
        Ok(Some(seen.in_force()))
    }
    fn look(&self, orders: &[Order]) -> Result<Option<Sight>, HandError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.device.read().map_err(|e| HandError(format!("{}: {e}", self.name)))?;
        Ok(Some(crate::look::sight(&seen, orders, self.device.dialect(), &self.device.place())))
    }
}

impl UndoBy {
    /// Whether the router does it without us.
    pub fn is_the_router(self) -> bool {
        matches!(self, UndoBy::Router { .. })
    }
}
