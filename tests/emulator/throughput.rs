//! Request units: what pages cost, and how many are sold per second. An account that is asked for
//! more than it sells answers 429.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an account sells, until when that is used up, and what it asks for.
#[derive(Default)]
pub(crate) struct Throughput {
    budget: Mutex<Option<Budget>>,
    /// For each document of a page.
    price: Mutex<Option<f64>>,
}

struct Budget {
    per_second: f64,
    /// Charges are known after the answer: what came too much is owed, and nothing answered until then.
    used_until: Instant,
}

impl Throughput {
    /// Sells so much from now on; without a number, whatever is asked for.
    pub(crate) fn set(&self, per_second: Option<f64>) {
        let used_until = Instant::now();
        let budget = per_second
            .filter(|units| *units > 0.0)
            .map(|per_second| Budget { per_second, used_until });
        *self.budget.lock().unwrap_or_else(PoisonError::into_inner) = budget;
    }

    /// Asks for so much for each document of a page from now on; without a number, for what the
    /// emulator charges.
    pub(crate) fn set_price(&self, units: Option<f64>) {
        *self.price.lock().unwrap_or_else(PoisonError::into_inner) = units;
    }

    /// The charge of a page of so many documents, where there is a price. A page without any costs
    /// as much as one.
    pub(crate) fn price(&self, documents: u64) -> Option<f64> {
        let price = (*self.price.lock().unwrap_or_else(PoisonError::into_inner))?;
        let documents = u32::try_from(documents.max(1)).ok()?;
        // In hundredths, as the service has it.
        Some((price * f64::from(documents) * 100.0).round() / 100.0)
    }

    /// Milliseconds until the next request is answered, if it is not at once.
    pub(crate) fn wait_ms(&self) -> Option<u64> {
        let budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let left = budget.as_ref()?.used_until.checked_duration_since(Instant::now())?;
        u64::try_from(left.as_millis()).ok().map(|left| left + 1)
    }

    /// Counts the charge of an answer.
    pub(crate) fn charge(&self, units: f64) {
        if let Some(budget) = self.budget.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let seconds = (units / budget.per_second).clamp(0.0, 60.0);
            budget.used_until = budget.used_until.max(Instant::now()) + Duration::from_secs_f64(seconds);
        }
    }
}
