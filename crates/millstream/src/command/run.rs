//! `millstream run`: a plant folder, until it is told to stop.

use crate::cli::Run;
use crate::console::Console;
use crate::failure::Failure;
use crate::instance::{Instance, Watch};
use crate::simulators::Simulators;
use crate::watchdog::Watchdog;
use crate::{logging, memory, plant, stop};
use std::time::Duration;
use tokio::time::sleep;

/// How long most devices take to connect and plan their scans.
const SETTLE_TIME: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: &Run, console: Console) -> Result<(), Failure> {
    logging::start("info");
    let path = &arguments.plant.path;
    let mut plant = plant::read(path, console)?;
    let mut stop = std::pin::pin!(stop::signal()?);
    let mut simulators =
        if arguments.simulate { Some(Simulators::replace_devices(&mut plant).await?) } else { None };
    let mut watch = Watch::new(path, &plant);
    let mut instance = Instance::start(plant).await?;
    let _watchdog = Watchdog::start();
    for (device, address) in simulators.iter().flat_map(Simulators::listeners) {
        instance.add_listener(format!("simulated {device}"), address.to_string());
    }
    for listener in instance.listeners() {
        tracing::info!("{} at {}", listener.what, listener.address);
    }
    tracing::info!(devices = instance.plant().devices.len(), "running; Ctrl-C ends it");
    let mut settled = false;
    loop {
        memory::give_back();
        tokio::select! {
            () = &mut stop => break,
            () = watch.changed(instance.plant()) => settled = false,
            // Devices make their plans as they connect, and that takes memory for a moment, too.
            () = sleep(SETTLE_TIME), if !settled => {
                settled = true;
                continue;
            }
        }
        tokio::select! {
            () = &mut stop => break,
            () = instance.reload(path, simulators.as_mut(), console) => {}
        }
    }
    tracing::info!("stopping");
    instance.stop().await;
    tracing::info!("stopped");
    Ok(())
}
