//! Simulated machines for a plant's devices, served over real sockets.

use crate::failure::Failure;
use millstream_driver::simulate::{Faults, SimulatorHandle, SimulatorSpec, World};
use millstream_driver::{ConnectionString, Target};
use millstream_plant::{Device, Plant, Simulation};
use std::net::SocketAddr;
use std::sync::Arc;

/// The simulators of one plant; they share one world, so that machines can follow one another.
#[derive(Debug)]
pub(crate) struct Simulators {
    world: World,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    device: Arc<str>,
    /// Of the real device, before it was pointed here.
    target: Target,
    simulation: Simulation,
    handle: SimulatorHandle,
}

impl Simulators {
    /// Serves every device where its plant says.
    pub(crate) async fn serve(plant: &Plant) -> Result<Self, Failure> {
        let mut simulators = Self { world: World::default(), running: Vec::new() };
        for device in &plant.devices {
            simulators.add(device, device.simulation.listen).await?;
        }
        Ok(simulators)
    }

    /// Serves every device at a free port of this machine, and points the plant at it.
    pub(crate) async fn replace_devices(plant: &mut Plant) -> Result<Self, Failure> {
        let mut simulators = Self { world: World::default(), running: Vec::new() };
        simulators.redirect(plant).await?;
        Ok(simulators)
    }

    /// As [`Simulators::replace_devices`], with the machines there are already; those of devices that are gone end.
    pub(crate) async fn redirect(&mut self, plant: &mut Plant) -> Result<(), Failure> {
        // One that is to move differently starts anew.
        self.running.retain(|running| {
            let device = plant.devices.iter().find(|device| device.config.name == running.device);
            device.is_some_and(|device| {
                device.simulation == running.simulation && device.config.target == running.target
            })
        });
        for device in &mut plant.devices {
            let known = self.running.iter().find(|running| running.device == device.config.name);
            let address = match known {
                Some(running) => running.handle.address,
                None => self.add(device, SocketAddr::from(([127, 0, 0, 1], 0))).await?,
            };
            point(&mut device.config.target.connection, address);
        }
        Ok(())
    }

    /// Every simulator: the device's name and where it listens.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (&Arc<str>, SocketAddr)> {
        self.running.iter().map(|running| (&running.device, running.handle.address))
    }

    async fn add(&mut self, device: &Device, listen: SocketAddr) -> Result<SocketAddr, Failure> {
        let faults = Faults::default();
        faults.set(|settings| settings.delay = device.simulation.delay);
        let spec = SimulatorSpec {
            device: device.config.name.clone(),
            listen,
            target: device.config.target.clone(),
            tags: device.simulation.tags.clone(),
            world: self.world.clone(),
            faults,
        };
        let name = &device.config.name;
        let handle = device.config.driver.simulate(spec).await.map_err(|error| {
            Failure::mistake(
                format!("`{name}` cannot be served at {listen}: {error}"),
                format!("end what uses the port, or set another in [devices.{name}.simulate] with listen = \"127.0.0.1:15020\""),
            )
        })?;
        let address = handle.address;
        self.running.push(Running {
            device: name.clone(),
            target: device.config.target.clone(),
            simulation: device.simulation.clone(),
            handle,
        });
        Ok(address)
    }
}

/// Points a connection at `address`; everything else about it stays.
fn point(connection: &mut ConnectionString, address: SocketAddr) {
    if let Some((scheme, rest)) = connection.text.split_once("://") {
        let after = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        connection.text = format!("{scheme}://{address}{after}");
    }
    connection.host = address.ip().to_string();
    connection.port = Some(address.port());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_pointed_elsewhere_with_its_options() {
        let mut connection =
            ConnectionString::parse("modbus-tcp:tcp://[fe80::1]:502/x?unit-identifier=7").unwrap();
        point(&mut connection, "127.0.0.1:15020".parse().unwrap());
        assert_eq!(connection.to_string(), "modbus-tcp:tcp://127.0.0.1:15020/x?unit-identifier=7");
        let again = ConnectionString::parse(&connection.text).unwrap();
        assert_eq!((again.host, again.port, again.path), ("127.0.0.1".into(), Some(15020), "/x".into()));
    }
}
