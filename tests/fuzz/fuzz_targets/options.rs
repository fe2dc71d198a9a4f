//! Mount options, as mount(8) and fstab give them.

#![no_main]

use holofs::fs::MountOptions;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lists: Vec<_> = text.split('\n').collect();
    if let Ok(options) = MountOptions::parse(&lists) {
        let _ = options.store_options();
        assert!(
            options
                .chunks
                .is_none_or(|chunks| (1..=255).contains(&chunks))
        );
        // Options that are given again change nothing.
        let twice: Vec<_> = lists.iter().chain(&lists).collect();
        assert_eq!(MountOptions::parse(&twice), Ok(options));
    }
});
