//! The page as an engine: it runs what was found, by the browser's own WebAssembly. It cannot stop a call that does not
//! end; who looks on, the page's main thread, ends the worker then.

use alligator_find::confirm::{Engine, Instance, Loaded};

use crate::imports::interface;

#[link(wasm_import_module = "page")]
unsafe extern "C" {
    /// Says what is being done, and how much of it.
    fn progress(stage: u32);
    /// Compiles a module; its number, or -1. `interface` is JSON.
    fn load(module: *const u8, length: usize, interface: *const u8, interface_length: usize)
    -> i32;
    /// Makes an instance; its number, or -1.
    fn start(module: i32) -> i32;
    /// Calls an export; 0 if it has trapped. The result is written as 64 bits.
    fn call(
        instance: i32,
        name: *const u8,
        length: usize,
        arguments: *const u64,
        count: usize,
        result: *mut u64,
    ) -> u32;
    /// The bytes of its memory.
    fn memory_bytes(instance: i32) -> f64;
    /// Copies from its memory; 0 if there is none there.
    fn read(instance: i32, address: f64, to: *mut u8, length: usize) -> u32;
    /// Copies into its memory; 0 if there is none there.
    fn write(instance: i32, address: f64, from: *const u8, length: usize) -> u32;
    /// Gives an instance, or a module, up.
    fn forget(number: i32);
    /// Takes what a panic says: the tools end here.
    fn panicked(text: *const u8, length: usize);
    /// The line that says why the last of these failed: copies at most so many bytes, and says how many.
    fn why(to: *mut u8, length: usize) -> usize;
}

/// What is being done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Finding = 0,
    Trying = 1,
    Proving = 2,
    Rewriting = 3,
    Reporting = 4,
}

/// Says it.
pub(crate) fn say(stage: Stage) {
    // SAFETY: the import takes a number.
    unsafe { progress(stage as u32) }
}

/// Has the page told what a panic says.
pub(crate) fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        // SAFETY: the text is there for so many bytes.
        unsafe { panicked(text.as_ptr(), text.len()) }
    }));
}

/// Why the last call failed.
fn reason() -> String {
    let mut line = vec![0; 400];
    // SAFETY: the vector has so many bytes.
    let length = unsafe { why(line.as_mut_ptr(), line.len()) };
    line.truncate(length);
    String::from_utf8_lossy(&line).into_owned()
}

/// The browser.
#[derive(Debug)]
pub(crate) struct Browser;

/// A number that the page knows.
struct Number(i32);

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: the number is not used again.
        unsafe { forget(self.0) }
    }
}

impl Engine for Browser {
    fn load(&self, module: &[u8]) -> Result<Box<dyn Loaded>, String> {
        say(Stage::Trying);
        let interface = serde_json::to_string(&interface(module)?);
        let interface = interface.map_err(|error| error.to_string())?;
        // SAFETY: both are there for so many bytes.
        let number = unsafe {
            load(
                module.as_ptr(),
                module.len(),
                interface.as_ptr(),
                interface.len(),
            )
        };
        if number < 0 {
            return Err(reason());
        }
        Ok(Box::new(Number(number)))
    }
}

impl Loaded for Number {
    fn start(&self) -> Result<Box<dyn Instance>, String> {
        // SAFETY: the import takes a number.
        let number = unsafe { start(self.0) };
        if number < 0 {
            return Err(reason());
        }
        Ok(Box::new(Number(number)))
    }
}

impl Instance for Number {
    fn call(&mut self, name: &str, arguments: &[u64]) -> Result<u64, String> {
        let mut result = 0;
        // SAFETY: name and arguments are there for so many bytes and numbers, and the result is a place for one.
        let is_back = unsafe {
            call(
                self.0,
                name.as_ptr(),
                name.len(),
                arguments.as_ptr(),
                arguments.len(),
                &raw mut result,
            )
        };
        if is_back == 0 {
            Err(reason())
        } else {
            Ok(result)
        }
    }

    fn memory_bytes(&mut self) -> u64 {
        // SAFETY: the import takes a number.
        let bytes = unsafe { memory_bytes(self.0) };
        bytes as u64
    }

    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(length).ok()?;
        if address.checked_add(length as u64)? > self.memory_bytes() {
            return None;
        }
        let mut bytes = vec![0; length];
        // SAFETY: the vector has so many bytes.
        let is_there = unsafe { read(self.0, address as f64, bytes.as_mut_ptr(), length) };
        (is_there == 1).then_some(bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        // SAFETY: the bytes are there.
        unsafe { write(self.0, address as f64, bytes.as_ptr(), bytes.len()) == 1 }
    }
}
