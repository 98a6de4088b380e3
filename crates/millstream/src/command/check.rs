//! `millstream check`: everything that is wrong with a plant folder, at once, offline.

use crate::cli::Check;
use crate::console::Console;
use crate::failure::Failure;
use crate::plant;

pub(crate) fn run(arguments: &Check, console: Console) -> Result<(), Failure> {
    match millstream_plant::read(&arguments.plant.path, &plant::registry()) {
        Ok((read, warnings)) => {
            plant::show(&warnings, &read.sources, console)?;
            crate::kafka::wire(&read)?;
            if console.json {
                return Ok(());
            }
            let groups: usize = read.devices.iter().map(|device| device.groups.len()).sum();
            let tags: usize =
                read.devices.iter().flat_map(|device| &device.groups).map(|group| group.tags.len()).sum();
            let count = |count: usize, one: &str, many: &str| {
                format!("{count} {}", if count == 1 { one } else { many })
            };
            console.line(format_args!(
                "{} is right: {}, {}, {}, {}",
                arguments.plant.path.display(),
                count(read.devices.len(), "device", "devices"),
                count(groups, "scan group", "scan groups"),
                count(tags, "tag", "tags"),
                count(read.queries.len(), "query file", "query files"),
            ))
        }
        Err(mistakes) => {
            plant::show(&mistakes.diagnostics, &mistakes.sources, console)?;
            if !console.json {
                console.note(format_args!("\n{}", plant::summary(&mistakes)));
            }
            Err(Failure::Said(2))
        }
    }
}
