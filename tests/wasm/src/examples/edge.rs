//! `examples/edge`: many requests on one instance, whose memory stays as it is.

use alligator_meter::counting_engine;
use alligator_tools::guest;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasmtime::{Module, TypedFunc};

use super::{Running, build};

/// Requests in all.
const REQUESTS: u64 = 100_000;

/// Requests after which the memory is as long as it will ever be: every kind has come.
const WARM: u64 = 1_000;

/// How much more the same request may cost in the end than after `WARM`, in thousandths.
const DEARER_MAX: u64 = 10;

/// Runs the example.
pub(super) fn run() -> Result<()> {
    guest::ensure_target(guest::WASI)?;
    let engine = counting_engine()?;
    let module = Module::from_file(&engine, build("edge", guest::WASI, None)?)?;
    let mut running = Running::new(&engine, &module)?;
    let initialize = running.function::<(), ()>("_initialize")?;
    running.call(&initialize, ())?;
    let buffer = running.function::<(), u32>("buffer")?;
    let (buffer, _) = running.call(&buffer, ())?;
    let handle = running.function::<u32, u32>("handle")?;
    let mut server = Server {
        running,
        buffer,
        handle,
    };
    let mut warm = (0, 0);
    let mut last = (0, 0);
    for number in 0..REQUESTS {
        let cost = server.serve(number)?;
        if number % WARM == 1 {
            last = (server.running.pages()?, cost);
            if number / WARM == 1 {
                warm = last;
            }
        }
    }
    println!(
        "{REQUESTS} requests: {} pages after {WARM} and {} in the end; the same request cost {} instructions and {}",
        warm.0, last.0, warm.1, last.1
    );
    ensure!(warm.0 == last.0, "the memory has become longer");
    ensure!(
        last.1 <= warm.1 + warm.1 * DEARER_MAX / 1000,
        "requests have become dearer"
    );
    Ok(())
}

/// The function, and where it reads and writes.
struct Server {
    running: Running,
    buffer: u32,
    handle: TypedFunc<u32, u32>,
}

impl Server {
    /// Sends request number `number`, and looks at the answer. Returns the instructions it took.
    fn serve(&mut self, number: u64) -> Result<u64> {
        // Now and then one that is long, and one that is none.
        let count = match number % WARM {
            500 => 900,
            1 => 7,
            _ => number % 12,
        };
        let items: Vec<_> = (0..count)
            .map(|at| json!({ "name": format!("part {at}"), "count": at + 1, "cents": 250 }))
            .collect();
        let customer = format!("customer {}", number % 50);
        let body = match number % WARM {
            700 => "{\"customer\":".to_owned(),
            _ => json!({ "customer": customer, "items": items }).to_string(),
        };
        let request = format!("POST /order HTTP/1.1\r\nhost: edge\r\n\r\n{body}");
        self.running.write(self.buffer, request.as_bytes())?;
        let length = u32::try_from(request.len())?;
        let (length, cost) = self.running.call(&self.handle, length)?;
        let answer = self.running.read(self.buffer, length as usize)?;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let body: Value = serde_json::from_str(body)?;
        if number % WARM == 700 {
            ensure!(head.starts_with("HTTP/1.1 400"), "request {number}: {head}");
            return Ok(cost);
        }
        // The requests that were none had a customer who orders in vain.
        let vain = u64::from(number.is_multiple_of(50)) * ((number + 300) / WARM);
        ensure!(
            head.starts_with("HTTP/1.1 200")
                && body["total"] == 250 * count * (count + 1) / 2
                && body["customer"] == customer
                && body["orders"] == number / 50 + 1 - vain,
            "request {number}: {answer}"
        );
        Ok(cost)
    }
}
