//! Files that the user writes.

use super::{File, Inputs, Plan};

pub(super) fn files(inputs: Inputs<'_>, plan: &mut Plan) {
    for file in &inputs.config.write_files {
        let (path, content, mode) = (file.path.clone(), file.content.clone(), file.mode);
        plan.push(File { path, content, mode, owner: file.owner.clone(), owned: true });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::lines;

    #[test]
    fn files_have_their_mode_and_owner() {
        assert_eq!(
            lines(
                "write_files: [{path: /a, content: xy, permissions: \"0600\", owner: \"a:b\"}, {path: /b}]\n"
            ),
            ["write /a (0600 a:b, 2 bytes)", "write /b (0644 root, 0 bytes)"]
        );
    }
}
