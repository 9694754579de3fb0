//! Snappy's raw format: literal bytes, and copies of bytes before them.
#![warn(clippy::arithmetic_side_effects)]

/// What so many bytes unpack to, if they are whole.
pub(super) fn unpack(packed: &[u8], unpacked: u64) -> Option<Vec<u8>> {
    let rest = &mut &*packed;
    // The length, 7 bits in each byte.
    let mut said = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = number(rest, 1)? as u64;
        said |= (byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    let len = usize::try_from(unpacked).ok().filter(|_| said == unpacked)?;
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    while bytes.len() < len {
        let tag = number(rest, 1)?;
        let high = tag >> 2;
        let (from, count) = match tag & 3 {
            0 => {
                let count = match high {
                    0..=59 => high,
                    _ => number(rest, high.checked_sub(59)?)?,
                };
                (None, count.checked_add(1)?)
            }
            1 => (Some((high >> 3 << 8) | number(rest, 1)?), (high & 7).checked_add(4)?),
            2 => (Some(number(rest, 2)?), high.checked_add(1)?),
            _ => (Some(number(rest, 4)?), high.checked_add(1)?),
        };
        if count > len.checked_sub(bytes.len())? {
            return None;
        }
        match from {
            None => {
                let (some, behind) = rest.split_at_checked(count)?;
                *rest = behind;
                bytes.extend_from_slice(some);
            }
            Some(back) => {
                let mut from = bytes.len().checked_sub(back).filter(|_| back > 0)?;
                // What is copied may go on with what was just copied.
                for _ in 0..count {
                    bytes.push(*bytes.get(from)?);
                    from = from.checked_add(1)?;
                }
            }
        }
    }
    rest.is_empty().then_some(bytes)
}

/// The number of so many bytes, the lowest first, which are passed.
fn number(rest: &mut &[u8], digits: usize) -> Option<usize> {
    let (some, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    let mut word = [0; 4];
    word.get_mut(..digits)?.copy_from_slice(some);
    Some(u32::from_le_bytes(word) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_are_unpacked() {
        let file = b"\x0f\x08abc\x15\x03\x08xyz";
        assert_eq!(unpack(file, 15).as_deref(), Some(b"abcabcabcabcxyz".as_slice()), "overlapping");
        for (file, len) in [
            (file.as_slice(), 14),
            (b"\x0f\x08abc\x15\x04\x08xyz", 15),
            (b"\x0f\x08abc\x15\x00\x08xyz", 15),
            (b"\x0f\x08abc\x15\x03\x0cxyz", 15),
            (b"\x0f\x08abc\x15\x03\x08xyz!", 15),
            (b"\x0f", 15),
            (b"", 0),
            (b"\xff\xff\xff\xff\xff", 1),
        ] {
            assert_eq!(unpack(file, len), None, "{}", file.escape_ascii());
        }
        assert_eq!(unpack(b"\0", 0).as_deref(), Some(b"".as_slice()), "nothing");
    }
}
