//! Simulated machines for a plant's devices, served over real sockets.

use crate::failure::Failure;
use millstream_driver::simulate::{Faults, SimulatorHandle, SimulatorSpec, World};
use millstream_plant::{Device, Plant};
use std::net::SocketAddr;
use std::sync::Arc;

/// The simulators of one plant; they share one world, so that machines can follow one another.
#[derive(Debug)]
pub(crate) struct Simulators {
    world: World,
    running: Vec<(Arc<str>, SimulatorHandle)>,
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
        self.running.retain(|(name, _)| plant.devices.iter().any(|device| device.config.name == *name));
        for device in &mut plant.devices {
            let known = self.running.iter().find(|(name, _)| *name == device.config.name);
            let address = match known {
                Some((_, running)) => running.address,
                None => self.add(device, SocketAddr::from(([127, 0, 0, 1], 0))).await?,
            };
            let connection = &mut device.config.target.connection;
            connection.host = address.ip().to_string();
            connection.port = Some(address.port());
        }
        Ok(())
    }

    /// Every simulator: the device's name and where it listens.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (&Arc<str>, SocketAddr)> {
        self.running.iter().map(|(name, handle)| (name, handle.address))
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
        self.running.push((name.clone(), handle));
        Ok(address)
    }
}
