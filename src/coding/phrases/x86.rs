//! Branches of x86 machine code with targets for distances, so that calls of one place look alike.

/// Turns the distances of calls and jumps (`E8`, `E9`, `0F 80` to `0F 8F`) in `unit` into targets, or back where not
/// `forward`. `position` is that of the unit in its content, so that all of its units name a target alike.
///
/// | byte of the operand | before | after |
/// |---|---|---|
/// | 0 | bits 0 to 7 of the distance | `00` or `FF`, of bit 24 of the target |
/// | 1 | bits 8 to 15 | bits 16 to 23 of the target |
/// | 2 | bits 16 to 23 | bits 8 to 15 |
/// | 3 | `00` or `FF`, the sign | bits 0 to 7 |
///
/// A target is the distance and the position behind the operand, modulo 2^25. Operands with another byte 3 are no
/// distances. Where their byte 0 is `00` or `FF`, so that they would look like targets, bytes 0 and 3 change places; other ones
/// stay as they are, and the next branch may begin with their byte 3. So whatever decides is seen by both directions:
/// any bytes come back.
pub fn x86(unit: &mut [u8], position: u64, forward: bool) {
    let mut place = 0;
    while let Some(rest) = unit.get_mut(place..) {
        let (opcode, behind) = match rest {
            [0xe8 | 0xe9, behind @ ..] => (1, behind),
            [0x0f, 0x80..=0x8f, behind @ ..] => (2, behind),
            [] => return,
            _ => {
                place += 1;
                continue;
            }
        };
        let Some(operand) = behind.first_chunk_mut::<4>() else {
            return;
        };
        let [first, second, third, last] = *operand;
        place += opcode + 4;
        let behind = u32::try_from(position.wrapping_add(place as u64) & 0x01ff_ffff).unwrap_or(0);
        let (decides, other) = if forward {
            (last, first)
        } else {
            (first, last)
        };
        if is_sign(decides) {
            let number = if forward {
                u32::from_le_bytes(*operand).wrapping_add(behind)
            } else {
                u32::from_le_bytes([last, third, second, first]).wrapping_sub(behind)
            };
            let [low, middle, high, top] = number.to_le_bytes();
            let sign = if top & 1 == 1 { 0xff } else { 0 };
            *operand = if forward {
                [sign, high, middle, low]
            } else {
                [low, middle, high, sign]
            };
        } else if is_sign(other) {
            *operand = [last, second, third, first];
        } else {
            place -= 1;
        }
    }
}

/// Whether a byte may be the sign of a distance.
fn is_sign(byte: u8) -> bool {
    matches!(byte, 0 | 0xff)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let mut state = 0x1234_5678_u32;
        for round in 0..2000_u64 {
            let size = usize::try_from(round % 257).unwrap();
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state
            };
            // Mostly the bytes that matter.
            let bytes: Vec<u8> = (0..size)
                .map(|_| match draw() % 8 {
                    0 => 0xe8,
                    1 => 0x0f,
                    2 => 0x80,
                    3 | 4 => 0,
                    5 => 0xff,
                    _ => draw().to_le_bytes()[1],
                })
                .collect();
            let position = round * 0x0123_4567;
            let mut unit = bytes.clone();
            x86(&mut unit, position, true);
            x86(&mut unit, position, false);
            assert_eq!(unit, bytes, "round {round}");
        }
    }

    #[test]
    fn calls_of_one_place_look_alike() {
        let mut code = vec![0x90; 64];
        for place in [0_u8, 20, 40] {
            let at = usize::from(place);
            code[at] = 0xe8;
            let distance = 1000 - (i32::from(place) + 5);
            code[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
        }
        x86(&mut code, 0, true);
        let call = [0xe8, 0, 0, 0x03, 0xe8];
        for at in [0, 20, 40] {
            assert_eq!(code[at..at + 5], call);
        }
        let mut far = vec![0xe8, 1, 2, 3, 4, 5, 6];
        x86(&mut far, 0, true);
        assert_eq!(far, [0xe8, 1, 2, 3, 4, 5, 6]);
    }
}
