//! Tests of templates made here: what is read, what is refused, that what is written reads back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::write::encode_with;
use super::*;
use crate::foreign::testing::{Files, zlib};
use crate::foreign::{Form, HEAD, Kind, recognise};
use crate::media::jpeg::testing::{Random, mutated};

const KIND: Kind = Kind::Template;

/// A template of this text.
fn template(text: &str) -> Files {
    Files(vec![zlib(text.as_bytes())])
}

/// A template with these three things.
fn of(dictionary: &Value, rules: &Value, sequence: &str) -> Files {
    let text = json!({"dictionary": dictionary, "rules": rules, "sequence": sequence});
    template(&text.to_string())
}

/// What it says in a context.
fn said(files: &Files, context: &str) -> String {
    let template = Template::open_in(files, context).unwrap();
    String::from_utf8(whole(&template)).unwrap()
}

fn whole(template: &Template) -> Vec<u8> {
    let mut content = vec![0; template.size() as usize];
    template.read_at(0, &mut content).unwrap();
    content
}

/// The judge: expands a template as the original does, by recursion and at once.
fn expanded(file: &[u8]) -> Vec<u8> {
    fn symbol(text: &Value, name: &str, out: &mut Vec<u8>) {
        if let Some(pair) = text["rules"][name].as_array() {
            for below in pair {
                symbol(text, below.as_str().unwrap(), out);
            }
        } else {
            let digits = text["dictionary"][name][DEFAULT].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            out.extend((0..digits.len()).step_by(2).map(byte));
        }
    }
    let text: Value = serde_json::from_reader(flate2::read::ZlibDecoder::new(file)).unwrap();
    let mut out = Vec::new();
    let sequence = text["sequence"].as_str().unwrap();
    for name in sequence.split(',').filter(|name| !name.is_empty()) {
        symbol(&text, name, &mut out);
    }
    out
}

/// Bytes of all kinds: words, noise, one byte over and over.
fn contents(random: &mut Random) -> Vec<(String, Vec<u8>)> {
    let mut made = Vec::new();
    for length in [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, 64_001, 300_003] {
        let noise = (0..length).map(|_| random.next() as u8).collect();
        let words: Vec<u8> = (0..length)
            .scan(0, |word, i| {
                if i % 64 == 0 {
                    *word = random.below(9);
                }
                Some(b"holograms"[(*word + i) % 9])
            })
            .collect();
        made.push((format!("{length} bytes of noise"), noise));
        made.push((format!("{length} bytes of words"), words));
        made.push((format!("{length} bytes of one"), vec![7; length]));
    }
    made
}

#[test]
fn a_symbol_has_the_value_of_the_context_of_the_default_or_the_first_good_one() {
    let text = r#" { "meta": {"chunk_size": 4}, "dictionary": {
        "a": {"freq": 3, "X": "41", "DEFAULT": "42", "Y": "43"},
        "b": {"Y": "no", "freq": {"DEFAULT": ["44"]}, "X": "4", "Z": "45 46", "V": "47"},
        "c": {"freq": null, "DEFAULT": "48", "Y": 5, "W": true, "n": [1.5, {}]},
        "é": {"DEFAULT": "4a4B"},
        "unused": {"Y": "zz", "freq": -1}},
      "rules": {"top": ["low", "\u00e9"], "low": ["a", "b"]}, "sequence": "top,c,low" } "#;
    let files = template(text);
    assert_eq!(said(&files, DEFAULT), "BEFJKHBEF");
    assert_eq!(said(&files, "V"), "BGJKHBG");
    assert_eq!(said(&files, "W"), "BEFJKHBEF", "a truth is no value");
    assert_eq!(said(&files, "nobody's"), "BEFJKHBEF");
    let template = Template::open(&files).unwrap();
    assert_eq!(template.contexts(), ["X", "DEFAULT", "Y", "Z", "V"]);
    // What is asked for by name is not passed over.
    for context in ["X", "Y"] {
        let refused = Template::open_in(&files, context).unwrap_err().to_string();
        assert!(refused.contains("symbol \"b\" has no value"), "{refused}");
    }
}

#[test]
fn ranges_are_those_of_the_whole() {
    let seed = 11;
    let mut random = Random(seed);
    for (what, content) in contents(&mut random) {
        let files = Files(vec![encode("x", &content).unwrap()]);
        let template = Template::open(&files).unwrap();
        assert!(whole(&template) == content, "{what}");
        for _ in 0..200 {
            let from = random.below(content.len() + 1);
            let most = 1 + random.below(5000);
            let length = random.below((content.len() - from + 1).min(most));
            let mut piece = vec![0; length];
            template.read_at(from as u64, &mut piece).unwrap();
            assert!(
                piece == content[from..from + length],
                "{what}: {from} + {length}, seed {seed}"
            );
        }
        let past = template.read_at(content.len() as u64, &mut [0]);
        assert!(past.is_err() && template.read_at(u64::MAX, &mut [0]).is_err());
    }
}

#[test]
fn what_is_written_is_what_the_original_expands() {
    for (what, content) in contents(&mut Random(12)) {
        let file = encode("x \"y\".txt", &content).unwrap();
        assert!(expanded(&file) == content, "{what}");
        assert_eq!(
            recognise(Form::File, &[&file[..file.len().min(HEAD)]]),
            Some(KIND)
        );
        assert!(
            encode("x \"y\".txt", &content).unwrap() == file,
            "{what}: always the same"
        );
    }
}

/// Ten megabytes of sixteen lines in any order, and of one line: rules are found, and not too many.
#[test]
fn repetition_becomes_rules() {
    let mut random = Random(13);
    let lines: Vec<[u8; 64]> = (0..16).map(|_| [random.next() as u8; 64]).collect();
    let any: Vec<u8> = (0..160_000).flat_map(|_| lines[random.below(16)]).collect();
    let file = encode("any", &any).unwrap();
    assert!(file.len() * 70 < any.len(), "{}", file.len());
    let same = encode("same", &any[..64].repeat(160_000)).unwrap();
    assert!(same.len() < 500, "{}", same.len());
    let text: Value = serde_json::from_reader(flate2::read::ZlibDecoder::new(&same[..])).unwrap();
    let rules = text["rules"].as_object().unwrap().len();
    assert!((10..20).contains(&rules), "{rules}");
    assert_eq!(text["meta"]["total_chunks"], 160_000);
}

#[test]
fn chunks_that_have_one_hash_never_become_each_other() {
    let content: Vec<u8> = [[1; 64], [2; 64], [1; 64], [2; 64]].concat();
    let file = encode_with("x", &content, &|_| [0xab; 6]).unwrap();
    assert!(expanded(&file) == content);
    let three = [content, vec![3; 64]].concat();
    let said = encode_with("x", &three, &|_| [0xab; 6])
        .unwrap_err()
        .to_string();
    assert_eq!(
        said,
        "x: three different chunks would have the symbol abababababab"
    );
}

#[test]
fn what_would_be_too_long_is_refused() {
    let mut random = Random(14);
    let noise: Vec<u8> = (0..3 << 20)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    for length in [24 << 20, noise.len()] {
        let said = encode("x", &noise[..length]).unwrap_err().to_string();
        assert!(
            said.ends_with("is 67108865, more than the limit 67108864"),
            "{said}"
        );
    }
    let said = encode("x", &vec![0; MOST as usize + 1])
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with("the size in bytes of a file for a template is"),
        "{said}"
    );
}

/// `levels` rules, each twice the one before, over one chunk.
fn doubled(levels: usize, value: &str) -> String {
    let mut text = format!(r#"{{"dictionary":{{"x":{{"D":"{value}"}}}},"rules":{{"0":["x","x"]"#);
    for i in 1..levels {
        write!(text, r#","{i}":["{0}","{0}"]"#, i - 1).unwrap();
    }
    write!(text, r#"}},"sequence":"{}"}}"#, levels - 1).unwrap();
    text
}

/// Less than three hundred bytes that stand for a tebibyte: nobody has so much memory.
#[test]
fn a_bomb_is_opened_and_read_where_it_is_asked_for() {
    let files = template(&doubled(39, "6162"));
    assert!(files.0[0].len() < 300, "{}", files.0[0].len());
    let template = Template::open(&files).unwrap();
    assert_eq!(template.size(), 1 << 40);
    for at in [0, 1, (1 << 39) - 3, (1 << 40) - 5] {
        let mut piece = [0; 4];
        template.read_at(at, &mut piece).unwrap();
        assert_eq!(&piece, if at % 2 == 0 { b"abab" } else { b"baba" });
    }
    for levels in [45, 60, 64, 200, 1000] {
        let said = self::template(&doubled(levels, "61")).error(KIND);
        assert!(
            said.contains("more than the limit 17592186044416"),
            "{levels}: {said}"
        );
    }
}

/// Two to the thousand times nothing takes no time.
#[test]
fn what_stands_for_nothing_is_passed_over() {
    assert_eq!(said(&template(&doubled(1000, "")), DEFAULT), "");
    let empty =
        doubled(1000, "").replace("\"sequence\":\"999\"", "\"sequence\":\"999,y,999,z,999\"");
    let empty = empty.replace("\"dictionary\":{", r#""dictionary":{"y":{"D":"79"},"#);
    let empty = empty.replace(
        "\"rules\":{",
        r#""rules":{"z":["999","w"],"w":["y","998"],"#,
    );
    assert_eq!(said(&template(&empty), DEFAULT), "yy");
    assert_eq!(said(&of(&json!({}), &json!({}), ""), DEFAULT), "");
}

/// A rule for each level, the deepest last.
fn nested(levels: usize) -> Files {
    let mut rules = serde_json::Map::new();
    for i in 0..levels {
        let below = if i + 1 < levels {
            format!("r{}", i + 1)
        } else {
            "x".to_owned()
        };
        rules.insert(format!("r{i}"), json!([below, "x"]));
    }
    of(&json!({"x": {"D": "78"}}), &rules.into(), "r0")
}

#[test]
fn rules_are_nested_so_deep_and_no_deeper() {
    assert_eq!(said(&nested(DEPTH), DEFAULT), "x".repeat(DEPTH + 1));
    for levels in [DEPTH + 1, 100_000] {
        let said = nested(levels).error(KIND);
        assert!(said.contains("is nested too deep in rules"), "{said}");
    }
    // From below, where nothing is open above.
    let files = nested(DEPTH + 1);
    let text = expand(&files).replace("\"sequence\":\"r0\"", "\"sequence\":\"r1,r0\"");
    assert!(
        template(&text)
            .error(KIND)
            .contains("\"r0\" is nested too deep")
    );
}

/// The text of a template.
fn expand(files: &Files) -> String {
    let mut text = String::new();
    let mut stream = flate2::read::ZlibDecoder::new(&files.0[0][..]);
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    text
}

#[test]
fn what_cannot_be_expanded_says_what_and_where() {
    let good = r#"{"dictionary":{"a":{"D":"61"},"b":{"D":"62"}},"rules":{"r":["a","b"]},"sequence":"r,a"}"#;
    assert_eq!(said(&template(good), DEFAULT), "aba");
    for (from, to, words) in [
        (
            "r,a",
            "r,c",
            "symbol \"c\" is not defined, in the text at byte 84",
        ),
        (
            "r,a",
            "r,,a",
            "symbol \"\" is not defined, in the text at byte 84",
        ),
        ("r,a", "r,a ", "symbol \"a \" is not defined"),
        (
            "[\"a\",\"b\"]",
            "[\"a\",\"q\"]",
            "symbol \"q\" is not defined, in the text at byte 67",
        ),
        (
            "[\"a\",\"b\"]",
            "[\"a\",\"r\"]",
            "symbol \"r\" is a rule that contains itself",
        ),
        (
            "[\"a\",\"b\"]",
            "[\"s\",\"a\"],\"s\":[\"a\",\"r\"]",
            "\"r\" is a rule that contains itself",
        ),
        (
            "[\"a\",\"b\"]",
            "[\"a\"]",
            "invalid length 1, expected two symbols",
        ),
        (
            "[\"a\",\"b\"]",
            "[\"a\",\"b\",\"a\"]",
            "invalid length 3, expected two symbols",
        ),
        (
            "[\"a\",\"b\"]",
            "[\"a\",7]",
            "invalid type: integer `7`, expected a string",
        ),
        ("[\"a\",\"b\"]", "\"ab\"", "expected two symbols"),
        (
            "\"61\"",
            "\"6\"",
            "symbol \"a\" has no value in hexadecimal",
        ),
        (
            "\"61\"",
            "\"6x\"",
            "symbol \"a\" has no value in hexadecimal",
        ),
        (
            "\"61\"",
            "\"6 1\"",
            "symbol \"a\" has no value in hexadecimal",
        ),
        ("\"61\"", "61", "symbol \"a\" has no value in hexadecimal"),
        (
            "\"D\":\"61\"",
            "\"DEFAULT\":\"6x\",\"D\":\"61\"",
            "symbol \"a\" has no value",
        ),
        (
            "\"D\":\"61\"",
            "\"D\":\"61\",\"D\":\"62\"",
            "context \"D\" of a symbol twice",
        ),
        (
            "\"D\":\"61\"",
            "",
            "symbol \"a\" has no value in hexadecimal",
        ),
        (
            "{\"D\":\"61\"}",
            "\"61\"",
            "expected the values of a symbol",
        ),
        ("\"b\":{", "\"a\":{", "symbol \"a\" is defined twice"),
        ("\"r\":[", "\"a\":[", "symbol \"a\" is defined twice"),
        (
            "\"rules\"",
            "\"dictionary\"",
            "expected the values of a symbol",
        ),
        (
            "\"rules\":",
            "\"sequence\":\"\",\"rules\":",
            "a second sequence",
        ),
        ("\"sequence\"", "\"sequences\"", "missing field `sequence`"),
        (
            "\"r,a\"",
            "[\"r\",\"a\"]",
            "expected symbols with commas between them",
        ),
        ("\"r,a\"}", "\"r,a\"} x", "trailing characters"),
        ("\"r,a\"}", "\"r,a\"", "EOF while parsing an object"),
        ("\"D\"", "\"\u{0}\"", "control character"),
    ] {
        let text = good.replacen(from, to, 1);
        assert!(text != good, "{from}");
        let said = template(&text).error(KIND);
        assert!(said.starts_with("chunk_0000.holo: "), "{said}");
        assert!(
            said.contains(words) && said.contains(" at byte "),
            "{said:?} without {words:?}"
        );
    }
    // The same with rules left out, and in another order.
    assert_eq!(
        said(
            &template(r#"{"sequence":"a","dictionary":{"a":{"D":"61"}}}"#),
            DEFAULT
        ),
        "a"
    );
    // What is not of use may be wrong.
    let unused = good.replace("\"rules\":{", "\"rules\":{\"s\":[\"s\",\"t\"],");
    assert_eq!(said(&template(&unused), DEFAULT), "aba");
}

#[test]
fn there_are_only_so_many_contexts_and_symbols() {
    let values = |n: usize| {
        let values = (0..n).map(|i| (format!("C{i}"), json!("61")));
        json!({"a": Value::Object(values.collect())})
    };
    let most = of(&values(CONTEXTS), &json!({}), "a");
    assert_eq!(Template::open(&most).unwrap().contexts().len(), CONTEXTS);
    let more = of(&values(CONTEXTS + 1), &json!({}), "a").error(KIND);
    assert!(more.contains("more than 64 contexts"), "{more}");

    let mut symbols = String::new();
    for i in 0..=SYMBOLS {
        write!(symbols, "{i:x},").unwrap();
    }
    let said = of(&json!({}), &json!({}), symbols.trim_end_matches(',')).error(KIND);
    assert!(said.contains("more than 1048576 symbols"), "{said}");
    let said = of(&json!({}), &json!({}), &"a,".repeat(SEQUENCE)).error(KIND);
    assert!(
        said.contains("more than 16777216 symbols in sequence"),
        "{said}"
    );
}

#[test]
fn a_text_that_is_too_long_stops_there() {
    let long = format!(
        r#"{{"meta": {{"chunk_size": "{}"#,
        "x".repeat(TEXT as usize)
    );
    let said = template(&long).error(KIND);
    assert_eq!(
        said,
        "the length in bytes of the template's text is 67108865, more than the limit 67108864"
    );
}

#[test]
fn a_stream_that_is_cut_or_damaged_is_told() {
    let content: Vec<u8> = (0..900_u32).map(|i| (i * i / 7) as u8).collect();
    let file = encode("x", &content).unwrap();
    for length in 0..file.len() {
        let said = Files(vec![file[..length].to_vec()]).error(KIND);
        let words = "a zlib stream that is damaged or cut off at byte";
        assert!(said.contains(words), "{length}: {said}");
    }
    // Each byte: an error or the true file, but where zlib's weak checksum, the only one, misses the change: the
    // original reads the same then.
    let mut missed = 0;
    for at in 0..file.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= change;
            if let Ok(read) = Files(vec![damaged.clone()]).read(KIND)
                && read != content
            {
                assert!(read == expanded(&damaged), "byte {at} ^ {change}");
                missed += 1;
            }
        }
    }
    assert!(missed < 3, "{missed}");
    // Python's zlib does not look behind the end either.
    let more = [file, b"more".to_vec()].concat();
    assert!(Files(vec![more]).read(KIND).unwrap() == content);
}

/// Texts with a few characters changed, and streams of them: read in part or refused, at once.
#[test]
fn no_changed_text_does_harm() {
    let seed = 15;
    let mut random = Random(seed);
    let dictionary = json!({"a": {"DEFAULT": "6162", "V": "63"}, "b": {"V": "64", "freq": 2}, "c": {"DEFAULT": ""}});
    let rules = json!({"r": ["a", "b"], "s": ["r", "r"], "t": ["s", "c"], "u": ["t", "s"]});
    let text = expand(&of(&dictionary, &rules, "u,t,r,a,c,b"));
    let (mut read, mut refused) = (0, 0);
    for i in 0..20_000 {
        let file = if i % 4 == 0 {
            mutated(&zlib(text.as_bytes()), &mut random)
        } else {
            zlib(&mutated(text.as_bytes(), &mut random))
        };
        let _kind = recognise(Form::File, &[&file[..file.len().min(HEAD)]]);
        match Template::open(&Files(vec![file])) {
            Ok(template) => {
                let mut piece = vec![0; template.size().min(4096) as usize];
                template.read_at(0, &mut piece).unwrap();
                let last = template.size() - piece.len() as u64;
                template.read_at(last, &mut piece).unwrap();
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        read > 100 && refused > 1000,
        "{read} {refused}, seed {seed}"
    );
}

/// Random rules of all shapes, against the judge.
#[test]
fn random_grammars_are_expanded_as_the_original_does() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut names: Vec<String> = (0..=random.below(6)).map(|i| format!("L{i}")).collect();
        let values = names.iter().map(|name| {
            let value = "6a".repeat(random.below(4)) + &"6b".repeat(random.below(3));
            (name.clone(), json!({DEFAULT: value, "other": "00"}))
        });
        let dictionary = Value::Object(values.collect());
        let mut rules = serde_json::Map::new();
        for i in 0..random.below(14) {
            let pair = [0; 2].map(|_| names[random.below(names.len())].clone());
            rules.insert(format!("R{i}"), json!(pair));
            names.push(format!("R{i}"));
        }
        let sequence: Vec<&str> = (0..random.below(200))
            .map(|_| &*names[random.below(names.len())])
            .collect();
        let files = of(&dictionary, &rules.into(), &sequence.join(","));
        let judged = expanded(&files.0[0]);
        let template = Template::open(&files).unwrap();
        assert!(whole(&template) == judged, "seed {seed}");
        for _ in 0..50 {
            let from = random.below(judged.len() + 1);
            let mut piece = vec![0; random.below(judged.len() - from + 1)];
            template.read_at(from as u64, &mut piece).unwrap();
            assert!(
                piece == judged[from..from + piece.len()],
                "seed {seed}: {from}"
            );
        }
    }
}

#[test]
fn templates_are_told_from_other_streams() {
    let kind = |text: &str| recognise(Form::File, &[zlib(text.as_bytes())]);
    for text in [
        r#"{"meta": {"chunk_size": 4, "#,
        r#"{"meta": {"orig_file": "x"}}"#,
        "\n{ \"meta\"\t: {\r\n \"total_chunks\"",
        r#"{"dictionary": {"a""#,
        r#"{"rules": {}, "#,
        r#"{"sequence": "a"#,
    ] {
        assert_eq!(kind(text), Some(KIND), "{text}");
    }
    for text in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"meta": 3"#,
        r#"{"meta": {"width": 3"#,
        "meta",
        r#"{"rules": ["#,
    ] {
        assert_eq!(kind(text), None, "{text}");
    }
    let stream = zlib(br#"{"sequence": "a"}"#);
    assert_eq!(recognise(Form::Directory, &[&stream]), None);
    assert_eq!(recognise(Form::File, &[&stream[2..]]), None);
    assert_eq!(recognise(Form::File, &[b"{\"sequence\": \"a\"}"]), None);
    assert_eq!(recognise(Form::File, &[b""]), None);
}
