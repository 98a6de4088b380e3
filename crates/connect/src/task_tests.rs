//! The life of tasks, in simulated time.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Does what its script says at each start.
struct Scripted {
    starts: Arc<AtomicU32>,
    script: fn(u32) -> Step,
}

enum Step {
    Fail(TaskError),
    Panic,
    ProgressThenFail,
    UntilStopped,
    NeverStops,
}

#[async_trait]
impl Task for Scripted {
    async fn run(&mut self, context: &TaskContext) -> Result<(), TaskError> {
        match (self.script)(self.starts.fetch_add(1, Ordering::Relaxed)) {
            Step::Fail(error) => Err(error),
            Step::Panic => panic!("the script says so"),
            Step::ProgressThenFail => {
                context.progress();
                tokio::task::yield_now().await;
                Err(TaskError::retriable("again"))
            }
            Step::UntilStopped => {
                context.stopped().await;
                Ok(())
            }
            Step::NeverStops => std::future::pending().await,
        }
    }
}

fn start(script: fn(u32) -> Step) -> (TaskHandle, Arc<AtomicU32>) {
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let handle =
        supervise(ConnectorMetrics::new("scripted"), move || Scripted { starts: counted.clone(), script });
    (handle, starts)
}

#[tokio::test(start_paused = true)]
async fn trouble_is_retried_with_growing_pauses_and_new_trouble_starts_with_short_ones() {
    // Far more troubles than any budget for a lifetime would allow.
    let (handle, starts) = start(|_| Step::ProgressThenFail);
    let began = Instant::now();
    while starts.load(Ordering::Relaxed) < 1_000 {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() <= 1_001 * BACK_OFF_MIN + Duration::from_secs(10), "{:?}", began.elapsed());
    handle.stop().await;

    let (handle, starts) = start(|_| Step::Fail(TaskError::retriable("the broker is away")));
    sleep(Duration::from_hours(1)).await;
    let attempts = starts.load(Ordering::Relaxed);
    assert!((120..=260).contains(&attempts), "{attempts} attempts in an hour");
    assert_eq!(handle.state(), TaskState::Waiting { cause: "the broker is away".to_owned() });
    handle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_is_told_and_waits_for_a_person() {
    let (handle, starts) = start(|starts| match starts {
        0 => Step::Fail(TaskError::Fatal("wrong password".to_owned())),
        _ => Step::UntilStopped,
    });
    sleep(Duration::from_hours(24)).await;
    assert_eq!(handle.state(), TaskState::Failed { cause: "wrong password".to_owned() });
    assert_eq!((starts.load(Ordering::Relaxed), handle.metrics().state.get()), (1, -1));
    handle.restart();
    let mut state = handle.watch();
    state.wait_for(|state| *state == TaskState::Running).await.unwrap();
    handle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_restart_and_nothing_else() {
    let (handle, starts) = start(|starts| if starts == 0 { Step::Panic } else { Step::UntilStopped });
    let mut state = handle.watch();
    let seen = state.wait_for(|state| matches!(state, TaskState::Waiting { .. })).await.unwrap().clone();
    assert_eq!(seen, TaskState::Waiting { cause: "the task panicked: the script says so".to_owned() });
    state.wait_for(|state| *state == TaskState::Running).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((starts.load(Ordering::Relaxed), handle.metrics().restarts.get()), (2, 1));
    handle.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_stop_is_cut_off() {
    let (handle, _) = start(|_| Step::NeverStops);
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    handle.stop().await;
    assert!(began.elapsed() <= STOP_WAIT + Duration::from_millis(10), "{:?}", began.elapsed());
}
