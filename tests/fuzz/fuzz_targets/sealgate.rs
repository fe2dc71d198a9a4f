//! Templates of `SealGate`: JSON text as it is, without the zlib stream around it, and any bytes written as one.

#![no_main]

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use holofs::foreign::sealgate::{Template, encode};
use holofs::foreign::{Form, Reader};
use holofs_fuzz::foreign::{Files, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
    packed.write_all(input).expect("written to memory");
    read(
        &Files(vec![packed.finish().expect("written to memory")]),
        Form::File,
    );

    let Ok(template) = encode("name", input) else {
        return;
    };
    let template = Template::open(&Files(vec![template])).expect("reads what it wrote");
    let mut content = vec![0; input.len()];
    assert_eq!(template.size(), input.len() as u64);
    template
        .read_at(0, &mut content)
        .expect("reads what it wrote");
    assert!(content == input, "other bytes");
});
