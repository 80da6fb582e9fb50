//! Waiting for something to become true: often asked, always bounded, never a fixed pause.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Short enough to measure a revocation with, long enough not to load the machine.
const PAUSE: Duration = Duration::from_millis(2);
/// Once this long has passed without success, ask less often.
const EAGER: Duration = Duration::from_millis(500);
const LATER_PAUSE: Duration = Duration::from_millis(25);

/// Asks `probe` until it answers with a value; fails when `bound` has passed or the probe itself fails.
pub async fn until<T>(what: &str, bound: Duration, mut probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        let waited = start.elapsed();
        if waited >= bound {
            bail!("waited {} ms in vain for {what}", bound.as_millis());
        }
        tokio::time::sleep(if waited < EAGER { PAUSE } else { LATER_PAUSE }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_of_the_first_success_is_given() {
        let mut asked = 0;
        let value = until("three", Duration::from_secs(5), async || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn waiting_ends_at_the_bound_and_says_for_what() {
        let bound = Duration::from_millis(5);
        let error = until("nothing", bound, async || Ok(None::<()>)).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 5 ms in vain for nothing");
    }

    #[tokio::test]
    async fn a_failed_probe_ends_the_wait() {
        let bound = Duration::from_secs(60);
        let error = until("it", bound, async || -> Result<Option<()>> { bail!("broken") });
        assert_eq!(error.await.unwrap_err().to_string(), "broken");
    }
}
