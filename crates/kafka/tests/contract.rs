//! The contract suite over a real Apache Kafka, one broker for all tests of this file.

use millstream_bus::{Bus as _, TopicSpec};
use millstream_kafka::{KafkaBus, KafkaSettings};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Starts the broker, or finds it running, and returns its address.
fn bootstrap_servers() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka.sh");
        let output = Command::new(&script).arg("start").output().expect("tests/kafka.sh can be run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/kafka.sh start failed: {error}");
        String::from_utf8(output.stdout).expect("the address is text").trim().to_owned()
    })
}

millstream_bus::bus_contract!(kafka, async {
    KafkaBus::open(KafkaSettings::new(bootstrap_servers())).expect("the settings are right")
});

/// What means something to the embedded log only is no reason for Apache Kafka to refuse a topic.
#[tokio::test]
async fn a_topic_with_configs_of_the_embedded_log_is_made() {
    let bus = KafkaBus::open(KafkaSettings::new(bootstrap_servers())).expect("the settings are right");
    let name = format!("reserved-{}", std::process::id());
    let spec = TopicSpec::new(&name, 1).config("millstream.reserved", "true").config("retention.ms", "60000");
    bus.create_topic(&spec).await.expect("the topic is made");
    let described = bus.describe_topic(&name).await.expect("the topic is there");
    assert_eq!(described.configs.get("retention.ms").map(String::as_str), Some("60000"));
    bus.delete_topic(&name).await.expect("the topic can be deleted");
}
