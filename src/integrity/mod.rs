//! Looking after what is stored: checking it and judging what was found.

pub mod scrub;
