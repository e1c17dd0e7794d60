//! C's malloc and a Rust heap in one program, taking turns.

use std::ffi::c_void;

#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

/// A block of C's.
struct CBlock(*mut u8, usize);

impl CBlock {
    fn new(size: usize, mark: u8) -> Self {
        // SAFETY: any size may be asked for.
        let block: *mut u8 = unsafe { malloc(size) }.cast();
        assert!(!block.is_null(), "C has no {size} bytes");
        // SAFETY: the block is as long as that.
        unsafe { block.write_bytes(mark, size) };
        Self(block, size)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `new` has written all of it.
        unsafe { std::slice::from_raw_parts(self.0, self.1) }
    }
}

impl Drop for CBlock {
    fn drop(&mut self) {
        // SAFETY: `malloc` gave it.
        unsafe { free(self.0.cast()) };
    }
}

fn main() {
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    for turn in 0..6000 {
        let size = 1 + turn * 7919 % 20_000;
        rust.push(vec![0x11_u8; size]);
        c.push(CBlock::new(size, 0x22));
        if turn % 2 == 0 {
            rust.swap_remove(turn * 31 % rust.len());
            c.swap_remove(turn * 17 % c.len());
        }
    }
    let damaged = rust
        .iter()
        .filter(|block| block.iter().any(|&byte| byte != 0x11))
        .count()
        + c.iter()
            .filter(|block| block.bytes().iter().any(|&byte| byte != 0x22))
            .count();
    assert_eq!(damaged, 0, "damaged blocks");
    println!("no block is damaged");
}
