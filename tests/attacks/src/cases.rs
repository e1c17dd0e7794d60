//! The known attacks on heaps, each in all the variants in which an allocator could fall for it.
//!
//! They come from allocators with headers and links beside or in the blocks. Where a header is, what its flags
//! mean and which link comes first differs between allocators, so a case is a program for every choice: an
//! allocator withstands it if none of them gives a primitive. *Source:* Shellphish, how2heap; Phantasmal
//! Phantasmagoria: The Malloc Maleficarum, 2005.

use super::program::{Action, Place, Program, Value};

/// One attack.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Programs that are different ways to do it.
    pub(crate) variants: Vec<Program>,
}

/// Sizes of blocks: with 4 bytes of header they fill their 8 or 16 bytes, without they do as well.
const SIZES: [u32; 12] = [12, 16, 24, 28, 60, 64, 124, 128, 252, 1020, 1024, 4092];

/// What a header's lowest bits may say.
const FLAGS: [u32; 4] = [0, 1, 2, 3];

/// The case whose attacker no guard can stop.
pub(crate) const CONTENTS_KNOWN: &str = "overflow, contents known";

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let case = |name, variants| Case { name, variants };
    vec![
        case("unsafe unlink", unsafe_unlink()),
        case("house of force", house_of_force()),
        case("house of spirit", house_of_spirit()),
        case("fastbin dup", fastbin_dup()),
        case("free list poisoning", free_list_poisoning()),
        case("unsorted bin, house of lore", unsorted_bin()),
        case("overlapping chunks", overlapping_chunks()),
        case("poisoned null byte", poisoned_null_byte()),
        case("house of einherjar", house_of_einherjar()),
        case("free inside a block", free_inside()),
        case("overflow into tables", overflow_into_tables()),
        case("off by one into tables", off_by_one_into_tables()),
        case(CONTENTS_KNOWN, overflow_with_contents_known()),
        case("stale write to tables", stale_write_to_tables()),
        case("huge sizes and alignments", huge()),
        case("calloc overflow", calloc_overflow()),
    ]
}

fn number(number: u32) -> Value {
    Value::Number(number)
}

fn target(plus: i32) -> Value {
    Value::Address(Place::Target, plus)
}

fn victim(plus: i32) -> Value {
    Value::Address(Place::Victim, plus)
}

fn allocate(block: usize, size: u32) -> Action {
    allocate_value(block, number(size), 8)
}

fn allocate_value(block: usize, size: Value, align: u32) -> Action {
    Action::Allocate {
        block,
        size,
        align,
        zeroed: false,
    }
}

fn free(block: usize) -> Action {
    Action::Free { block }
}

/// Writes just so many words behind a block.
fn overflow(block: usize, words: Vec<Value>) -> Action {
    let bytes = u32::try_from(words.len() * 4).unwrap_or(u32::MAX);
    Action::Overflow {
        block,
        bytes,
        words,
    }
}

/// `count` blocks of `size` from number `first` on.
fn row(first: usize, count: usize, size: u32) -> impl Iterator<Item = Action> {
    (first..first + count).map(move |block| allocate(block, size))
}

/// Words before those that count, since nobody knows how far away a header is.
fn padded(padding: usize, words: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let padding = core::iter::repeat_n(number(0), padding);
    padding.chain(words).collect()
}

/// A neighbour's header is made to say "free", with links of the attacker's choice.
fn unsafe_unlink() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES {
        for (padding, flags, freed) in choices(3, &FLAGS, 3) {
            for links in [[target(16), victim(16)], [victim(16), target(16)]] {
                let [first, second] = links;
                let head = number((size + 4).next_multiple_of(8) | flags);
                let mut program: Program = row(0, 4, size).collect();
                program.push(overflow(0, padded(padding, [head, first, second])));
                program.push(free(freed));
                program.extend(row(4, 2, size));
                variants.push(program);
            }
        }
    }
    variants
}

/// Every padding below a number, each of the flags, and every block below a number.
fn choices(
    paddings: usize,
    flags: &[u32],
    blocks: usize,
) -> impl Iterator<Item = (usize, u32, usize)> + '_ {
    (0..paddings).flat_map(move |padding| {
        flags
            .iter()
            .flat_map(move |&flags| (0..blocks).map(move |block| (padding, flags, block)))
    })
}

/// The size of what is left of the heap becomes endless, and a huge request leads to the target.
fn house_of_force() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES {
        for (words, less) in [(1, 16), (1, 24), (2, 16), (4, 32), (8, 64)] {
            for head in [u32::MAX, !7, i32::MAX as u32] {
                let distance = Value::Distance {
                    from: Place::Block(0),
                    to: Place::Target,
                    plus: -less - i32::try_from(size).unwrap_or(0),
                };
                variants.push(vec![
                    allocate(0, size),
                    overflow(0, vec![number(head); words]),
                    allocate_value(1, distance, 8),
                    allocate(2, 64),
                    allocate(3, 64),
                ]);
            }
        }
    }
    variants
}

/// The program gives back a block that it has forged in its own static.
fn house_of_spirit() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().filter(|&size| size < 900) {
        for (at, flags, padding) in [8, 16, 32].into_iter().flat_map(|at| {
            FLAGS
                .into_iter()
                .flat_map(move |flags| [1, 2].map(move |padding| (at, flags, padding)))
        }) {
            let head = (size + 4).next_multiple_of(8);
            variants.push(vec![
                allocate(0, size),
                // The header of the forged block, and of the one that seems to follow.
                Action::Forge {
                    at: at - 4 * padding,
                    words: vec![number(head | flags); padding as usize],
                },
                Action::Forge {
                    at: at + head - 4 * padding,
                    words: vec![number(head | flags); 4],
                },
                Action::InvalidFree {
                    pointer: target(at.cast_signed()),
                    size: number(size),
                    align: 8,
                },
                allocate(1, size),
                allocate(2, size),
            ]);
        }
    }
    variants
}

/// One block is given back twice, with others between.
fn fastbin_dup() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().chain([40_000, 100_000]) {
        // Blocks given back before, and between.
        for (before, between) in [(0, 0), (0, 1), (8, 1), (30, 0), (30, 1), (30, 30)] {
            let count = before + between + 2;
            let mut program: Program = row(0, count, size).collect();
            program.extend((1..=before).map(free));
            program.push(free(0));
            program.extend((before + 1..=before + between).map(free));
            program.push(Action::FreeAgain {
                block: 0,
                stale: false,
            });
            program.extend(row(count, count + 2, size));
            variants.push(program);
        }
    }
    variants
}

/// A freed block's link is made to lead to the target.
fn free_list_poisoning() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().chain([40_000]) {
        for (at, plus) in (0..4).flat_map(|word| [0, 8, -8, 16].map(|plus| (word * 4, plus))) {
            variants.push(
                row(0, 4, size)
                    .chain([
                        free(1),
                        free(0),
                        Action::WriteAfterFree {
                            block: 0,
                            at,
                            words: vec![target(plus + 16)],
                        },
                    ])
                    .chain(row(4, 4, size))
                    .collect(),
            );
        }
    }
    variants
}

/// Both links of a freed block lead to a block forged in the target, whose links lead back.
fn unsorted_bin() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().chain([40_000]) {
        for plus in [0, 8, 16] {
            for links in [[target(plus), victim(16)], [victim(16), target(plus)]] {
                variants.push(vec![
                    allocate(0, size),
                    allocate(1, size),
                    allocate(2, size),
                    Action::Forge {
                        at: 0,
                        words: vec![
                            number(size | 1),
                            number(size | 1),
                            Value::Address(Place::Block(1), -8),
                            Value::Address(Place::Block(1), -8),
                        ],
                    },
                    free(1),
                    Action::WriteAfterFree {
                        block: 1,
                        at: 0,
                        words: links.to_vec(),
                    },
                    allocate(3, 2 * size),
                    allocate(4, size),
                    allocate(5, size),
                ]);
            }
        }
    }
    variants
}

/// A neighbour's header is made to say that it is as long as itself and the one after it.
fn overlapping_chunks() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().chain([40_000]) {
        for (padding, flags, more) in choices(3, &FLAGS, 3) {
            let long = 2 * (size + 4).next_multiple_of(8) + 8 * u32::try_from(more).unwrap_or(0);
            let mut program: Program = row(0, 4, size).collect();
            program.push(overflow(0, padded(padding, [number(long | flags)])));
            program.push(free(1));
            program.push(allocate(4, 2 * size));
            program.extend(row(5, 3, size));
            variants.push(program);
        }
    }
    variants
}

/// The zero at the end of a string shortens the free block after it, and the block after that does not learn
/// of what is allocated there.
fn poisoned_null_byte() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in [12, 20, 24, 28, 60, 124, 252, 1020] {
        for (large, small) in [(508, 124), (520, 128), (2044, 252), (4092, 1020), (300, 60)] {
            variants.push(vec![
                allocate(0, size),
                allocate(1, large),
                allocate(2, large),
                allocate(3, size),
                free(1),
                Action::OffByOne { block: 0, byte: 0 },
                allocate(4, small),
                allocate(5, small),
                free(4),
                free(2),
                allocate(6, 2 * large),
                allocate(7, large),
            ]);
        }
    }
    variants
}

/// The next block's header comes to say "the one before is free", by the zero at the end of a string or by a few
/// words too many, and where that one is the block's last word says: inside the block, where one is forged.
fn house_of_einherjar() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in [60, 124, 252, 508, 1020] {
        for (inside, more) in [0_u32, 8, 16]
            .into_iter()
            .flat_map(|at| [0, 8].map(|more| (at, more)))
        {
            let distance = size - 4 - inside + more;
            let forged = Value::Address(Place::Block(0), inside.cast_signed());
            let heads = FLAGS.map(|flags| overflow(0, vec![number((size + 4) | flags)]));
            for bug in heads
                .into_iter()
                .chain([Action::OffByOne { block: 0, byte: 0 }])
            {
                variants.push(vec![
                    allocate(0, size),
                    allocate(1, size),
                    allocate(2, 60),
                    Action::Fill {
                        block: 0,
                        at: inside,
                        words: vec![number(distance), number(distance | 2), forged, forged],
                    },
                    Action::Fill {
                        block: 0,
                        at: size - 4,
                        words: vec![number(distance)],
                    },
                    bug,
                    free(1),
                    allocate(3, size + 60),
                    allocate(4, size),
                    allocate(5, 2000),
                ]);
            }
        }
    }
    variants
}

/// An address inside a block is given back, as a block of every size.
fn free_inside() -> Vec<Program> {
    let mut variants = Vec::new();
    for size in SIZES.into_iter().chain([40_000, 300_000]) {
        for plus in [1, 4, 8, 16, 32, 64, 2048, 4096, 65_536] {
            for freed_size in [16, 32, 64, 1024, 2048, 10_000, size] {
                variants.push(vec![
                    allocate(0, size),
                    allocate(1, size),
                    Action::InvalidFree {
                        pointer: Value::Address(Place::Block(0), plus),
                        size: number(freed_size),
                        align: 8,
                    },
                    allocate(2, freed_size),
                    allocate(3, freed_size),
                    allocate(4, 2 * freed_size),
                ]);
            }
        }
    }
    variants
}

/// A heap large enough for several tables of headers, if it keeps such, and a long overflow from each block.
fn overflow_into_tables() -> Vec<Program> {
    let fillings = [
        vec![number(0)],
        vec![number(u32::MAX)],
        vec![target(0)],
        vec![number(u32::MAX), number(u32::MAX), number(64), target(0)],
        vec![Value::Address(Place::Block(0), 0)],
    ];
    let mut variants = Vec::new();
    for (size, count) in [(30_000, 48), (60_000, 30), (120_000, 20), (4000, 300)] {
        for words in &fillings {
            for from in [0, count / 2, count - 1] {
                for bytes in [4096, 70_000, 1_200_000] {
                    let mut program: Program = row(0, count, size).collect();
                    program.push(Action::Overflow {
                        block: from,
                        bytes,
                        words: words.clone(),
                    });
                    program.extend(row(count, 3, 60));
                    program.extend((0..count).step_by(2).map(free));
                    program.extend(row(count + 3, count / 2, size / 2));
                    program.extend((1..count).step_by(2).map(free));
                    program.extend(row(count + 3 + count / 2, 4, size * 2));
                    variants.push(program);
                }
            }
        }
    }
    variants
}

/// Blocks that fill their runs to the last byte, one of them right below a table of headers if the allocator
/// keeps such: the byte after it is a part of the first header. What that header describes are slots, some of
/// them given back.
fn off_by_one_into_tables() -> Vec<Program> {
    const SLOTS: usize = 96;
    let mut variants = Vec::new();
    // Where the slots come to lie, in steps of 2 KiB: one of these is right.
    for (long, short) in (29..33)
        .chain(59..65)
        .flat_map(|long| (0..8).map(move |short| (long, short)))
    {
        let runs = long + short;
        let mut program: Program = row(0, long, 16_384).collect();
        program.extend(row(long, short, 2048));
        program.extend(row(runs, SLOTS, 64));
        program.extend((runs..runs + SLOTS).step_by(2).map(free));
        program.extend((0..runs).map(|block| Action::OffByOne { block, byte: 0xFF }));
        program.extend(row(runs + SLOTS, SLOTS, 64));
        variants.push(program);
    }
    variants
}

/// A long overflow by an attacker who knows what stands there, and changes one word of every header only: no guard
/// whose value is known can see it.
fn overflow_with_contents_known() -> Vec<Program> {
    let values = [
        number(0),
        number(64),
        number(u32::MAX),
        target(0),
        victim(0),
        Value::Address(Place::Block(1), 0),
        Value::Address(Place::HeapBase, 65_536),
    ];
    let mut variants = Vec::new();
    for (size, count) in [(32_768, 48), (65_536, 28)] {
        // A header of ours has ten words.
        for (position, value) in (0..10).flat_map(|word| values.map(|value| (word, value))) {
            let mut words = vec![Value::Kept; 10];
            words[position] = value;
            let mut program: Program = row(0, count, size).collect();
            program.push(Action::Overflow {
                block: 2,
                bytes: 32 * size,
                words,
            });
            program.extend(row(count, 3, 60));
            program.extend((0..count).step_by(2).map(free));
            program.extend(row(count + 3, count / 2, size / 2));
            program.extend((1..count).step_by(2).map(free));
            program.extend(row(count + 3 + count / 2, 4, size * 2));
            variants.push(program);
        }
    }
    variants
}

/// A large block is given back, the heap grows and may keep its tables there, and the former owner writes.
fn stale_write_to_tables() -> Vec<Program> {
    let mut variants = Vec::new();
    for freed_size in [6000, 8192, 16_000, 33_000, 70_000] {
        for word in [number(u32::MAX), target(0), number(0), number(64)] {
            for size in [40_000, 100_000] {
                let mut program = vec![allocate(0, freed_size), allocate(1, 60)];
                program.push(free(0));
                program.extend(row(2, 12, size));
                program.push(Action::WriteAfterFree {
                    block: 0,
                    at: 0,
                    words: vec![word; freed_size as usize / 4],
                });
                program.extend((2..14).step_by(2).map(free));
                program.extend(row(14, 6, size / 2));
                program.extend((3..14).step_by(2).map(free));
                program.extend(row(20, 6, 60));
                program.extend(row(26, 4, size));
                variants.push(program);
            }
        }
    }
    variants
}

/// No bug, but requests at the edge of what can be.
fn huge() -> Vec<Program> {
    let largest = i32::MAX as u32;
    let sizes = [
        largest,
        largest - 1,
        largest - 7,
        largest - 2047,
        largest - 65_535,
        largest - 65_536,
        largest / 2,
        (16 << 20) - 8,
        (30 << 20) + 1,
        1,
    ];
    let mut variants = Vec::new();
    for size in sizes {
        for align in [1, 8, 16, 4096, 65_536, 1 << 20, 1 << 24, 1 << 29, 1 << 30] {
            for zeroed in [false, true] {
                variants.push(vec![
                    allocate(0, 60),
                    Action::Allocate {
                        block: 1,
                        size: number(size),
                        align,
                        zeroed,
                    },
                    Action::Allocate {
                        block: 2,
                        size: number(1000),
                        align,
                        zeroed,
                    },
                    Action::Reallocate {
                        block: 2,
                        size: number(size),
                    },
                    Action::Reallocate {
                        block: 0,
                        size: number(size),
                    },
                    free(1),
                    allocate(3, 5000),
                    free(2),
                    allocate(4, 5000),
                    free(0),
                    allocate(5, 60),
                ]);
            }
        }
    }
    variants
}

/// Counts and sizes whose product does not fit.
fn calloc_overflow() -> Vec<Program> {
    let pairs = [
        (0x1_0000, 0x1_0000),
        (0x1_0000, 0x1_0001),
        (0x1_0001, 0x1_0000),
        (0x8000_0000, 2),
        (2, 0x8000_0008),
        (0x4000_0001, 4),
        (16, 0x1000_0001),
        (u32::MAX, u32::MAX),
        (u32::MAX, 1),
        (3, 0x5555_5556),
    ];
    pairs
        .map(|(count, size)| {
            vec![
                allocate(0, 60),
                Action::Calloc {
                    block: 1,
                    count,
                    size,
                },
                allocate(2, 60),
            ]
        })
        .to_vec()
}
