//! `completions`: what a shell needs to complete our arguments.

use clap::CommandFactory as _;

use super::args::{self, Cli};
use super::exit::Code;
use super::ui::Ui;

/// Runs the verb.
pub(super) fn run(args: &args::Completions, ui: &mut Ui) -> Code {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "holofs", &mut script);
    ui.bytes(&script);
    Code::Ok
}
