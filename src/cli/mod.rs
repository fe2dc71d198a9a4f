//! The commands: one file per verb, arguments, output and exit codes.

mod args;
mod attrs;
mod cat;
mod completions;
mod content;
mod convert;
mod degrade;
mod dict;
mod diff;
mod doctor;
mod exit;
mod export;
mod grep;
mod helper;
mod import;
mod init;
mod interrupt;
mod logging;
mod ls;
mod man;
mod mount;
mod output;
mod place;
mod repeats;
mod scrub;
mod session;
mod settle;
mod show;
mod source;
mod stack;
mod status;
mod ui;
mod umount;
mod variant;
mod wc;
mod why;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Verb};
use exit::Code;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let words = helper::as_verb(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(e) => {
            drop(e.print()); // help and usage errors; where that fails there is nobody to tell
            return if e.use_stderr() {
                Code::Usage
            } else {
                Code::Ok
            }
            .into();
        }
    };
    interrupt::watch();
    let mut ui = ui::Ui::new(cli.speech);
    if !matches!(&cli.verb, Verb::Mount(mount) if mount.serve) {
        logging::to_stderr(cli.speech.verbose);
    }
    let outcome = match &cli.verb {
        Verb::Init(args) => init::run(args, &mut ui),
        Verb::Mount(args) => mount::run(args, cli.speech.verbose, &mut ui),
        Verb::Umount(args) => umount::run(args),
        Verb::Settle(args) => settle::run(args, &mut ui),
        Verb::Status(args) => Ok(status::run(args, &mut ui)),
        Verb::Why(args) => why::run(args, &mut ui),
        Verb::Ls(args) => ls::run(args, &mut ui),
        Verb::Show(args) => show::run(args, &mut ui),
        Verb::Cat(args) => Ok(cat::run(args, &mut ui)),
        Verb::Grep(args) => grep::run(args, &mut ui),
        Verb::Wc(args) => Ok(wc::run(args, &mut ui)),
        Verb::Diff(args) => diff::run(args, &mut ui),
        Verb::Import(args) => import::run(args, &mut ui),
        Verb::Export(args) => export::run(args, &mut ui),
        Verb::Convert(args) => Ok(convert::run(args, &mut ui)),
        Verb::Dict(args) => dict::run(args, &mut ui),
        Verb::Variant(args) => variant::run(args, &mut ui),
        Verb::Scrub(args) => scrub::run(args, &mut ui),
        Verb::Degrade(args) => degrade::run(args, &mut ui),
        Verb::Stack(args) => stack::run(args, &mut ui),
        Verb::Doctor(args) => doctor::run(args, &mut ui),
        Verb::Completions(args) => Ok(completions::run(args, &mut ui)),
        Verb::Man(args) => man::run(args),
    };
    ui.finish();
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            ui.failure(&failure);
            failure.code.into()
        }
    }
}
