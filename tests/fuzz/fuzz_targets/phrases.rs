//! Dictionaries of phrases, and units coded with them: the first four bytes say how long the dictionary is.

#![no_main]

use holofs::coding::phrases::{Dictionary, UNIT, x86};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk() else {
        return;
    };
    let length = u32::from_le_bytes(*length) as usize;
    let (bytes, coded) = rest.split_at(length.min(rest.len()));
    let Ok(dictionary) = Dictionary::parse(bytes) else {
        return;
    };
    let mut units = vec![vec![0; UNIT]; 5];
    let one = dictionary.decode(coded, &mut units[4]);
    let mut part = vec![0; UNIT];
    if one.is_ok() && dictionary.decode_until(coded, &mut part, 1000).is_ok() {
        assert!(part[..1000] == units[4][..1000], "other bytes in a part");
    }
    // Units of four lengths at a time and one by one are the same.
    let lengths = [UNIT, UNIT / 2, 1000, 1];
    let mut four = lengths.map(|length| vec![0; length]);
    let mut pairs: Vec<_> = four.iter_mut().map(|unit| (coded, &mut **unit)).collect();
    if dictionary.decode_all(&mut pairs).is_ok() {
        for unit in &four {
            let mut alone = vec![0; unit.len()];
            dictionary
                .decode(coded, &mut alone)
                .expect("decoded with others");
            assert!(alone == *unit, "other bytes alone");
        }
    }
    let unit = &coded[..coded.len().min(UNIT)];
    let made = dictionary.encode(unit);
    let mut back = vec![0; unit.len()];
    // What becomes no shorter is the unit itself, which is told by its length.
    if made.len() < unit.len() {
        dictionary
            .decode(&made, &mut back)
            .expect("decodes what it made");
        assert!(back == unit, "other bytes back");
    }
    let mut turned = unit.to_vec();
    x86(&mut turned, length as u64, true);
    x86(&mut turned, length as u64, false);
    assert!(turned == unit, "branches turned and turned back");
});
