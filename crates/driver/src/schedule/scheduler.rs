//! All devices of a process: started, replaced, removed and stopped one by one.

use super::device::DeviceTask;
use super::places::Places;
use super::{AuditTrail, DeviceConfig, DeviceHandle, ScanObserver};
use crate::guard::Guard;
use crate::{Random, Target, limits};
use millstream_model::Clock;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Runs one small task per device. See the module.
///
/// Devices are told apart by name. Adding, replacing and removing one touches no other: the rest do not miss a scan.
pub struct Scheduler {
    observer: Arc<dyn ScanObserver>,
    audit: Arc<dyn AuditTrail>,
    clock: Arc<dyn Clock>,
    seed: u64,
    places: Places,
    devices: Mutex<BTreeMap<Arc<str>, Running>>,
    /// What the guards of removed devices remember, should they come back.
    removed: Mutex<BTreeMap<Arc<str>, (Target, Guard)>>,
}

/// There is a device of that name already.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is a device `{0}` already")]
pub struct NameTaken(pub Arc<str>);

struct Running {
    target: Target,
    handle: DeviceHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("devices", &self.devices.lock().keys()).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Starts every device of `configs`; of two with one name the first. Call it within a tokio runtime.
    pub fn start(
        configs: Vec<DeviceConfig>,
        observer: Arc<dyn ScanObserver>,
        audit: Arc<dyn AuditTrail>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seed = clock.now().as_millis().unsigned_abs();
        Self::start_seeded(configs, observer, audit, clock, seed)
    }

    /// Like [`Scheduler::start`]; `seed` decides all jitter.
    pub fn start_seeded(
        configs: Vec<DeviceConfig>,
        observer: Arc<dyn ScanObserver>,
        audit: Arc<dyn AuditTrail>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        let scheduler = Self {
            observer,
            audit,
            clock,
            seed,
            places: Places::default(),
            devices: Mutex::default(),
            removed: Mutex::default(),
        };
        // A thousand devices that connect in the same millisecond would be a storm of our own making.
        let count = u32::try_from(configs.len()).unwrap_or(u32::MAX).max(1);
        let spread = Duration::from_millis(u64::from(count - 1)).min(limits::START_SPREAD_MAX) / count;
        for (index, config) in (0_u32..).zip(configs) {
            let name = config.name.clone();
            if scheduler.add_after(config, spread * index).is_err() {
                tracing::warn!(device = %name, "two devices have this name; the second is left out");
            }
        }
        scheduler
    }

    /// Lets all devices that are added from now on have at most `max` connections together. What there is to share out are
    /// the file handles of the process.
    #[must_use]
    pub fn connections_max(mut self, max: usize) -> Self {
        self.places = Places::new(max);
        self
    }

    /// The running device of that name.
    pub fn device(&self, name: &str) -> Option<DeviceHandle> {
        self.devices.lock().get(name).map(|running| running.handle.clone())
    }

    /// Every running device, by name.
    pub fn devices(&self) -> Vec<DeviceHandle> {
        self.devices.lock().values().map(|running| running.handle.clone()).collect()
    }

    /// Starts one more device.
    pub fn add(&self, config: DeviceConfig) -> Result<DeviceHandle, NameTaken> {
        self.add_after(config, Duration::ZERO)
    }

    /// Stops a device and waits until its connection is closed. `false` where there is none of that name. What its guard
    /// remembers (intervals, latches, commands) counts again when a device of that name and connection is added.
    pub async fn remove(&self, name: &str) -> bool {
        let running = self.devices.lock().remove(name);
        let Some(running) = running else { return false };
        running.stop.send_replace(true);
        finish(running.task, Instant::now() + limits::STOP_TIMEOUT).await;
        let guard = running.handle.writes.guard.lock().clone();
        let mut removed = self.removed.lock();
        if removed.len() >= limits::REMOVED_GUARDS {
            removed.pop_first();
        }
        removed.insert(name.into(), (running.target, guard));
        true
    }

    /// Stops the device of that name, where there is one, and starts `config` in its place once the connection is closed,
    /// because many devices have one connection only.
    pub async fn replace(&self, config: DeviceConfig) -> Result<DeviceHandle, NameTaken> {
        self.remove(&config.name).await;
        self.add(config)
    }

    /// Stops every device within 5 s: scans are broken off, writes that were sent are settled.
    pub async fn stop(&self) {
        let devices = std::mem::take(&mut *self.devices.lock());
        for running in devices.values() {
            running.stop.send_replace(true);
        }
        let deadline = Instant::now() + limits::STOP_TIMEOUT;
        for running in devices.into_values() {
            finish(running.task, deadline).await;
        }
    }

    fn add_after(&self, config: DeviceConfig, delay: Duration) -> Result<DeviceHandle, NameTaken> {
        let mut devices = self.devices.lock();
        if devices.contains_key(&config.name) {
            return Err(NameTaken(config.name));
        }
        let name = config.name.clone();
        let (stop, stopped) = watch::channel(false);
        let random = Random::named(self.seed, &name);
        let target = config.target.clone();
        let (task, handle) = DeviceTask::new(
            config,
            self.observer.clone(),
            self.audit.clone(),
            self.clock.clone(),
            random,
            self.places.clone(),
            stopped,
        );
        if let Some((_, guard)) = self.removed.lock().remove(&name).filter(|(before, _)| *before == target) {
            handle.writes.inherit(guard);
        }
        let task = tokio::spawn(task.run(delay));
        devices.insert(name, Running { target, handle: handle.clone(), stop, task });
        Ok(handle)
    }
}

impl Drop for Scheduler {
    /// Whoever does not wait for [`Scheduler::stop`] leaves nothing running.
    fn drop(&mut self) {
        for running in self.devices.get_mut().values() {
            running.task.abort();
        }
    }
}

async fn finish(mut task: JoinHandle<()>, deadline: Instant) {
    if timeout_at(deadline, &mut task).await.is_err() {
        task.abort();
        let _ = task.await;
    }
}
