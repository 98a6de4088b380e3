//! `millstream simulate`: every device of a plant, played over real sockets.

use crate::cli::Simulate;
use crate::console::Console;
use crate::failure::Failure;
use crate::plant;
use crate::simulators::Simulators;
use crate::stop;
use crate::table::Table;
use serde::Serialize;

/// One simulator with `--json`.
#[derive(Debug, Serialize)]
struct SimulatorObject<'a> {
    device: &'a str,
    protocol: &'a str,
    address: String,
    connection: String,
}

pub(crate) async fn run(arguments: &Simulate, console: Console) -> Result<(), Failure> {
    let plant = plant::read(&arguments.plant.path, console)?;
    let stop = stop::signal()?;
    let simulators = Simulators::serve(&plant).await?;
    let mut table = Table::new(&["DEVICE", "SERVED AT", "INSTEAD OF"]);
    for ((name, address), device) in simulators.listeners().zip(&plant.devices) {
        let object = SimulatorObject {
            device: name,
            protocol: &device.config.target.connection.protocol,
            address: address.to_string(),
            connection: device.config.target.connection.to_string(),
        };
        if console.json {
            console.json(&object)?;
        } else {
            table.row([
                name.to_string(),
                format!("{} {}", object.protocol, object.address),
                object.connection,
            ]);
        }
    }
    if !console.json {
        console.text(&table.render())?;
        console.note("\nCtrl-C ends it.");
    }
    stop.await;
    Ok(())
}
