//! BLAKE2s-256 without a key (RFC 7693), for names of directories. It is here so that the router needs no library of
//! cryptography beside it: it runs alone in an otherwise empty root directory.
#![forbid(unsafe_code)]

const BLOCK: usize = 64;

const INITIAL: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// Which word of the block each step of a round takes.
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// The words that each step mixes: columns, then diagonals.
const LANES: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The digest of a whole message.
pub fn digest(message: &[u8]) -> [u8; 32] {
    let mut state = INITIAL;
    // Length of the digest, no key, one tree.
    state[0] ^= 0x0101_0000 | 32;
    let blocks = message.len().div_ceil(BLOCK).max(1);
    for index in 0..blocks {
        let start = index * BLOCK;
        let end = message.len().min(start + BLOCK);
        compress(
            &mut state,
            &message[start..end],
            end as u64,
            index + 1 == blocks,
        );
    }
    let mut bytes = [0; 32];
    for (place, word) in bytes.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Takes one block in, of which the missing rest is zeros. `total` is the number of bytes up to its end.
fn compress(state: &mut [u32; 8], block: &[u8], total: u64, last: bool) {
    let mut words = [0u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
        let mut padded = [0; 4];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_le_bytes(padded);
    }
    let mut v = [0u32; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&INITIAL);
    v[12] ^= total as u32;
    v[13] ^= (total >> 32) as u32;
    if last {
        v[14] = !v[14];
    }
    for order in ORDER {
        for (lane, pair) in LANES.into_iter().zip(order.chunks_exact(2)) {
            mix(&mut v, lane, words[pair[0]], words[pair[1]]);
        }
    }
    for (index, word) in state.iter_mut().enumerate() {
        *word ^= v[index] ^ v[index + 8];
    }
}

fn mix(v: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    for (word, first, second) in [(x, 16, 12), (y, 8, 7)] {
        v[a] = v[a].wrapping_add(v[b]).wrapping_add(word);
        v[d] = (v[d] ^ v[a]).rotate_right(first);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::md::Md;
    use openssl::md_ctx::MdCtx;

    #[test]
    fn digests_are_those_of_openssl_for_messages_of_every_length_up_to_four_blocks() {
        let algorithm = Md::fetch(None, "BLAKE2S-256", None).unwrap();
        let message: Vec<u8> = (0..=255).chain(0..10).collect();
        for length in 0..message.len() {
            let mut context = MdCtx::new().unwrap();
            let mut expected = [0; 32];
            context.digest_init(&algorithm).unwrap();
            context.digest_update(&message[..length]).unwrap();
            context.digest_final(&mut expected).unwrap();
            assert_eq!(digest(&message[..length]), expected, "{length}");
        }
    }
}
