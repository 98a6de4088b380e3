//! `/metrics`: the instance's page, completed with the topics and the process.

use crate::api::State;
use crate::limits::BUS_TIME;
use crate::process;
use crate::report::topics;
use axum::extract::State as With;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use millstream_model::metric::Page;
use std::sync::Arc;
use tokio::time::timeout;

pub(crate) async fn metrics(With(state): With<Arc<State>>) -> impl IntoResponse {
    let mut page = Page::default();
    let surroundings = state.instance.surroundings();
    process::collect(&mut page, &surroundings.version, surroundings.started_at_ms);
    state.instance.collect(&mut page);
    let topics = timeout(BUS_TIME, topics(&*state.bus)).await;
    let answered = f64::from(u8::from(matches!(topics, Ok(Ok(_)))));
    page.gauge("millstream_log_up", "1 while the log answers.", &[], answered);
    for topic in topics.into_iter().flatten().flatten() {
        let labels = [("topic", &*topic.name)];
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 an offset more or less does not matter")]
        page.gauge(
            "millstream_topic_end_offset",
            "Next offsets of all partitions together.",
            &labels,
            topic.appended() as f64,
        );
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a record more or less does not matter")]
        page.gauge("millstream_topic_records", "Records held.", &labels, topic.records as f64);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.render())
}
