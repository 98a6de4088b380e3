//! The engine: runs statements and keeps persistent queries alive.

mod assert;
mod connectors;
mod execute;
mod feed;
mod forget;
mod inputs;
mod inserts;
mod lifecycle;
mod materialized;
mod poison;
mod print;
mod pull;
mod push;
mod restore;
mod running;
mod saved;
mod schemas;
mod show;
mod slots;
mod stage;
mod supervise;
mod task;
#[cfg(test)]
mod tests;
mod topics;
mod union;

pub use inserts::InsertStream;

use crate::connector::Connectors;
use crate::parse::Variables;
use crate::plan::query_plan::PersistentQuery;
use crate::plan::{Action, PlannedStatement, plan_with};
use crate::session::DefaultFormats;
use crate::{
    Catalog, Executed, Execution, PushQuery, QueryState, QueryStatus, Session, SqlError, StatementResult,
};
use feed::Feeds;
use millstream_bus::Bus;
use millstream_format::registry::SchemaRegistry;
use millstream_model::metric::{Collect, Page};
use millstream_model::{Clock, Diagnostic, Severity};
use parking_lot::RwLock;
use running::Running;
pub use saved::STATEMENT_TOPIC;
use saved::{Broken, Kept, Saved, State};
use slots::Slots;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs statements and keeps persistent queries alive. Every method may be called from any task of a tokio runtime.
/// Dropping it ends every query.
#[derive(Debug)]
pub struct Engine {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    catalog: RwLock<Catalog>,
    queries: RwLock<BTreeMap<Arc<str>, Arc<Running>>>,
    /// Queries that were terminated, whose offsets and state are there for another start.
    ended: RwLock<BTreeMap<Arc<str>, Arc<PersistentQuery>>>,
    /// Held while statements run: one list of statements after the other.
    statements: tokio::sync::Mutex<()>,
    /// This process' share of the tasks.
    slots: Slots,
    /// The partitions that its queries read.
    feeds: Arc<Feeds>,
    /// What runs connectors, where anything does.
    connectors: Option<Arc<dyn Connectors>>,
    /// What keeps schemas, where anything does.
    registry: Option<Arc<dyn SchemaRegistry>>,
    /// The statements that are kept; `None` until [`Engine::keep_statements`].
    saved: tokio::sync::Mutex<Option<Saved>>,
    /// Kept statements that do not work any more.
    broken: RwLock<Vec<Broken>>,
    /// What pull queries share.
    pulls: pull::Pulls,
    stop: watch::Sender<bool>,
}

impl Engine {
    /// An engine over `bus` that knows the relations of `catalog` (those of the scan groups). `clock` stamps error records.
    pub fn new(bus: Arc<dyn Bus>, catalog: Catalog, clock: Arc<dyn Clock>) -> Self {
        Self {
            bus,
            clock,
            catalog: RwLock::new(catalog),
            queries: RwLock::default(),
            ended: RwLock::default(),
            statements: tokio::sync::Mutex::default(),
            slots: Slots::all(),
            feeds: Arc::default(),
            connectors: None,
            registry: None,
            saved: tokio::sync::Mutex::default(),
            broken: RwLock::default(),
            pulls: pull::Pulls::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// The same, dividing the tasks of its queries with every other process that has the same `service_id` on the same
    /// Kafka cluster and runs the same statements: each runs some of the partitions, and they take over from one another.
    /// Must be called before statements run, within a tokio runtime.
    #[must_use]
    pub fn sharing(mut self, service_id: &str) -> Self {
        self.slots = Slots::shared(self.bus.clone(), service_id, self.stop.subscribe());
        self
    }

    /// The same engine with somebody who runs connectors. Must be called before statements run.
    #[must_use]
    pub fn with_connectors(mut self, connectors: Arc<dyn Connectors>) -> Self {
        self.connectors = Some(connectors);
        self
    }

    /// Keeps the statements that are run from now on in [`STATEMENT_TOPIC`], and lets [`Engine::reload`] run those that were
    /// kept before. Does nothing the second time.
    pub async fn keep_statements(&self) -> Result<(), SqlError> {
        let mut saved = self.saved.lock().await;
        if saved.is_none() {
            *saved = Some(Saved::load(&*self.bus).await?);
        }
        Ok(())
    }

    /// Runs every statement of `source` in order. All are checked first: with one mistake in any, none is run.
    pub async fn execute(&self, source: &str) -> Result<Vec<StatementResult>, SqlError> {
        let Execution { done, failed } = self.execute_in(source, &mut Session::default()).await;
        match failed {
            Some((_, error)) => Err(error),
            None => Ok(done.into_iter().map(|executed| executed.result).collect()),
        }
    }

    /// [`Engine::execute`] with what earlier statements of the same client have set, and with what was done before one failed.
    pub async fn execute_in(&self, source: &str, session: &mut Session) -> Execution {
        let mut one_at_a_time = Some(self.statements.lock().await);
        let mut execution = Execution::default();
        if *self.stop.borrow() {
            execution.failed = Some((String::new(), SqlError::Stopped));
            return execution;
        }
        let mut catalog = self.catalog.read().clone();
        let mut variables = variables(session);
        if let Err(error) = self.infer(&mut catalog, source, &variables).await {
            execution.failed = Some((String::new(), error));
            return execution;
        }
        let (planned, mistakes) = plan_with(&mut catalog, &mut variables, source);
        if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
            execution.failed = Some((String::new(), SqlError::Mistakes(mistakes)));
            return execution;
        }
        for statement in planned {
            let (sql, warnings) = (statement.sql.clone(), statement.warnings.clone());
            // Others need not wait for what is waited for.
            if matches!(statement.action, Action::Assert(_)) {
                one_at_a_time = None;
            } else if one_at_a_time.is_none() {
                one_at_a_time = Some(self.statements.lock().await);
            }
            let ran = match self.run(statement.action.clone(), session).await {
                Ok(result) => {
                    self.keep(&statement.action, &kept_text(&statement, session)).await.map(|()| result)
                }
                Err(error) => Err(error),
            };
            match ran {
                Ok(result) => execution.done.push(Executed { sql, warnings, result }),
                Err(error) => {
                    execution.failed = Some((sql, error));
                    break;
                }
            }
        }
        execution
    }

    /// Brings the engine to what a plant folder says now: `catalog` holds the streams of its scan groups, `sources` the
    /// texts of its query files in order. Queries whose id and statement stay the same go on undisturbed, those that are
    /// gone are ended, the rest is started. With one mistake nothing is changed.
    pub async fn reload(&self, catalog: Catalog, sources: &[&str]) -> Result<Vec<StatementResult>, SqlError> {
        let _one_at_a_time = self.statements.lock().await;
        if *self.stop.borrow() {
            return Err(SqlError::Stopped);
        }
        let mut catalog = catalog;
        catalog.share_schemas(self.catalog.read().schemas().clone());
        let mut checked = catalog.clone();
        let (mut planned, mut mistakes) = (Vec::new(), Vec::new());
        for source in sources {
            let mut variables = Variables::default();
            self.infer(&mut checked, source, &variables).await?;
            let (statements, found) = plan_with(&mut checked, &mut variables, source);
            planned.extend(statements);
            mistakes.extend(found);
        }
        if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
            return Err(SqlError::Mistakes(mistakes));
        }
        let kept = self.kept(&mut checked).await;
        self.end_others(planned.iter().chain(kept.iter().map(|kept| &kept.statement))).await;
        *self.catalog.write() = catalog;
        let mut results = Vec::new();
        for statement in planned {
            results.push(self.run(statement.action, &mut Session::default()).await?);
        }
        for Kept { key, statement, state } in kept {
            match self.again(statement.action, state).await {
                Ok(result) => results.push(result),
                Err(error) => {
                    tracing::warn!(key, %error, "a kept statement could not be done; the rest goes on");
                    self.broken.write().push(Broken::new(key, statement.sql, &error));
                }
            }
        }
        Ok(results)
    }

    /// The kept statements that work over `catalog`; those that do not are listed with the reason.
    async fn kept(&self, catalog: &mut Catalog) -> Vec<Kept> {
        let saved = self.saved.lock().await;
        let Some(saved) = &*saved else { return Vec::new() };
        for text in saved.texts() {
            // What is not known then is missing in this statement only, and said there.
            if let Err(error) = self.infer(catalog, text, &Variables::off()).await {
                tracing::warn!(%error, statement = text, "the columns of a kept statement are not known");
            }
        }
        let (kept, broken) = saved.plan(catalog);
        *self.broken.write() = broken;
        kept
    }

    /// Does what a kept statement did.
    async fn again(&self, action: Action, state: State) -> Result<StatementResult, SqlError> {
        match (action, state) {
            (Action::Start { query, .. }, State::Paused) => self.start(query, None, true).await,
            (Action::Start { query, .. }, State::Terminated) => {
                self.catalog.write().insert((*query.sink.relation).clone());
                let message = format!("query {} stays ended", query.id);
                self.ended.write().insert(query.id.clone(), query);
                Ok(StatementResult::Done(message))
            }
            (action, _) => self.run(action, &mut Session::default()).await,
        }
    }

    /// Keeps what a statement that was done has made, where statements are kept.
    async fn keep(&self, action: &Action, sql: &str) -> Result<(), SqlError> {
        let mut saved = self.saved.lock().await;
        let Some(saved) = &mut *saved else { return Ok(()) };
        let records = saved.note(action, sql, self.clock.now());
        Saved::append(&*self.bus, records).await
    }

    /// Starts one `SELECT` and gives its rows.
    pub async fn push_query(&self, source: &str) -> Result<PushQuery, SqlError> {
        let mut results = self.execute(source).await?;
        if let Some(StatementResult::Push(push)) = results.pop() {
            return Ok(push);
        }
        let mistake = Diagnostic::error("sql-no-select", "this is no push query")
            .label("expected a SELECT")
            .help("write SELECT … FROM … EMIT CHANGES;")
            .at(0..source.len());
        Err(SqlError::Mistakes(vec![mistake]))
    }

    /// Every persistent query, sorted by id.
    pub fn queries(&self) -> Vec<QueryStatus> {
        let mut all: Vec<QueryStatus> =
            self.queries.read().values().map(|running| running.status()).collect();
        all.extend(self.broken.read().iter().map(Broken::status));
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Every relation, as it is now.
    pub fn catalog(&self) -> Catalog {
        self.catalog.read().clone()
    }

    /// Ends one persistent query. `false` where there is none of that id. Its offsets and state stay for the next start.
    pub async fn terminate(&self, id: &str) -> bool {
        let running = self.queries.write().remove(id);
        match running {
            Some(running) => {
                running.stop().await;
                true
            }
            None => false,
        }
    }

    /// Ends every query between two commits, and waits for it. What was committed stays; the next start resumes there.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let queries = std::mem::take(&mut *self.queries.write());
        // All are told first, so that they end at the same time.
        for running in queries.values() {
            running.stop.send_replace(true);
        }
        for running in queries.into_values() {
            running.stop().await;
        }
    }
}

/// A statement as it is kept: with what it relies on.
fn kept_text(statement: &PlannedStatement, session: &Session) -> String {
    let relies = matches!(statement.action, Action::Declare(_));
    let formats = if relies { DefaultFormats::of(session) } else { DefaultFormats::default() };
    formats.statements() + &statement.sql
}

/// The variables of a session, for the parser.
fn variables(session: &Session) -> Variables {
    let mut variables = Variables::default();
    for (name, value) in &session.variables {
        variables.define(name, value);
    }
    let off = session.properties.get("ksql.variable.substitution.enable");
    variables.off = off.is_some_and(|value| value.eq_ignore_ascii_case("false"));
    variables.formats = DefaultFormats::of(session);
    variables
}

impl Collect for Engine {
    fn collect(&self, page: &mut Page) {
        page.counter(
            "millstream_sql_shared_records_total",
            "Records that were decoded once for several tasks.",
            &[],
            self.feeds.decoded.get(),
        );
        for query in self.queries() {
            let labels = [("query", query.id.as_str())];
            let mut counter = |name, help, value| page.counter(name, help, &labels, value);
            counter("millstream_query_records_in_total", "Records read.", query.records_in);
            counter("millstream_query_records_out_total", "Records written.", query.records_out);
            counter(
                "millstream_query_late_records_total",
                "Records after the grace period of their window.",
                query.late_records,
            );
            counter(
                "millstream_query_errors_total",
                "Records, or expressions of them, that could not be used.",
                query.errors,
            );
            counter(
                "millstream_query_restarts_total",
                "Starts of a partition after a failure.",
                query.restarts,
            );
            #[expect(clippy::cast_precision_loss, reason = "a count of records is far below 2^53")]
            let lag = query.lag_records as f64;
            page.gauge("millstream_query_lag_records", "Records that are still to be read.", &labels, lag);
            let up = if query.state == QueryState::Running { 1.0 } else { 0.0 };
            page.gauge("millstream_query_running", "1 while every partition of the query runs.", &labels, up);
        }
    }
}
