//! Trees in memory: verified ones tell the hash of every block, a wrong byte is named by level and block.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Cursor;

use proptest::prelude::*;
use verity::{
    BLOCK_SIZE, BlockHasher, Error, Layout, RootHash, Salt, SuperblockError, VerifiedTree, build, read_leaves,
};

const SALT: Salt = Salt([9; 32]);
const UUID: [u8; 16] = [7; 16];

/// Data whose blocks all differ.
fn data_of(n_blocks: u32) -> Vec<u8> {
    (0..n_blocks).flat_map(|n| n.to_le_bytes().repeat(BLOCK_SIZE / 4)).collect()
}

/// Superblock and tree, as on a verity partition.
fn device_of(data: &[u8]) -> (Vec<u8>, RootHash) {
    let mut device = Cursor::new(Vec::new());
    let root = build(data, blocks(data), &SALT, UUID, &mut device).unwrap();
    (device.into_inner(), root)
}

fn blocks(data: &[u8]) -> u64 {
    u64::try_from(data.len() / BLOCK_SIZE).unwrap()
}

fn hashes(data: &[u8]) -> Vec<[u8; 32]> {
    let hasher = BlockHasher::new(&SALT);
    data.chunks_exact(BLOCK_SIZE).map(|block| hasher.hash(block)).collect()
}

/// One block has no tree, 128 fill one level, and one more than 128 × 128 need three.
#[track_caller]
fn check(n_blocks: u32, n_levels: usize) {
    let data = data_of(n_blocks);
    let (device, root) = device_of(&data);
    let expected = hashes(&data);

    let tree = VerifiedTree::new(device[BLOCK_SIZE..].to_vec(), n_blocks.into(), &SALT, &root).unwrap();
    assert_eq!(tree.bytes(), &device[BLOCK_SIZE..]);
    assert_eq!(tree.n_data_blocks(), n_blocks.into());
    assert_eq!(tree.leaves().collect::<Vec<_>>(), expected);
    assert_eq!(tree.leaf(u64::from(n_blocks) - 1), *expected.last().unwrap());

    let leaves = read_leaves(Cursor::new(&device), n_blocks.into()).unwrap();
    assert_eq!((leaves.superblock.salt, leaves.superblock.n_data_blocks), (SALT, n_blocks.into()));
    assert_eq!(leaves.digests, if n_levels == 0 { vec![] } else { expected });

    let layout = Layout::new(n_blocks.into()).unwrap();
    assert_eq!(layout.levels().len(), n_levels);
    for (level, place) in layout.levels().iter().enumerate() {
        for number in [0, place.n_blocks / 2, place.n_blocks - 1] {
            let mut wrong = device[BLOCK_SIZE..].to_vec();
            let at = usize::try_from(place.first_block + number).unwrap() * BLOCK_SIZE;
            // The first byte, and one that may be padding.
            for at in [at, at + BLOCK_SIZE - 1] {
                wrong[at] ^= 1;
                let found = VerifiedTree::new(wrong.clone(), n_blocks.into(), &SALT, &root).unwrap_err();
                let Error::TreeBlock { level: named, block, .. } = found else { panic!("{found}") };
                assert_eq!((named, block), (level, number));
                wrong[at] ^= 1;
            }
        }
    }
}

#[test]
fn one_block_has_no_tree() {
    check(1, 0);
}

#[test]
fn a_wrong_byte_of_one_level_is_named() {
    check(2, 1);
    check(128, 1);
}

#[test]
fn a_wrong_byte_of_two_levels_is_named() {
    check(129, 2);
}

#[test]
fn a_wrong_byte_of_three_levels_is_named() {
    check(16_385, 3);
}

#[test]
fn a_tree_of_another_length_salt_or_root_is_refused() {
    let data = data_of(300);
    let (device, root) = device_of(&data);
    let tree = &device[BLOCK_SIZE..];
    let new = |bytes: &[u8], n_blocks, salt, root| VerifiedTree::new(bytes.to_vec(), n_blocks, &salt, &root);
    new(tree, 300, SALT, root).unwrap();
    let expected = 4 * 4096;
    for len in [0, tree.len() - 1] {
        let found = new(&tree[..len], 300, SALT, root);
        assert!(
            matches!(found, Err(Error::TreeLength { expected: e, found }) if (e, found) == (expected, len))
        );
    }
    let longer = [tree, &[0]].concat();
    assert!(matches!(new(&longer, 300, SALT, root), Err(Error::TreeLength { .. })));
    assert!(matches!(new(tree, 0, SALT, root), Err(Error::Layout(_))));
    assert!(matches!(new(&[], u64::MAX, SALT, root), Err(Error::Layout(_))));
    for (salt, root) in [(Salt([8; 32]), root), (SALT, RootHash([0; 32]))] {
        let found = new(tree, 300, salt, root);
        assert!(matches!(found, Err(Error::TreeBlock { level: 1, block: 0, .. })), "{found:?}");
    }
}

#[test]
#[should_panic(expected = "block 2 of 2")]
fn a_leaf_behind_the_last_is_a_bug() {
    let data = data_of(2);
    let (device, root) = device_of(&data);
    VerifiedTree::new(device[BLOCK_SIZE..].to_vec(), 2, &SALT, &root).unwrap().leaf(2);
}

#[test]
fn leaves_are_read_from_where_the_device_stands() {
    let data = data_of(300);
    let (device, _) = device_of(&data);
    let mut disk = Cursor::new([vec![0xee; 5000], device].concat());
    disk.set_position(5000);
    assert_eq!(read_leaves(disk, 300).unwrap().digests, hashes(&data));
}

#[test]
fn leaves_of_a_foreign_device_are_refused_before_memory_is_taken() {
    let (device, _) = device_of(&data_of(300));
    let read = |bytes: &[u8], limit| read_leaves(Cursor::new(bytes), limit).unwrap_err();
    assert!(matches!(read(&device, 299), Error::TooManyBlocks { limit: 299, found: 300 }));
    let huge = verity::Superblock { uuid: UUID, n_data_blocks: 1 << 32, salt: SALT }.to_block();
    assert!(matches!(read(&huge, 1 << 20), Error::TooManyBlocks { .. }));
    assert!(matches!(read(&[0; 4096], 300), Error::Superblock(SuperblockError::Signature { .. })));
    assert!(matches!(read(&device[..4095], 300), Error::ReadTree(_)));
    assert!(matches!(read(&device[..device.len() - 1], 300), Error::TreeTruncated { level: 0, block: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_change_of_a_tree_is_refused(n in 2u32..400, at: prop::sample::Index, flip in 1u8..) {
        let data = data_of(n);
        let (device, root) = device_of(&data);
        let mut tree = device[BLOCK_SIZE..].to_vec();
        let at = at.index(tree.len());
        tree[at] ^= flip;
        let found = VerifiedTree::new(tree, n.into(), &SALT, &root);
        prop_assert!(matches!(found, Err(Error::TreeBlock { .. })), "{found:?}");
    }

    #[test]
    fn hostile_devices_never_panic(device in prop::collection::vec(any::<u8>(), 0..9000), n in 1u64..300) {
        let mut device = device;
        if BLOCK_SIZE <= device.len() {
            let superblock = verity::Superblock { uuid: UUID, n_data_blocks: n, salt: SALT };
            device[..BLOCK_SIZE].copy_from_slice(&superblock.to_block());
        }
        if let Ok(leaves) = read_leaves(Cursor::new(device), 200) {
            prop_assert!(leaves.digests.len() <= 200);
        }
    }
}
