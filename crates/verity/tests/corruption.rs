//! Any flipped byte, and any missing one, is found and named.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Cursor;

use proptest::prelude::*;
use verity::{BLOCK_SIZE, BuildError, Error, Layout, RootHash, Salt, build, build_tree, verify, verify_tree};

fn data_of(n_blocks: usize, seed: u64) -> Vec<u8> {
    // Xorshift: every block differs, at no cost.
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(n_blocks * BLOCK_SIZE / 8).flatten().collect()
}

fn blocks(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len() / BLOCK_SIZE).unwrap()
}

fn tree_of(data: &[u8], salt: &Salt) -> (Vec<u8>, RootHash) {
    let mut tree = Cursor::new(Vec::new());
    let root = build_tree(data, blocks(data), salt, &mut tree).unwrap();
    (tree.into_inner(), root)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn names_the_block_of_a_flipped_data_byte(
        n in 1usize..400, seed: u64, salt: [u8; 32], at: prop::sample::Index, flip in 1u8..,
    ) {
        let (mut data, salt) = (data_of(n, seed), Salt(salt));
        let (tree, root) = tree_of(&data, &salt);
        verify_tree(&data[..], blocks(&data), &salt, Cursor::new(&tree), &root).unwrap();
        let at = at.index(data.len());
        data[at] ^= flip;
        let found = verify_tree(&data[..], blocks(&data), &salt, Cursor::new(&tree), &root).unwrap_err();
        let expected = u64::try_from(at / BLOCK_SIZE).unwrap();
        prop_assert!(matches!(found, Error::DataBlock { block, .. } if block == expected), "{found}");
    }

    #[test]
    fn names_the_block_of_a_flipped_tree_byte(
        n in 2usize..400, seed: u64, salt: [u8; 32], at: prop::sample::Index, flip in 1u8..,
    ) {
        let (data, salt) = (data_of(n, seed), Salt(salt));
        let (mut tree, root) = tree_of(&data, &salt);
        let at = at.index(tree.len());
        tree[at] ^= flip;
        let found = verify_tree(&data[..], blocks(&data), &salt, Cursor::new(&tree), &root).unwrap_err();
        let in_tree = u64::try_from(at / BLOCK_SIZE).unwrap();
        let layout = Layout::new(blocks(&data)).unwrap();
        let level = layout.levels().iter().position(|l| l.first_block <= in_tree).unwrap();
        let number = in_tree - layout.levels()[level].first_block;
        prop_assert!(
            matches!(found, Error::TreeBlock { level: l, block, .. } if (l, block) == (level, number)),
            "{found}"
        );
    }

    #[test]
    fn hostile_hash_devices_never_panic(device in prop::collection::vec(any::<u8>(), 0..9000), start: bool) {
        let mut device = device;
        if start && BLOCK_SIZE <= device.len() {
            let superblock = verity::Superblock { uuid: [0; 16], n_data_blocks: 1 << 32, salt: Salt([0; 32]) };
            device[..BLOCK_SIZE].copy_from_slice(&superblock.to_block());
        }
        prop_assert!(verify(&[0; 8192][..], Cursor::new(device), &RootHash([0; 32])).is_err());
    }
}

#[test]
fn wrong_root_hash_is_the_top_block() {
    let data = data_of(300, 1);
    let (tree, _) = tree_of(&data, &Salt([0; 32]));
    let found = verify_tree(&data[..], 300, &Salt([0; 32]), Cursor::new(&tree), &RootHash([0; 32]));
    assert!(matches!(found, Err(Error::TreeBlock { level: 1, block: 0, .. })), "{found:?}");
}

#[test]
fn wrong_salt_or_block_count_in_the_superblock_does_not_verify() {
    let data = data_of(300, 1);
    let mut device = Cursor::new(Vec::new());
    let root = build(&data[..], 300, &Salt([0; 32]), [0; 16], &mut device).unwrap();
    let device = device.into_inner();
    for at in [72, 88] {
        let mut device = device.clone();
        device[at] ^= 1;
        let found = verify(&data[..], Cursor::new(device), &root);
        assert!(matches!(found, Err(Error::TreeBlock { .. } | Error::DataTruncated { .. })), "{found:?}");
    }
}

#[test]
fn truncated_data_and_tree_are_named() {
    let (data, salt) = (data_of(300, 1), Salt([0; 32]));
    let (tree, root) = tree_of(&data, &salt);
    let found = verify_tree(&data[..data.len() - 1], 300, &salt, Cursor::new(&tree), &root);
    assert!(matches!(found, Err(Error::DataTruncated { block: 256, expected: 300 })), "{found:?}");
    let found = verify_tree(&data[..], 300, &salt, Cursor::new(&tree[..tree.len() - 1]), &root);
    assert!(matches!(found, Err(Error::TreeTruncated { level: 0, block: 2 })), "{found:?}");
    let found = verify(&data[..], Cursor::new(&tree[..100]), &root);
    assert!(matches!(found, Err(Error::ReadTree(_))), "{found:?}");
    let found = build_tree(&data[..data.len() - 1], 300, &salt, Cursor::new(Vec::new()));
    assert!(matches!(found, Err(BuildError::DataTruncated { block: 256, expected: 300 })), "{found:?}");
    let found = build_tree(&data[..], 0, &salt, Cursor::new(Vec::new()));
    assert!(matches!(found, Err(BuildError::Layout(_))), "{found:?}");
}
