//! Trees equal those of the real `veritysetup`, byte for byte (`data/vectors.gen.sh` made the list).

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fmt::Write;
use std::io::Cursor;

use sha2::{Digest, Sha256};
use verity::{
    BLOCK_SIZE, Layout, RootHash, Salt, VerifiedTree, build, build_tree, read_leaves, verify, verify_tree,
};

const UUID: [u8; 16] = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();

fn salt() -> Salt {
    Salt(std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

/// The start of what `seq 1 9999999` prints.
fn seq(len: usize) -> Vec<u8> {
    let mut text = String::with_capacity(len + 16);
    for n in 1.. {
        if len <= text.len() {
            break;
        }
        writeln!(text, "{n}").unwrap();
    }
    text.truncate(len);
    text.into_bytes()
}

#[test]
fn trees_equal_those_of_veritysetup() {
    let data = seq(16_385 * BLOCK_SIZE);
    let mut n_vectors = 0;
    for line in include_str!("data/vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let [n_blocks, root, device_sha256] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (n_blocks, root) = (n_blocks.parse::<u64>().unwrap(), root.parse::<RootHash>().unwrap());
        let data = &data[..usize::try_from(n_blocks).unwrap() * BLOCK_SIZE];

        let mut device = Cursor::new(Vec::new());
        assert_eq!(build(data, n_blocks, &salt(), UUID, &mut device).unwrap(), root, "{n_blocks} blocks");
        let device = device.into_inner();
        assert_eq!(u64::try_from(device.len()).unwrap(), Layout::new(n_blocks).unwrap().device_len());
        let digest = RootHash(Sha256::digest(&device).into());
        assert_eq!(digest.to_string(), device_sha256, "{n_blocks} blocks");
        verify(data, Cursor::new(&device), &root).unwrap();

        let mut tree = Cursor::new(Vec::new());
        assert_eq!(build_tree(data, n_blocks, &salt(), &mut tree).unwrap(), root);
        assert!(tree.get_ref()[..] == device[BLOCK_SIZE..], "tree without superblock, {n_blocks} blocks");
        let verified = VerifiedTree::new(tree.get_ref().clone(), n_blocks, &salt(), &root).unwrap();
        let claimed = read_leaves(Cursor::new(&device), n_blocks).unwrap().digests;
        assert!(n_blocks == 1 || verified.leaves().eq(claimed), "leaves, {n_blocks} blocks");
        tree.set_position(0);
        verify_tree(data, n_blocks, &salt(), tree, &root).unwrap();
        n_vectors += 1;
    }
    assert_eq!(n_vectors, 8);
}

#[test]
fn a_tree_in_the_middle_of_a_device_starts_at_its_position() {
    let data = seq(300 * BLOCK_SIZE);
    let mut alone = Cursor::new(Vec::new());
    let root = build(&data[..], 300, &salt(), UUID, &mut alone).unwrap();
    let mut device = Cursor::new(vec![0xee; 10_000]);
    device.set_position(5000);
    build(&data[..], 300, &salt(), UUID, &mut device).unwrap();
    assert!(device.get_ref()[..5000] == [0xee; 5000] && device.get_ref()[5000..] == alone.get_ref()[..]);
    device.set_position(5000);
    verify(&data[..], &mut device, &root).unwrap();
}
