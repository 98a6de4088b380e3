//! Waiting for all, or any, of several futures.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// Awaits every future, all at once, and returns their outputs in order.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut done = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => done = false,
                }
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

/// Awaits every future, all at once; the first error in order.
pub(crate) async fn all_ok<F: Future<Output = Result<(), E>>, E>(
    futures: impl IntoIterator<Item = F>,
) -> Result<(), E> {
    all(futures).await.into_iter().collect()
}

/// Awaits the first future that is ready. Never resolves where there is none.
pub(crate) async fn any<F: Future>(futures: impl IntoIterator<Item = F>) -> F::Output {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        for future in &mut futures {
            if let Poll::Ready(ready) = future.as_mut().poll(context) {
                return Poll::Ready(ready);
            }
        }
        Poll::Pending
    })
    .await
}
