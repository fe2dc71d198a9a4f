//! `man`: the manual pages, one for the program and one for each verb.

use clap::CommandFactory as _;

use super::args::{self, Cli};
use super::exit::{Code, Failure, Outcome};
use crate::store::outside;

/// Runs the verb.
pub(super) fn run(args: &args::Man) -> Outcome {
    outside::make_dirs(&args.dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.dir))
        .map_err(|e| Failure::io(&args.dir, &e))?;
    Ok(Code::Ok)
}
