//! `stack`: averages pictures of one scene.

use std::path::Path;

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::interrupt;
use super::output::Target;
use super::ui::{JsonPath, Ui, quoted};
use crate::media::stack::{Depth, Frame, Stack, StackError};
use crate::store::outside;

/// The answer as JSON.
#[derive(Serialize)]
struct Stacked<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    frames: u64,
    width: u32,
    height: u32,
    depth: u8,
}

/// Runs the verb.
pub(super) fn run(args: &args::Stack, ui: &mut Ui) -> Outcome {
    let out = &args.output;
    let target = Target::of(out, args.overwrite)?;
    interrupt::tidy();
    let mut stack: Option<Stack> = None;
    for path in &args.frames {
        if interrupt::seen() {
            return Err(Failure::interrupted());
        }
        ui.at(path);
        let fail = |e: StackError| failure(path, e);
        let file = outside::reader(path).map_err(|e| Failure::io(path, &e))?;
        let frame = Frame::read(file).map_err(fail)?;
        match &mut stack {
            None => stack = Some(Stack::new(&frame).map_err(fail)?),
            Some(stack) => stack.add(&frame).map_err(fail)?,
        }
        ui.detail(&quoted(path));
    }
    let stack = stack.ok_or_else(|| failure(out, StackError::Empty))?;
    let depth = match args.depth.as_deref() {
        Some("8") => Depth::Eight,
        Some(_) => Depth::Sixteen,
        None => stack.depth(),
    };
    ui.at(out);
    target.fill(|file| {
        let written = stack.write_png(file, depth);
        written.map_err(|e| failure(out, e))
    })?;
    let (width, height) = stack.size();
    let depth = match depth {
        Depth::Eight => 8,
        Depth::Sixteen => 16,
    };
    let frames = stack.frames();
    if ui.json() {
        ui.value(&Stacked {
            path: out.as_path().into(),
            frames,
            width,
            height,
            depth,
        });
    } else {
        let what = format!("{frames} frames of {width}x{height} pixels, {depth} bits");
        ui.note(&format!("{}: {what}", quoted(out)));
    }
    Ok(Code::Ok)
}

/// An error about one of the files.
fn failure(file: &Path, e: StackError) -> Failure {
    match e {
        StackError::Io(e) => Failure::io(file, &e),
        e => Failure::new(Code::Error, file, e.to_string()),
    }
}
