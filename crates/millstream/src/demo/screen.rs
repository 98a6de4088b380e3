//! The terminal: drawn over in place, left tidy.

use super::scene::Scene;
use super::view;
use crate::console::Console;
use crate::failure::Failure;
use terminal_size::{Height, Width, terminal_size};

/// The live view. Dropping it shows the cursor again.
#[derive(Debug)]
pub(super) struct Screen {
    console: Console,
    begun: bool,
}

impl Screen {
    pub(super) fn new(console: Console) -> Self {
        Self { console, begun: false }
    }

    /// Draws the scene over what was there.
    pub(super) fn draw(&mut self, scene: &Scene) -> Result<(), Failure> {
        let (Width(columns), Height(rows)) = terminal_size().unwrap_or((Width(80), Height(24)));
        // Hide the cursor and clear once; after that each line is overwritten, which does not flicker.
        let mut frame = String::from(if self.begun { "\x1b[H" } else { "\x1b[?25l\x1b[H\x1b[2J" });
        self.begun = true;
        let lines = view::draw(scene, usize::from(columns), self.console.colors);
        let room = usize::from(rows).saturating_sub(1);
        for line in lines.iter().take(room) {
            frame.push_str(line);
            frame.push_str("\x1b[K\r\n");
        }
        frame.push_str("\x1b[J");
        self.console.text(&frame)
    }

    /// Leaves the last view standing.
    pub(super) fn leave(self) -> Result<(), Failure> {
        self.console.text("\r\n")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.begun {
            // Where nobody can be shown a cursor, none is missed.
            let _ = self.console.text("\x1b[?25h");
        }
    }
}
