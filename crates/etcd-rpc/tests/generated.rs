//! The committed code of etcd's messages is what `proto/etcd.proto` gives.

use std::env;
use std::fs;
use std::path::Path;

const HEAD: &str =
    "//! Messages and clients of etcd's v3 API, made from proto/etcd.proto by tests/generated.rs.\n\n";

#[test]
fn the_committed_code_is_what_the_protobuf_file_gives() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let messages = protox::compile(["etcd.proto"], [here.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(messages)
        .unwrap();
    let made = fs::read_to_string(out.path().join("etcdserverpb.rs")).unwrap();
    let made = format!("{HEAD}{made}");
    let committed = here.join("src/generated.rs");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&committed, made).unwrap();
        return;
    }
    let is = fs::read_to_string(&committed).unwrap();
    assert!(
        is == made,
        "src/generated.rs is not what proto/etcd.proto gives: `UPDATE_EXPECT=1 cargo test -p etcd-rpc --test generated`"
    );
}
