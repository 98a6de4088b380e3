//! `millstream demo`: the plant of `examples/demo`, played by our own simulators over real TCP, with a view of what it does.

mod events;
mod plain;
mod scene;
mod screen;
mod sparkline;
mod view;

use crate::cli::Demo;
use crate::console::Console;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::simulators::Simulators;
use crate::watchdog::Watchdog;
use crate::{logging, plant, stop};
use events::Events;
use millstream_plant::{Listener, Plant};
use scene::Scene;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The files of `examples/demo`, so that the binary and the folder are one truth.
const FILES: [(&str, &str); 4] = [
    ("millstream.toml", include_str!("../../../../examples/demo/millstream.toml")),
    ("queries/10-average.sql", include_str!("../../../../examples/demo/queries/10-average.sql")),
    ("queries/20-alarm.sql", include_str!("../../../../examples/demo/queries/20-alarm.sql")),
    ("queries/30-setpoint.sql", include_str!("../../../../examples/demo/queries/30-setpoint.sql")),
];

/// Where the status page is, unless somebody else is there.
const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// How often the view is drawn.
const FRAME: Duration = Duration::from_millis(250);

pub(crate) async fn run(arguments: &Demo, console: Console) -> Result<(), Failure> {
    let live = console.is_terminal() && !arguments.plain;
    logging::start(if live { "off" } else { "warn" });
    let mut stop = std::pin::pin!(stop_or_time(arguments.seconds)?);
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("there is no room for files: {error}")))?;
    let mut plant = unpack(folder.path(), console)?;
    adjust(&mut plant, arguments, folder.path())?;
    let simulators = Simulators::replace_devices(&mut plant).await?;
    let instance = Instance::start(plant).await?;
    let _watchdog = Watchdog::start();
    for (device, address) in simulators.listeners() {
        instance.add_listener(format!("Modbus {device}"), address.to_string());
    }
    let result = show(&instance, live, console, &mut stop).await;
    instance.stop().await;
    if let (Ok(()), Some(data_dir)) = (&result, &arguments.data_dir) {
        console.note(format_args!("The log stays in {}.", data_dir.display()));
    }
    result
}

/// The signal to stop, or the end of the given time.
fn stop_or_time(seconds: Option<u64>) -> Result<impl Future<Output = ()> + Send, Failure> {
    let signal = stop::signal()?;
    Ok(async move {
        match seconds {
            Some(seconds) => {
                tokio::select! {
                    () = signal => {}
                    () = sleep(Duration::from_secs(seconds)) => {}
                }
            }
            None => signal.await,
        }
    })
}

/// Writes the plant down where it can be read like any other.
fn unpack(folder: &Path, console: Console) -> Result<Plant, Failure> {
    let path = folder.join("demo");
    for (name, text) in FILES {
        let file = path.join(name);
        let written = std::fs::create_dir_all(file.parent().unwrap_or(&path))
            .and_then(|()| std::fs::write(&file, text));
        written.map_err(|error| Failure::failed(format!("cannot write `{}`: {error}", file.display())))?;
    }
    plant::read(&path, console)
}

fn adjust(plant: &mut Plant, arguments: &Demo, folder: &Path) -> Result<(), Failure> {
    plant.log.data_dir = arguments.data_dir.clone().unwrap_or_else(|| folder.join("data"));
    plant.log.bootstrap_servers.clone_from(&arguments.bootstrap_servers);
    // A try, not a promise: whoever takes the port in between is found out when it is opened.
    let tried = |address: SocketAddr| TcpListener::bind(address).map(|_| address);
    let address = match arguments.http {
        None => tried(PAGE).unwrap_or(SocketAddr::new(PAGE.ip(), 0)),
        Some(address) => tried(address).map_err(|error| {
            Failure::mistake(
                format!("cannot listen on {address}: {error}"),
                "choose another address with --http",
            )
        })?,
    };
    plant.http = Some(Listener { address, span: None });
    Ok(())
}

async fn show(
    instance: &Instance,
    live: bool,
    console: Console,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), Failure> {
    let mut scene = Scene::new(Instant::now());
    let mut events = Events::new(instance.bus());
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut screen = live.then(|| screen::Screen::new(console));
    let mut lines = plain::Lines::new(console);
    if !live {
        lines.greet(&instance.listeners())?;
    }
    loop {
        tokio::select! {
            () = &mut *stop => break,
            event = events.next() => {
                scene.take(event.clone());
                if !live {
                    lines.event(&scene, &event)?;
                }
                continue;
            }
            _ = frames.tick() => {}
        }
        let Some(report) = instance.report().await else { break };
        scene.look(Instant::now(), report);
        match &mut screen {
            Some(screen) => screen.draw(&scene)?,
            None => lines.second(&scene)?,
        }
    }
    if let Some(screen) = screen {
        screen.leave()?;
    }
    console.note(view::farewell(&scene));
    Ok(())
}
