//! Input for programs, generated: the same bytes on every machine.

/// `size` bytes that compress as a mixture of text, repetition and noise does.
pub fn compressible(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<Vec<u8>> =
        (0..2000).map(|_| (0..random() % 9 + 2).map(|_| b'a' + (random() % 26) as u8).collect()).collect();
    let mut bytes = Vec::with_capacity(size + 100_000);
    while bytes.len() < size {
        match random() % 100 {
            // Text, in which frequent words are more frequent.
            0..90 => {
                for _ in 0..random() % 200 {
                    let rank = (random() % 2000 * (random() % 2000)) / 2000;
                    bytes.extend_from_slice(&words[rank as usize]);
                    bytes.push(if random().is_multiple_of(12) { b'\n' } else { b' ' });
                }
            }
            90..94 => bytes.extend((0..random() % 2000).map(|_| random() as u8)),
            94..97 => {
                let byte = random() as u8;
                bytes.extend(std::iter::repeat_n(byte, (random() % 5000) as usize));
            }
            _ => {
                let length = (random() as usize % 20_000).min(bytes.len());
                let start = random() as usize % (bytes.len() - length + 1);
                bytes.extend_from_within(start..start + length);
            }
        }
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::compressible;

    #[test]
    fn is_the_same_every_time_and_of_the_size_asked_for() {
        let bytes = compressible(300_000);
        assert_eq!(bytes.len(), 300_000);
        assert_eq!(bytes, compressible(300_000));
        assert!(compressible(400_000).starts_with(&bytes));
    }
}
