//! `millstream rearm`: a tag that was latched off after failed writes takes writes again.

use crate::cli::Rearm;
use crate::client::{Client, segment};
use crate::console::Console;
use crate::failure::Failure;
use hyper::Method;
use millstream_server::{Rearm as Request, Rearmed};

pub(crate) async fn run(arguments: &Rearm, console: Console) -> Result<(), Failure> {
    let path = format!("/api/devices/{}/rearm", segment(&arguments.device));
    let request = Request { tag: arguments.tag.clone() };
    let client = Client::new(&arguments.instance.url)?;
    let answer: Rearmed = client.ask(Method::POST, &path, Some(&request)).await?;
    if console.json {
        return console.json(&answer);
    }
    console.line(format_args!("`{}` of `{}` takes writes again", answer.rearmed, answer.device))
}
