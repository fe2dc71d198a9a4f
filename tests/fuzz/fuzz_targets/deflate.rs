//! Deflate: streams taken apart and made again, and recipes of whatever bytes.

#![no_main]

use holofs::media::deflate::{analyse, compress, inflate, recreate};

/// Most bytes that anything may become.
const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((how, input)) = input.split_first() else {
        return;
    };
    if how & 1 == 0 {
        let window = 1 << (8 + how / 32);
        if let Ok(found) = analyse(input, LIMIT, window) {
            let again = recreate(&found.plain, &found.recipe, LIMIT).expect("was taken apart");
            assert!(again == input[..found.used], "another stream");
            let (plain, used) = inflate(input, LIMIT).expect("was taken apart");
            assert!(plain == found.plain && used == found.used);
        }
    } else {
        let (plain, recipe) = input.split_at(usize::from(how / 2).min(input.len()));
        let made = recreate(plain, recipe, LIMIT);
        assert!(made.is_err() || made.is_ok_and(|made| made.len() <= LIMIT));
        let stream = compress(input, usize::from(how / 2 % 10));
        let (plain, _) = inflate(&stream, input.len()).expect("inflates what it made");
        assert!(plain == input, "other bytes");
    }
});
