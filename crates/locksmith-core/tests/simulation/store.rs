//! A modelled etcd: one key with a revision, and members that are machines.

use locksmith_core::semaphore::Semaphore;

#[derive(Debug)]
pub struct Store {
    pub value: Semaphore,
    pub revision: u64,
}

impl Store {
    /// Writes if nobody has written since `revision`.
    pub fn write(&mut self, revision: u64, value: Semaphore) -> bool {
        if revision != self.revision {
            return false;
        }
        // What is stored is bytes.
        self.value = Semaphore::parse(&value.to_bytes().unwrap()).unwrap();
        self.revision += 1;
        true
    }
}
