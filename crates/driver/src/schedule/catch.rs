//! Panics of one device's code stay with that device.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `future`; `Err` is the panic's message.
///
/// What the future borrows is seen again afterwards, so the caller must put it in order: that is what `AssertUnwindSafe`
/// asserts here.
pub(super) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(words(&*panic))),
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_words_and_a_value_passes() {
        assert_eq!(catch_panic(async { 7 }).await, Ok(7));
        let number = 3;
        let panicking = async {
            tokio::task::yield_now().await;
            assert_eq!(number, 4, "numbers");
        };
        assert!(catch_panic(panicking).await.unwrap_err().contains("numbers"));
    }
}
