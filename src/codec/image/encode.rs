//! Encoding: takes a file apart, codes its pixels, keeps the smaller of that and the file.

use zstd::bulk::Compressor;

use super::pixels::{self, Encoding, Planes};
use super::settings::{Exact, Settings};
use super::{MAX_FILE, PROOF, container, proof};
use crate::codec::{CodecError, Content, Effort, Encoded, LayerSink, Request};
use crate::media::picture::{Container, Parts};
use crate::media::raster::Raster;
use crate::media::sniff;

/// The most previews.
const PREVIEWS: usize = 4;

pub(super) fn encode(
    content: &dyn Content,
    request: Request<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Encoded, CodecError> {
    let size = content.size();
    if size > MAX_FILE {
        return Err(declined("a picture of more than 1 GiB"));
    }
    let size = usize::try_from(size).map_err(|_| declined("a picture of more than 1 GiB"))?;
    let mut head = vec![0; size.min(sniff::LOOK)];
    content.read_at(0, &mut head)?;
    let container = container(&head).ok_or_else(|| declined("not a picture"))?;
    let mut file = vec![0; size];
    content.read_at(0, &mut file)?;
    let stop = |sink: &mut dyn LayerSink| {
        if sink.cancelled() {
            Err(CodecError::Cancelled)
        } else {
            Ok(())
        }
    };
    stop(sink)?;
    let previews = request.previews.min(PREVIEWS);
    let (mut parts, exact) = apart(container, &file, previews)?;
    stop(sink)?;
    let shown = parts.raster.expanded();
    drop(std::mem::take(&mut parts.raster.planes));
    let mut packer = Packer::new(request.effort)?;
    let mut as_file = proof(&file).to_vec();
    as_file.extend(packer.pack(&file)?);
    let encoding = coded(shown, previews, [as_file.len(), parts.recipe.len()])?;
    stop(sink)?;
    let object = Object::new(container, &parts, encoding, as_file, exact, &mut packer)?;
    let stored: usize = object.layers.iter().map(Vec::len).sum();
    if previews == 0 && (object.settings.exact == Exact::File || stored >= size) {
        return Err(declined("nothing gained by coding the pixels"));
    }
    for (number, layer) in object.layers.iter().enumerate() {
        sink.write(number, layer)?;
    }
    Ok(Encoded {
        settings: object.settings.to_bytes(),
        // Previews asked for beyond those there are come last and are empty.
        layers: object.layers.len() + request.previews.saturating_sub(PREVIEWS),
    })
}

/// The parts of a file, and whether they make the very same file again.
fn apart(container: Container, file: &[u8], previews: usize) -> Result<(Parts, bool), CodecError> {
    let refuse = |e: crate::media::error::Error| declined(&e.to_string());
    match container.parse(file) {
        Ok(parts) => {
            // A palette picture is coded in its colours: they must lead back to its numbers.
            let shown = parts.raster.expanded();
            let numbers = shown.in_colours_of(&parts.raster).map_err(refuse)?;
            let exact = numbers == parts.raster;
            Ok((parts, exact))
        }
        // What cannot be made again can still be shown.
        Err(e) if previews == 0 => Err(refuse(e)),
        Err(_) => Ok((container.preview(file).map_err(refuse)?, false)),
    }
}

fn coded(raster: Raster, previews: usize, sizes: [usize; 2]) -> Result<Encoding, CodecError> {
    let planes = Planes {
        width: raster.stride(),
        height: raster.planes.first().map_or(0, Vec::len) / raster.stride().max(1),
        max: raster.max,
        channels: raster.planes,
    };
    pixels::encode(&planes, previews, sizes).map_err(|e| declined(&e.to_string()))
}

/// An encoded object.
struct Object {
    settings: Settings,
    layers: Vec<Vec<u8>>,
}

impl Object {
    fn new(
        container: Container,
        parts: &Parts,
        encoding: Encoding,
        as_file: Vec<u8>,
        exact: bool,
        packer: &mut Packer,
    ) -> Result<Self, CodecError> {
        let Encoding { header, mut layers } = encoding;
        let last = layers.pop().unwrap_or_default();
        // The file itself, against pixels and recipe; what they have in common does not count.
        let recipe = u32::try_from(parts.recipe.len()).ok().filter(|_| exact);
        let as_parts = recipe.map(|length| {
            let mut layer = as_file.get(..PROOF).unwrap_or_default().to_vec();
            layer.extend(length.to_le_bytes());
            layer.extend(&parts.recipe);
            layer.extend(&last);
            layer
        });
        let colour = if parts.colour.is_empty() {
            Vec::new()
        } else {
            packer.pack(&parts.colour)?
        };
        // With the file itself the colour part is there twice.
        let gained = |layer: &Vec<u8>| layer.len() + colour.len() < as_file.len();
        let (exact, last) = match as_parts.filter(gained) {
            Some(layer) => (Exact::Apart, layer),
            None => (Exact::File, as_file),
        };
        layers.push(last);
        let bulky = |layer: &Vec<u8>| layer.len() >= 8 * colour.len();
        let found = layers.iter().position(bulky);
        let colour_layer = found.unwrap_or(layers.len() - 1);
        let head = packer.pack(&parts.head)?;
        let settings = Settings {
            exact,
            container,
            colour_layer,
            head: head.len(),
            colour: colour.len(),
            pixels: header,
        };
        let put = |layers: &mut Vec<Vec<u8>>, layer: usize, part: Vec<u8>| {
            if let Some(layer) = layers.get_mut(layer) {
                let rest = std::mem::replace(layer, part);
                layer.extend(rest);
            }
        };
        put(&mut layers, colour_layer, colour);
        put(&mut layers, 0, head);
        Ok(Self { settings, layers })
    }
}

/// Packs parts: 0 and the bytes, or 1 and a shorter zstd frame.
struct Packer(Compressor<'static>);

impl Packer {
    fn new(effort: Effort) -> Result<Self, CodecError> {
        let level = match effort {
            Effort::Fast => 3,
            Effort::Normal => 9,
            Effort::Archive => 19,
        };
        Ok(Self(Compressor::new(level)?))
    }

    fn pack(&mut self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut packed = vec![1];
        packed.extend(self.0.compress(bytes)?);
        if packed.len() > bytes.len() {
            packed = vec![0];
            packed.extend(bytes);
        }
        Ok(packed)
    }
}

fn declined(why: &str) -> CodecError {
    CodecError::Declined(format!("image: {why}"))
}
