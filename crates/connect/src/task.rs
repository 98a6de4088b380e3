//! The life of a connector's task: started, watched, started again after trouble, stopped in time.

use crate::ConnectorMetrics;
use crate::back_off::BackOff;
use crate::limits::{BACK_OFF_MAX, BACK_OFF_MIN, STOP_WAIT};
use async_trait::async_trait;
use millstream_bus::BusError;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// A connector's task cannot go on as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskError {
    /// It is started again after a pause.
    #[error("{message}")]
    Retriable {
        /// What happened, in words.
        message: String,
        /// When trying again makes sense at the earliest.
        after: Option<Duration>,
    },
    /// Nothing but a person can help: it stays [`TaskState::Failed`] until it is started again by hand.
    #[error("{0}")]
    Fatal(String),
}

impl TaskError {
    /// What happened to what is left to the next attempt.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self::Retriable { message: message.into(), after: None }
    }
}

impl From<BusError> for TaskError {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Fatal(message) => Self::Fatal(message),
            BusError::Unavailable { message, retry_after } => {
                Self::Retriable { message, after: Some(retry_after) }
            }
            error => Self::retriable(error.to_string()),
        }
    }
}

/// What a connector does between start and stop.
#[async_trait]
pub trait Task: Send + 'static {
    /// Works until it is told to stop (`Ok`) or cannot go on. Started again on the same value after an error, so that what
    /// it holds in memory must either be good for going on or be set up anew in here.
    async fn run(&mut self, context: &TaskContext) -> Result<(), TaskError>;
}

/// What the supervisor gives to a task.
#[derive(Debug, Clone)]
pub struct TaskContext {
    stop: watch::Receiver<bool>,
    progressed: Arc<Notify>,
    metrics: Arc<ConnectorMetrics>,
}

impl TaskContext {
    /// Resolves when the task should end. Cancel-safe.
    pub async fn stopped(&self) {
        // An error means that nobody is left who could say so: the end as well.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Whether the task should end.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Something worked: trouble from now on is new trouble, with short pauses again.
    pub fn progress(&self) {
        self.progressed.notify_one();
    }

    /// The connector's counters.
    pub fn metrics(&self) -> &ConnectorMetrics {
        &self.metrics
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It works.
    Running,
    /// It had trouble and is started again in a moment.
    Waiting {
        /// What happened.
        cause: String,
    },
    /// It does not go on by itself.
    Failed {
        /// What happened.
        cause: String,
    },
    /// It was told to stop, and did.
    Stopped,
}

/// A supervised task. Dropping it stops the task.
#[derive(Debug)]
pub struct TaskHandle {
    stop: watch::Sender<bool>,
    restart: Arc<Notify>,
    state: watch::Receiver<TaskState>,
    metrics: Arc<ConnectorMetrics>,
    join: tokio::task::JoinHandle<()>,
}

impl TaskHandle {
    /// The task's connector.
    pub fn name(&self) -> &str {
        &self.metrics.connector
    }

    /// Where it stands.
    pub fn state(&self) -> TaskState {
        self.state.borrow().clone()
    }

    /// Every change of where it stands.
    pub fn watch(&self) -> watch::Receiver<TaskState> {
        self.state.clone()
    }

    /// Its counters.
    pub fn metrics(&self) -> &Arc<ConnectorMetrics> {
        &self.metrics
    }

    /// Starts a failed or waiting task at once.
    pub fn restart(&self) {
        self.restart.notify_one();
    }

    /// Stops it: it is told to, and cut off after [`STOP_WAIT`].
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let mut state = self.state.clone();
        let _ = state.wait_for(|state| *state == TaskState::Stopped).await;
        let _ = self.join.await;
    }
}

/// Runs a task under watch. `build` makes the task, and makes it anew after a panic, since nobody knows what that left behind.
pub fn supervise<T: Task>(
    metrics: Arc<ConnectorMetrics>,
    build: impl FnMut() -> T + Send + 'static,
) -> TaskHandle {
    let (stop, stop_receiver) = watch::channel(false);
    let (state_sender, state) = watch::channel(TaskState::Running);
    let restart = Arc::new(Notify::new());
    let context =
        TaskContext { stop: stop_receiver, progressed: Arc::new(Notify::new()), metrics: metrics.clone() };
    let join = tokio::spawn(watch_over(build, context, state_sender, restart.clone()));
    TaskHandle { stop, restart, state, metrics, join }
}

async fn watch_over<T: Task>(
    mut build: impl FnMut() -> T + Send + 'static,
    context: TaskContext,
    state: watch::Sender<TaskState>,
    restart: Arc<Notify>,
) {
    let mut back_off = BackOff::new(BACK_OFF_MIN, BACK_OFF_MAX);
    let mut task = None;
    while !context.is_stopped() {
        context.metrics.state.set(1);
        state.send_replace(TaskState::Running);
        let mut run = task.take().unwrap_or_else(&mut build);
        let error = match run_once(&mut run, &context, &mut back_off).await {
            Ok(()) | Err(Ended::CutOff) => break,
            Err(Ended::Error(error)) => {
                task = Some(run);
                error
            }
            Err(Ended::Panic(message)) => TaskError::retriable(message),
        };
        if !pause(error, &context, &state, &restart, &mut back_off).await {
            break;
        }
        context.metrics.restarts.increment();
    }
    context.metrics.state.set(0);
    state.send_replace(TaskState::Stopped);
}

enum Ended {
    Error(TaskError),
    Panic(String),
    CutOff,
}

/// One life of the task, until it ends or is cut off because it does not stop.
async fn run_once<T: Task>(task: &mut T, context: &TaskContext, back_off: &mut BackOff) -> Result<(), Ended> {
    let mut run = std::pin::pin!(catch_panic(task.run(context)));
    loop {
        tokio::select! {
            biased;
            result = &mut run => return result,
            () = context.progressed.notified() => back_off.reset(),
            () = context.stopped() => {
                return timeout(STOP_WAIT, run).await.unwrap_or(Err(Ended::CutOff));
            }
        }
    }
}

/// Turns a panic inside `run` into an error, so that one task's mistake costs the others nothing.
async fn catch_panic(run: impl Future<Output = Result<(), TaskError>>) -> Result<(), Ended> {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let mut run = std::pin::pin!(run);
    std::future::poll_fn(move |cx| {
        // After a panic neither the future nor the task is used again: both are dropped.
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
            Ok(poll) => poll.map_err(Ended::Error),
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                let text = text.unwrap_or_else(|| "no message".to_owned());
                std::task::Poll::Ready(Err(Ended::Panic(format!("the task panicked: {text}"))))
            }
        }
    })
    .await
}

/// Waits until the task is to be started again; `false` when it is to stop.
async fn pause(
    error: TaskError,
    context: &TaskContext,
    state: &watch::Sender<TaskState>,
    restart: &Notify,
    back_off: &mut BackOff,
) -> bool {
    let name = &context.metrics.connector;
    let until = match error {
        TaskError::Retriable { message, after } => {
            let pause = back_off.pause().max(after.unwrap_or_default());
            tracing::warn!(connector = %name, attempts = back_off.attempts(), "{message}; next attempt in {pause:?}");
            context.metrics.retries.increment();
            context.metrics.state.set(0);
            state.send_replace(TaskState::Waiting { cause: message });
            Some(Instant::now() + pause)
        }
        TaskError::Fatal(cause) => {
            tracing::error!(connector = %name, "{cause}; it does not go on by itself");
            context.metrics.state.set(-1);
            state.send_replace(TaskState::Failed { cause });
            None
        }
    };
    let over = async {
        match until {
            Some(until) => sleep(until.saturating_duration_since(Instant::now())).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => true,
        () = restart.notified() => true,
        () = context.stopped() => false,
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
