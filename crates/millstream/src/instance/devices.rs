//! Devices of a running plant: added and removed one by one.

use super::Instance;
use crate::clock::SystemClock;
use millstream_connect::ConnectorMetrics;
use millstream_connect::plc_sink::{PlcSink, SinkDevice, WriteTarget};
use millstream_connect::task::{TaskHandle, supervise};
use millstream_plant::{Device, Plant};
use std::sync::Arc;

impl Instance {
    /// Starts a device: its records and its scans. Its sink comes with [`Instance::start_sinks`].
    pub(super) fn add_device(&self, device: &Device) {
        let name = &device.config.name;
        self.board.set(device);
        self.source.set_device(name, device.groups.clone());
        match self.scheduler.add(device.config.clone()) {
            Ok(_) => {}
            Err(error) => tracing::error!(device = %name, %error, "the device is not started"),
        }
    }

    /// Starts the sinks of `plant` that do not run, with every sink of the plant in view.
    pub(super) fn start_sinks(&self, plant: &Plant) {
        let all = sinks(plant);
        let mut tasks = self.tasks.lock();
        for device in &plant.devices {
            let name = sink_name(&device.config.name);
            if !tasks.contains_key(&name)
                && let Some(sink) = self.sink(device, &all)
            {
                tasks.insert(name, sink);
            }
        }
    }

    /// Stops the sinks whose topic other devices share now than before: records are told apart by who shares it.
    pub(super) async fn stop_sinks_that_share(&self, new: &Plant) {
        let sharing = |plant: &Plant, topic: &str| -> Vec<Arc<str>> {
            let sharing = sinks(plant).into_iter().filter(|sink| *sink.topic == *topic);
            sharing.map(|sink| sink.device).collect()
        };
        for sink in sinks(&self.plant) {
            if sharing(&self.plant, &sink.topic) != sharing(new, &sink.topic) {
                self.stop_sink(&sink.device).await;
            }
        }
    }

    async fn stop_sink(&self, device: &str) {
        let sink = self.tasks.lock().remove(&sink_name(device));
        if let Some(sink) = sink {
            sink.stop().await;
        }
    }

    /// Stops a device. `forget` says that it is gone for good: its state is deleted, too.
    pub(super) async fn remove_device(&self, name: &Arc<str>, forget: bool) {
        self.stop_sink(name).await;
        self.scheduler.remove(name).await;
        if forget {
            self.source.remove_device(name);
            self.board.remove(name);
        }
    }

    /// What carries commands to the device, where it takes any. `all` are the sinks of the whole plant.
    fn sink(&self, device: &Device, all: &[SinkDevice]) -> Option<TaskHandle> {
        let sink = device.sink.clone()?;
        let target: Arc<dyn WriteTarget> = Arc::new(self.scheduler.device(&device.config.name)?);
        let metrics = ConnectorMetrics::new(sink_name(&device.config.name));
        let (bus, audit, all) = (self.log.plant.clone(), self.audit.clone(), all.to_vec());
        let rules = device.config.writes.clone();
        Some(supervise(metrics, move || {
            let clock = Arc::new(SystemClock);
            PlcSink::new(bus.clone(), clock, audit.clone(), target.clone(), sink.clone(), &all, rules.clone())
        }))
    }
}

/// The sinks of a plant.
pub(super) fn sinks(plant: &Plant) -> Vec<SinkDevice> {
    plant.devices.iter().filter_map(|device| device.sink.clone()).collect()
}

/// The name of a device's sink among the tasks.
pub(super) fn sink_name(device: &str) -> Arc<str> {
    format!("plc-sink {device}").into()
}
