//! A function at the edge: it reads an HTTP request, whose body is an order in JSON, and answers with the bill.
//!
//! The host writes a request to `buffer()`, calls `handle` with its length, and reads the answer there. All that a
//! request allocates goes back at once when it ends; what the function remembers it allocates outside.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::io::Write as _;

use alligator_alloc::AlligatorAlloc;
use alligator_rt::ScopedHeap;
use serde_json::{Value, json};

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: ScopedHeap<AlligatorAlloc> = ScopedHeap::new(AlligatorAlloc::new());

/// No request gets more memory than this.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Bytes of a request, and of an answer.
const BUFFER_BYTES: usize = 64 << 10;

/// What only the one thread of this instance reaches.
struct Single<T>(UnsafeCell<T>);

// SAFETY: the module's memory is not shared.
unsafe impl<T> Sync for Single<T> {}

static BUFFER: Single<[u8; BUFFER_BYTES]> = Single(UnsafeCell::new([0; BUFFER_BYTES]));

/// How often each customer has ordered. It outlives requests.
static ORDERS: Single<BTreeMap<String, u64>> = Single(UnsafeCell::new(BTreeMap::new()));

/// What a host of WASI calls first, once. Without it, the linker would have all of it done and undone at each call.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes it, and it is called once, before all else.
    unsafe { __wasm_call_ctors() };
}

/// Where the host writes requests, and reads answers.
#[unsafe(no_mangle)]
pub extern "C" fn buffer() -> *mut u8 {
    BUFFER.0.get().cast()
}

/// Answers the request of `length` bytes in the buffer. Returns the answer's length.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
pub extern "C" fn handle(length: usize) -> usize {
    // SAFETY: one thread; what is returned is a number, the answer is copied to the buffer, and what stays is allocated
    // outside.
    let answered = unsafe { ALLOCATOR.in_request(REQUEST_BYTES_MAX, || answer(length)) };
    answered.unwrap_or(0)
}

/// Reads the request in the buffer, and writes the answer there.
fn answer(length: usize) -> usize {
    // SAFETY: the host calls one export at a time, so nobody else has the buffer.
    let buffer = unsafe { &mut *BUFFER.0.get() };
    let (status, body) = match bill(&buffer[..length.min(BUFFER_BYTES)]) {
        Ok(body) => ("200 OK", body),
        Err(reason) => ("400 Bad Request", json!({ "error": reason })),
    };
    let body = body.to_string();
    let mut left = &mut buffer[..];
    let written = write!(
        left,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let unused = left.len();
    if written.is_ok() {
        BUFFER_BYTES - unused
    } else {
        0
    }
}

/// The bill for an order.
fn bill(request: &[u8]) -> Result<Value, String> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(request).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(start) = status else {
        return Err("the request's head does not end".to_owned());
    };
    if parsed.method != Some("POST") || parsed.path != Some("/order") {
        return Err("POST /order is all there is".to_owned());
    }
    let order: Value =
        serde_json::from_slice(&request[start..]).map_err(|error| error.to_string())?;
    let customer = order["customer"].as_str().ok_or("no customer")?;
    let items = order["items"].as_array().ok_or("no items")?;
    let mut lines = Vec::new();
    let mut total = 0;
    for item in items {
        let count = item["count"].as_u64().ok_or("an item without a count")?;
        let cents = item["cents"].as_u64().ok_or("an item without a price")?;
        let price = count.checked_mul(cents).ok_or("too much")?;
        total += price;
        lines.push(json!({ "name": item["name"], "count": count, "price": price }));
    }
    Ok(
        json!({ "customer": customer, "orders": remember(customer), "lines": lines, "total": total }),
    )
}

/// How often `customer` has ordered, this order counted.
fn remember(customer: &str) -> u64 {
    // SAFETY: the host calls one export at a time, so nobody else has the map.
    let orders = unsafe { &mut *ORDERS.0.get() };
    // In a request, a new name and a longer map would be the request's.
    let count = |orders: &mut BTreeMap<String, u64>| {
        let count = orders.entry(customer.to_owned()).or_default();
        *count += 1;
        *count
    };
    #[cfg(target_family = "wasm")]
    return ALLOCATOR.outside(|| count(orders));
    #[cfg(not(target_family = "wasm"))]
    count(orders)
}
