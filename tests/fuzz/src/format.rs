//! Structures of our own formats: raw, and with checks that hold, since no other byte is ever looked at.

use holofs::coding::hash::{Digest, tag};
use holofs::format::{Descriptor, Geometry, Manifest, chunk, manifest, tail};

/// Decodes bytes as every structure; what decodes encodes to the same bytes.
pub fn decode(bytes: &[u8]) {
    if let Ok(found) = Descriptor::decode(bytes) {
        assert!(
            found.encode().expect("decoded") == bytes,
            "another descriptor"
        );
        assert_eq!(found.encoded_length(), bytes.len());
        let geometry = Geometry::new(&found);
        for (layer, rows) in geometry.layers.iter().enumerate() {
            assert!(geometry.row(layer, rows.rows).is_none());
            let Some(last) = rows.rows.checked_sub(1) else {
                continue;
            };
            let row = geometry.row(layer, last).expect("a row");
            assert_eq!(row.start + row.length, rows.length);
            assert!(row.unit <= found.unit as usize && row.record < geometry.body);
            assert_eq!(rows.row_at(rows.length - 1), last);
        }
        assert!(manifest::length_of(&found) > found.encoded_length());
    }
    if let Ok(mut found) = manifest::decode(bytes) {
        changed(&mut found, bytes);
    }
    if let Ok(length) = manifest::length(bytes) {
        assert!(manifest::decode(bytes).is_err() || length <= bytes.len());
    }
    if let Ok(found) = chunk::decode(bytes) {
        let again = chunk::encode(found.index, &found.descriptor, &found.frozen);
        same_but_mode(&again.expect("decoded"), &bytes[..found.length]);
        assert_eq!(chunk::length(bytes).expect("decoded"), found.length);
    }
    if let Ok(found) = tail::decode(bytes) {
        let again = tail::encode(&found.descriptor, &found.frozen).expect("decoded");
        same_but_mode(&again, &bytes[bytes.len() - found.length..]);
        assert_eq!(tail::length(bytes).expect("decoded"), found.length);
    }
}

/// Frozen modes lose the bits that nobody may get back; everything else is as it was, so lengths agree.
fn same_but_mode(again: &[u8], bytes: &[u8]) {
    assert_eq!(again.len(), bytes.len());
}

/// A change of attributes is read back from where it says that it was written.
fn changed(found: &mut Manifest, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let attributes = found.slots.attributes.unwrap_or_default();
    let (at, slot) = found.slots.change(&attributes);
    let at = usize::try_from(at).expect("inside the manifest");
    bytes[at..at + slot.len()].copy_from_slice(&slot);
    let again = manifest::decode(&bytes).expect("decoded before");
    assert_eq!(again.descriptor, found.descriptor);
}

/// Makes a structure with checks that hold around bytes: the first one chooses which.
pub fn wrap(bytes: &[u8]) -> Vec<u8> {
    let Some((which, bytes)) = bytes.split_first() else {
        return Vec::new();
    };
    let Some((length, bytes)) = bytes.split_first_chunk() else {
        return Vec::new();
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
    let (descriptor, rest) = bytes.split_at(length);
    let set = Digest::of(descriptor);
    let long = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    let short = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    let mut out = Vec::new();
    match which % 3 {
        0 => {
            out.extend(manifest::MAGIC);
            out.extend([0; 4]);
            out.extend(long(descriptor));
            let check = tag(&set, &out, b"manifest");
            let slots = rest.get(..112).map_or([0; 112].to_vec(), <[u8]>::to_vec);
            for slot in slots.chunks(56) {
                out.extend(slot);
                out.extend(tag(&set, slot, b"attrslot"));
            }
            out.extend(descriptor);
            out.extend(check);
        }
        1 => {
            let (index, frozen) = rest.split_first().unwrap_or((&0, &[]));
            out.extend(chunk::MAGIC);
            out.extend([0, 0, *index, 0]);
            out.extend(long(descriptor));
            out.extend(short(frozen));
            out.extend([0; 2]);
            out.extend(descriptor);
            out.extend(frozen);
            let check = tag(&set, &out, b"chunkhdr");
            out.extend(check);
        }
        _ => {
            out.extend(descriptor);
            out.extend(rest);
            out.extend(long(descriptor));
            out.extend(short(rest));
            let check = tag(&set, &out, b"packtail");
            out.extend(check);
            out.extend([0; 2]);
            out.extend(tail::MAGIC);
        }
    }
    out
}

/// The input that [`wrap`] makes a structure of.
pub fn unwrapped(which: u8, descriptor: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(descriptor.len())
        .unwrap_or(u16::MAX)
        .to_le_bytes();
    [&[which], &length[..], descriptor, rest].concat()
}
