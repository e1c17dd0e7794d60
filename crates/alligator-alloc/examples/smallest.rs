//! The smallest program: two lines make Alligator the allocator of a WebAssembly module.
//!
//! ```text
//! cargo build -p alligator-alloc --release --example smallest --target wasm32-unknown-unknown
//! ```

#[cfg(target_family = "wasm")] // Elsewhere the example is built, too, on std's allocator.
#[global_allocator]
static ALLOCATOR: alligator_alloc::AlligatorAlloc = alligator_alloc::AlligatorAlloc::new();

/// How many primes there are below `limit`.
#[unsafe(no_mangle)]
pub extern "C" fn primes_below(limit: u32) -> u32 {
    let mut primes: Vec<u32> = Vec::new();
    for number in 2..limit {
        let mut divisors = primes.iter().take_while(|&&prime| prime * prime <= number);
        if divisors.all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    u32::try_from(primes.len()).unwrap_or(u32::MAX)
}
