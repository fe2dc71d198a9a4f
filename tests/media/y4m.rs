//! YUV4MPEG2: every colour space, the corpus frame by frame, damage.

use holofs::media::error::Error;
use holofs::media::y4m::{Chroma, Header, Shape, frame_line};

use crate::support::{Draw, corpus};

#[test]
fn every_colour_space_has_its_planes() {
    let cases = [
        ("", 8, 3, (4, 3)),
        (" C420jpeg", 8, 3, (4, 3)),
        (" C420mpeg2", 8, 3, (4, 3)),
        (" C420paldv", 8, 3, (4, 3)),
        (" C420p10 XYSCSS=420P10", 10, 3, (4, 3)),
        (" C420p16", 16, 3, (4, 3)),
        (" C411", 8, 3, (2, 5)),
        (" C422", 8, 3, (4, 5)),
        (" C422p12", 12, 3, (4, 5)),
        (" C444", 8, 3, (7, 5)),
        (" C444p9", 9, 3, (7, 5)),
        (" C444alpha", 8, 4, (7, 5)),
        (" Cmono", 8, 1, (7, 5)),
        (" Cmono16", 16, 1, (7, 5)),
    ];
    for (space, bits, planes, (width, height)) in cases {
        let line = format!("YUV4MPEG2 W7 H5 F25:1 Ip A0:0{space} Xcomment\nFRAME\n");
        let (header, length) = Header::parse(line.as_bytes()).unwrap();
        assert_eq!(length, line.len() - 6, "{space}");
        assert_eq!(
            (header.width, header.height, header.bits),
            (7, 5, bits),
            "{space}"
        );
        let shapes = header.planes();
        assert_eq!(shapes.len(), planes, "{space}");
        assert_eq!(*shapes.last().unwrap(), Shape { width, height }, "{space}");
        // Random samples go to bytes and back.
        let mut draw = Draw(u64::from(bits) + 77);
        let frame: Vec<Vec<u16>> = shapes
            .iter()
            .map(|shape| {
                let sample = |_| draw.next(usize::from(header.max()) + 1) as u16;
                (0..shape.width * shape.height).map(sample).collect()
            })
            .collect();
        let bytes = header.write(&frame).unwrap();
        assert_eq!(bytes.len(), header.frame_bytes(), "{space}");
        assert_eq!(header.read(&bytes).unwrap(), frame, "{space}");
        assert!(header.read(&bytes[1..]).is_err());
        assert!(header.write(&frame[1..]).is_err());
    }
}

#[test]
fn lines_are_read_to_their_end() {
    assert_eq!(frame_line(b"FRAME\nabc"), Ok(6));
    assert_eq!(frame_line(b"FRAME Ip Xanything\nabc"), Ok(19));
    for wrong in [&b"FRAMES\n"[..], b"FRAME", b"", b"frame\n", &[b'F'; 9000]] {
        assert!(frame_line(wrong).is_err());
    }
    for wrong in [
        "YUV4MPEG2\n",
        "YUV4MPEG2 W7\n",
        "YUV4MPEG2 W7 H0\n",
        "YUV4MPEG2 W-7 H5\n",
        "YUV4MPEG2 W7 H5",
        "YUV4MPEG W7 H5\n",
    ] {
        assert!(
            matches!(Header::parse(wrong.as_bytes()), Err(Error::Format(_))),
            "{wrong}"
        );
    }
    let space = Header::parse(b"YUV4MPEG2 W7 H5 C999\n");
    assert!(matches!(space, Err(Error::Unsupported(_))));
    let bomb = Header::parse(b"YUV4MPEG2 W4000000000 H4000000000\n");
    assert!(matches!(bomb, Err(Error::Limit(_))));
    // A sample of ten bits that has eleven.
    let (header, _) = Header::parse(b"YUV4MPEG2 W1 H1 Cmono10\n").unwrap();
    assert_eq!(header.chroma, Chroma::Mono);
    assert!(matches!(header.read(&[0, 4]), Err(Error::Unsupported(_))));
}

#[test]
fn the_corpus_comes_back_frame_by_frame() {
    for (name, file) in corpus("video") {
        let (header, mut at) = Header::parse(&file).unwrap();
        let mut again = file[..at].to_vec();
        let mut frames = 0;
        while at < file.len() {
            let line = frame_line(&file[at..]).unwrap();
            again.extend(&file[at..at + line]);
            at += line;
            let frame = &file[at..at + header.frame_bytes()];
            at += frame.len();
            again.extend(header.write(&header.read(frame).unwrap()).unwrap());
            frames += 1;
        }
        assert_eq!(again, file, "{name}");
        assert!(frames > 10, "{name}");
    }
}

#[test]
fn damaged_lines_never_panic() {
    let line = b"YUV4MPEG2 W176 H144 F25:1 Ip A0:0 C420p10 XYSCSS=420P10\n";
    let mut taken = 0;
    for seed in 1..3000_u64 {
        let mut draw = Draw(seed * 0x9e37_79b9);
        let line = draw.mutate(line);
        if let Ok((header, length)) = Header::parse(&line) {
            taken += 1;
            assert!(length <= line.len());
            assert_eq!(header.read(&[]).is_ok(), header.frame_bytes() == 0);
        }
    }
    assert!(taken > 300, "{taken}");
}
