//! Targets for what comes from an update server: payloads, channel files, block lists.

use std::collections::HashMap;

use payload::channel::{Channel, Known, Wave};
use payload::plan::{Plan, Wanted, join};
use payload::{
    BlockList, Digest, Envelope, Kind, Layout, Manifest, PAYLOAD_MAX, Parts, SecretKey, Trust, seal, write,
};

/// An envelope that reads is written as it was, and without a key nothing is vouched for; a manifest's
/// sections and the padding between them are all of the payload.
pub fn payload_envelope(data: &[u8]) {
    for kind in [Kind::Payload, Kind::Channel, Kind::Sums] {
        let Ok(envelope) = Envelope::parse(kind, data) else { continue };
        assert_eq!(envelope.to_bytes(), data[..envelope.len]);
        assert!(Trust::default().verify(&envelope).is_err());
        let len = u64::try_from(envelope.len).expect("an envelope is short");
        let Ok(manifest) = Manifest::parse(envelope.body, len) else { continue };
        assert_eq!(Manifest::parse(&manifest.to_json(), len).as_ref(), Ok(&manifest));
        covers(&manifest.layout, len);
    }
}

fn covers(layout: &Layout, envelope_len: u64) {
    let mut parts = [&layout.sections()[..], &layout.padding(envelope_len)].concat();
    parts.sort();
    let mut at = envelope_len;
    for part in parts.into_iter().filter(|part| part.len != 0) {
        assert_eq!(part.offset, at);
        at = part.end();
    }
    assert_eq!(at, layout.total());
    assert!(at <= PAYLOAD_MAX);
}

/// A channel file that reads is written as it reads, and no machine is due before it was issued.
pub fn payload_channel(data: &[u8]) {
    let Ok(channel) = Channel::parse(data) else { return };
    assert_eq!(Channel::parse(&channel.to_json()).as_ref(), Ok(&channel));
    for seed in [0, 999_999, u64::MAX] {
        assert!(channel.issued <= channel.due(seed));
    }
    let known = |now, sequence| Known { now, synchronized: Some(now), sequence };
    assert!(channel.judge(known(channel.issued, channel.sequence)).is_ok());
    assert!(channel.judge(known(channel.expires, 0)).is_err());
    assert!(
        channel.sequence == u64::MAX || channel.judge(known(channel.issued, channel.sequence + 1)).is_err()
    );
}

/// The file's length, then its block list: one that reads is written as it was, its blocks are the whole
/// file, and a machine that has the file needs nothing of it.
pub fn payload_blocks(data: &[u8]) {
    let Some((len, rows)) = data.split_first_chunk() else { return };
    let file_len = u64::from_le_bytes(*len);
    let Ok(list) = BlockList::parse(rows, file_len) else { return };
    assert_eq!(list.to_bytes(), rows);
    let wanted = || {
        list.blocks().iter().map(|block| {
            let len = u64::try_from(block.len).expect("a block is short");
            Wanted { offset: block.offset, len, hash: block.hash }
        })
    };
    let nothing = Plan::new(wanted(), &HashMap::new());
    assert_eq!((nothing.copied_len(), nothing.missing_len()), (0, file_len));
    let ranges = join(&nothing.missing, 0, 1);
    assert_eq!(ranges, nothing.missing);
    let old: HashMap<Digest, u64> = wanted().map(|block| (block.hash, block.offset)).collect();
    let everything = Plan::new(wanted(), &old);
    assert_eq!((everything.copied_len(), everything.missing_len()), (file_len, 0));
}

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "payload_envelope" => vec![payload(1), payload(8), channel_file()],
        "payload_channel" => vec![channel(&[]).to_json(), channel(&WAVES).to_json()],
        "payload_blocks" => vec![block_list(5000, &[512]), block_list(1, &[])],
        _ => vec![],
    }
}

const WAVES: [Wave; 2] =
    [Wave { start: 0, duration: 3600, percent: 5 }, Wave { start: 86_400, duration: 86_400, percent: 95 }];

fn payload(n_keys: u8) -> Vec<u8> {
    let keys: Vec<_> = (7..7 + n_keys).map(|seed| SecretKey::from_seed([seed; 32])).collect();
    let uki_blocks = BlockList::of(b"uki", []).expect("three bytes are one block");
    let parts = Parts {
        product: "slipway",
        version: "1.4.0",
        min_from: "0.1.0",
        build_time: 1_790_000_000,
        root_hash: [1; 32],
        salt: [2; 32],
        verity_uuid: [3; 16],
        uki: b"uki",
        uki_blocks: &uki_blocks,
        loader: b"loader",
        tree: &[4; 4096],
        usr: &[5; 8192][..],
        usr_len: 8192,
    };
    let mut bytes = vec![];
    write(parts, &keys, &mut bytes).expect("the parts are valid");
    // What follows the envelope is no matter of this target.
    bytes.truncate(4096);
    bytes
}

fn channel(waves: &[Wave]) -> Channel {
    Channel {
        product: "slipway".to_owned(),
        channel: "stable".to_owned(),
        version: "1.4.0".to_owned(),
        sequence: 7,
        issued: 1_790_000_000,
        expires: 1_792_592_000,
        locations: vec!["slipway_1.4.0.payload".to_owned(), "https://example.com/p".to_owned()],
        manifest_sha256: Digest([8; 32]),
        payload_len: 300 << 20,
        waves: waves.to_vec(),
    }
}

fn channel_file() -> Vec<u8> {
    seal(Kind::Channel, &channel(&WAVES).to_json(), &[SecretKey::from_seed([7; 32])])
        .expect("one key and a short body")
}

fn block_list(len: usize, starts: &[u64]) -> Vec<u8> {
    let list = BlockList::of(&vec![6; len], starts.iter().copied()).expect("the file is small");
    let file_len = u64::try_from(len).expect("the file is small");
    [&file_len.to_le_bytes()[..], &list.to_bytes()].concat()
}
