//! What shows that functions are an allocator's: running them.
//!
//! Blocks are asked for, filled, resized and given back. What is accepted gives blocks that are aligned, inside the
//! memory, apart from each other, kept by `realloc`, zero where that is promised, and used again after they were given
//! back. No engine is in here: who has one implements [`Engine`].

use crate::names::{Parameter, Role};

/// Sizes asked for, in bytes.
const SIZES: [u64; 16] = [
    1, 24, 8, 100, 1000, 16, 4096, 40, 200, 7, 70_000, 64, 12, 300, 32, 2048,
];

/// The alignment asked for where there is a parameter for it, and expected everywhere.
const ALIGN: u64 = 8;

/// Elements asked for where there is a parameter for their number.
const COUNT: u64 = 4;

/// Blocks asked for and given back at once, to see whether memory is used again.
const ROUNDS: u64 = 100;

/// Bytes of each of these.
const ROUND_BYTES: u64 = 10_000;

/// Different addresses among these that an allocator gives at most that uses memory again.
const ADDRESSES_MAX: usize = 20;

/// Runs modules. A call must come to an end, whatever the code does, and cannot reach anything but the instance.
pub trait Engine {
    /// Compiles a module.
    ///
    /// # Errors
    /// When it cannot be run, in one line.
    fn load(&self, module: &[u8]) -> Result<Box<dyn Loaded>, String>;
}

/// A module that can run.
pub trait Loaded {
    /// Makes an instance, with imports that do nothing.
    ///
    /// # Errors
    /// When that fails, in one line.
    fn start(&self) -> Result<Box<dyn Instance>, String>;
}

/// A module that runs.
pub trait Instance {
    /// Calls an exported function with integers; the first result, or 0 where there is none.
    ///
    /// # Errors
    /// When it traps or takes too long, in one line.
    fn call(&mut self, name: &str, arguments: &[u64]) -> Result<u64, String>;

    /// The size of its memory, in bytes.
    fn memory_bytes(&mut self) -> u64;

    /// Reads memory; `None` where there is none.
    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>>;

    /// Writes memory. Whether there was some.
    fn write(&mut self, address: u64, bytes: &[u8]) -> bool;
}

/// A function to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Name of the export.
    pub name: String,
    /// What it is held to do.
    pub role: Role,
    /// What its parameters are held to mean.
    pub parameters: Vec<Parameter>,
}

/// Functions that are held to belong to one allocator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// Gives blocks; a `realloc` of nothing may do that.
    pub alloc: Option<Tried>,
    /// Takes them back.
    pub dealloc: Option<Tried>,
    /// Resizes them.
    pub realloc: Option<Tried>,
    /// Gives blocks of zeros.
    pub alloc_zeroed: Option<Tried>,
}

/// A block that was given.
#[derive(Debug, Clone, Copy)]
struct Block {
    address: u64,
    size: u64,
    seed: u8,
}

/// Tries a family. The number of calls, when it behaves as an allocator.
///
/// # Errors
/// What it does that no allocator does, in one line.
pub fn try_family(instance: &mut dyn Instance, family: &Family) -> Result<u32, String> {
    let mut trial = Trial {
        instance,
        family,
        live: Vec::new(),
        calls: 0,
    };
    trial.run()?;
    Ok(trial.calls)
}

struct Trial<'a> {
    instance: &'a mut dyn Instance,
    family: &'a Family,
    live: Vec<Block>,
    calls: u32,
}

impl Trial<'_> {
    fn run(&mut self) -> Result<(), String> {
        for size in SIZES {
            self.allocate(size)?;
        }
        self.look_at_all()?;
        self.resize_some()?;
        self.zeroed_some()?;
        self.give_back_every_second()?;
        for size in SIZES.into_iter().rev().step_by(2) {
            self.allocate(size)?;
        }
        self.look_at_all()?;
        while let Some(block) = self.live.pop() {
            self.give_back(block)?;
        }
        self.use_again()
    }

    fn call(&mut self, tried: &Tried, request: Request) -> Result<u64, String> {
        self.calls += 1;
        self.instance.call(&tried.name, &request.arguments(tried))
    }

    fn allocate(&mut self, size: u64) -> Result<(), String> {
        let family = self.family;
        let tried = family
            .alloc
            .as_ref()
            .or(family.realloc.as_ref())
            .or(family.alloc_zeroed.as_ref());
        let tried = tried.ok_or_else(|| "nothing gives memory".to_owned())?;
        let address = self.call(tried, Request::of(size))?;
        self.take(address, size)
    }

    /// Takes a block that was given, if it can be one.
    fn take(&mut self, address: u64, size: u64) -> Result<(), String> {
        if address == 0 {
            return Err(format!("no block of {size} bytes"));
        }
        if size >= ALIGN && !address.is_multiple_of(ALIGN) {
            return Err(format!(
                "a block at {address:#x}, which is not aligned to {ALIGN}"
            ));
        }
        let end = address.checked_add(size);
        if end.is_none_or(|end| end > self.instance.memory_bytes()) {
            return Err(format!("a block at {address:#x}, which is not in memory"));
        }
        let overlaps =
            |other: &&Block| address < other.address + other.size && other.address < address + size;
        if let Some(other) = self.live.iter().find(overlaps) {
            return Err(format!(
                "a block at {address:#x} in the one at {:#x}",
                other.address
            ));
        }
        let seed = self.calls.to_le_bytes()[0];
        let block = Block {
            address,
            size,
            seed,
        };
        if !self.instance.write(address, &block.contents(size)) {
            return Err(format!("a block at {address:#x}, which cannot be written"));
        }
        self.live.push(block);
        Ok(())
    }

    fn look_at_all(&mut self) -> Result<(), String> {
        for block in &self.live {
            if self.instance.read(block.address, block.size) != Some(block.contents(block.size)) {
                return Err(format!("the block at {:#x} has changed", block.address));
            }
        }
        Ok(())
    }

    fn resize_some(&mut self) -> Result<(), String> {
        let Some(realloc) = self.family.realloc.as_ref() else {
            return Ok(());
        };
        for (number, factor) in [(1, 3), (4, 2), (6, 4), (9, 50)] {
            let block = self.live.remove(number);
            let size = block.size * factor;
            self.resize(realloc, block, size)?;
        }
        let block = self.live.remove(3);
        let size = (block.size / 2).max(1);
        self.resize(realloc, block, size)?;
        self.look_at_all()
    }

    fn resize(&mut self, realloc: &Tried, block: Block, size: u64) -> Result<(), String> {
        let request = Request {
            pointer: block.address,
            old_size: block.size,
            size,
        };
        let address = self.call(realloc, request)?;
        let kept = block.size.min(size);
        if address != 0 && self.instance.read(address, kept) != Some(block.contents(kept)) {
            return Err(format!("what was at {:#x} is lost", block.address));
        }
        self.take(address, size)
    }

    fn zeroed_some(&mut self) -> Result<(), String> {
        let Some(zeroed) = self.family.alloc_zeroed.as_ref() else {
            return Ok(());
        };
        for size in [24, 500, 5000] {
            // So that what is taken again is not zero.
            if let Some(block) = self.live.pop() {
                self.give_back(block)?;
            }
            let address = self.call(zeroed, Request::of(size))?;
            let contents = self.instance.read(address, size).unwrap_or_default();
            if contents.iter().any(|byte| *byte != 0) {
                return Err(format!("a block at {address:#x} that is not zero"));
            }
            self.take(address, size)?;
        }
        self.look_at_all()
    }

    fn give_back_every_second(&mut self) -> Result<(), String> {
        let blocks = core::mem::take(&mut self.live);
        for (number, block) in blocks.into_iter().enumerate() {
            if number % 2 == 0 {
                self.give_back(block)?;
            } else {
                self.live.push(block);
            }
        }
        self.look_at_all()
    }

    fn give_back(&mut self, block: Block) -> Result<(), String> {
        let Some(dealloc) = self.family.dealloc.as_ref() else {
            return Ok(());
        };
        let request = Request {
            pointer: block.address,
            old_size: block.size,
            size: block.size,
        };
        self.call(dealloc, request).map(|_| ())
    }

    fn use_again(&mut self) -> Result<(), String> {
        if self.family.dealloc.is_none() {
            return Ok(());
        }
        let mut addresses = std::collections::BTreeSet::new();
        for _ in 0..ROUNDS {
            self.allocate(ROUND_BYTES)?;
            if let Some(block) = self.live.pop() {
                addresses.insert(block.address);
                self.give_back(block)?;
            }
        }
        if addresses.len() > ADDRESSES_MAX {
            return Err("memory that was given back is not used again".to_owned());
        }
        Ok(())
    }
}

impl Block {
    fn contents(self, length: u64) -> Vec<u8> {
        (0..length)
            .map(|at| at.to_le_bytes()[0] ^ self.seed | 1)
            .collect()
    }
}

/// What is asked of a function.
#[derive(Debug, Clone, Copy)]
struct Request {
    pointer: u64,
    old_size: u64,
    size: u64,
}

impl Request {
    fn of(size: u64) -> Self {
        Self {
            pointer: 0,
            old_size: 0,
            size,
        }
    }

    fn arguments(self, tried: &Tried) -> Vec<u64> {
        let is_counted = tried.parameters.contains(&Parameter::Count);
        tried
            .parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Size if is_counted => self.size.div_ceil(COUNT),
                Parameter::Size => self.size,
                Parameter::Count => COUNT,
                Parameter::Align => ALIGN,
                Parameter::Pointer => self.pointer,
                Parameter::OldSize => self.old_size,
                Parameter::Place | Parameter::Other => 0,
            })
            .collect()
    }
}
