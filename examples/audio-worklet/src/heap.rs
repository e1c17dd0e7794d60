//! The allocator, and how memory is brought in beforehand.

#[cfg(all(target_family = "wasm", feature = "talc"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(all(target_family = "wasm", feature = "alligator"))]
#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

/// The memory grows in `reserve` alone.
#[cfg(feature = "alligator-fixed")]
struct Fixed;

#[cfg(feature = "alligator-fixed")]
impl alligator_alloc::Growth for Fixed {
    const ON_DEMAND: bool = false;
    const HAS_HOOK: bool = false;
}

#[cfg(all(target_family = "wasm", feature = "alligator-fixed"))]
#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc<alligator_alloc::WasmMemory<Fixed>> =
    alligator_alloc::AlligatorAlloc::new();

/// Brings memory in.
#[cfg(all(
    target_family = "wasm",
    any(feature = "alligator", feature = "alligator-fixed")
))]
pub fn reserve(bytes: usize) -> bool {
    bytes == 0 || ALLOCATOR.reserve(bytes)
}

/// Brings memory in as far as that can be done without an interface for it: by a block that is freed again.
#[cfg(not(all(
    target_family = "wasm",
    any(feature = "alligator", feature = "alligator-fixed")
)))]
pub fn reserve(bytes: usize) -> bool {
    let mut block = Vec::<u8>::new();
    let is_there = block.try_reserve_exact(bytes).is_ok();
    // Otherwise the compiler sees that nobody needs the block.
    std::hint::black_box(block.as_mut_ptr());
    is_there
}
