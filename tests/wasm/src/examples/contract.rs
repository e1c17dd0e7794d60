//! `examples/contract`: no call costs more than its proved price, however the heap has been used.

use alligator_bound::{Options as BoundOptions, analyze};
use alligator_meter::counting_engine;
use alligator_tools::guest;
use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::Module;

use super::{Numbers, Running, build};

/// What is called.
const CALLS: [&str; 3] = ["make", "change", "withdraw"];

/// Calls in all, and in each of the parts that are compared.
const COUNT: usize = 200_000;
const PART: usize = COUNT / 2;

/// Calls until the heap is filled, and until it is emptied again.
const PHASE: usize = COUNT / 40;

/// Bytes of memory that the contract is set up with: about what its offers need, so that some calls are refused.
const BYTES: u32 = 400 << 10;

/// An offer that should be there.
struct Offer {
    number: u32,
    bytes: u32,
    mark: u8,
}

/// Runs the example.
pub(super) fn run() -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let path = build("contract", guest::TARGET, None)?;
    let prices = prices(&std::fs::read(&path)?)?;
    let engine = counting_engine()?;
    let module = Module::from_file(&engine, &path)?;
    let mut running = Running::new(&engine, &module)?;
    let init = running.function::<u32, u32>("init")?;
    let (is_set_up, _) = running.call(&init, BYTES)?;
    ensure!(is_set_up == 1, "no memory");
    let pages = running.pages()?;
    let spent = call_all(&mut running)?;
    ensure!(running.pages()? == pages, "a call has grown the memory");
    for (index, name) in CALLS.into_iter().enumerate() {
        let [first, second] = spent[index];
        let dearest = first.dearest.max(second.dearest);
        let price = prices[index];
        println!(
            "{name:<9} price {price:>5}, dearest call {dearest:>5}; on average {} in the first half, {} in the second",
            first.mean(),
            second.mean()
        );
        ensure!(dearest <= price, "{name} costs more than its price");
        ensure!(
            first.mean().abs_diff(second.mean()) * 20 <= first.mean(),
            "{name}: what a call costs depends on what was called before"
        );
    }
    Ok(())
}

/// What calls of one kind have cost.
#[derive(Clone, Copy, Default)]
struct Spent {
    total: u64,
    calls: u64,
    dearest: u64,
}

impl Spent {
    fn add(&mut self, cost: u64) {
        self.total += cost;
        self.calls += 1;
        self.dearest = self.dearest.max(cost);
    }

    fn mean(self) -> u64 {
        self.total / self.calls.max(1)
    }
}

/// The proved price of each call: the longest path, refusals included.
fn prices(module: &[u8]) -> Result<[u64; 3]> {
    let options = BoundOptions {
        entries: CALLS.map(str::to_owned).to_vec(),
        ..BoundOptions::default()
    };
    let report = analyze(module, &options).map_err(|error| anyhow!("{error}"))?;
    let mut prices = [0; 3];
    for (price, entry) in prices.iter_mut().zip(&report.entries) {
        let figures = [&entry.without_growth, &entry.refused, &entry.with_growth];
        for figure in figures.into_iter().flatten() {
            let bound = figure.bound;
            *price = bound
                .with_context(|| format!("{} has no bound", entry.name))?
                .max(*price);
        }
    }
    ensure!(prices.iter().all(|&price| price > 0), "a call has no price");
    Ok(prices)
}

/// Makes, changes and withdraws offers. What was spent on each kind of call, in each half.
fn call_all(running: &mut Running) -> Result<[[Spent; 2]; 3]> {
    let input = running.function::<(), u32>("input")?;
    let (input, _) = running.call(&input, ())?;
    let make = running.function::<u32, i32>("make")?;
    let change = running.function::<(u32, u32), u32>("change")?;
    let withdraw = running.function::<u32, u32>("withdraw")?;
    let mut numbers = Numbers(24);
    let mut offers: Vec<Offer> = Vec::new();
    let mut spent = [[Spent::default(); 2]; 3];
    let (mut refused, mut mark) = (0, 0_u8);
    for call in 0..COUNT {
        // The heap is filled to the brim and nearly emptied again, in turn.
        let is_filling = (call / PHASE).is_multiple_of(2);
        let kind = match numbers.below(10) {
            0 | 1 => 1,
            2..=4 => 2 * usize::from(is_filling),
            _ => 2 * usize::from(!is_filling),
        };
        let doublings = numbers.below(13);
        let bytes = numbers.below(1 << doublings) + 1;
        mark = mark.wrapping_add(1);
        let cost = if kind == 0 {
            running.write(input, &vec![mark; bytes as usize])?;
            let (number, cost) = running.call(&make, bytes)?;
            match u32::try_from(number) {
                Ok(number) => offers.push(Offer {
                    number,
                    bytes,
                    mark,
                }),
                Err(_) => refused += 1,
            }
            cost
        } else if offers.is_empty() {
            continue;
        } else {
            let index = numbers.below(u32::try_from(offers.len())?) as usize;
            check(running, &offers[index])?;
            if kind == 1 {
                running.write(input, &vec![mark; bytes as usize])?;
                let number = offers[index].number;
                let (is_changed, cost) = running.call(&change, (number, bytes))?;
                if is_changed == 1 {
                    offers[index] = Offer {
                        number,
                        bytes,
                        mark,
                    };
                }
                cost
            } else {
                let offer = offers.swap_remove(index);
                let (is_withdrawn, cost) = running.call(&withdraw, offer.number)?;
                ensure!(is_withdrawn == 1, "offer {} is gone", offer.number);
                cost
            }
        };
        spent[kind][call / PART].add(cost);
    }
    ensure!(refused > 0, "the heap was never full");
    println!("{COUNT} calls, {refused} refused for want of memory");
    Ok(spent)
}

/// Whether the offer's text is what it should be.
fn check(running: &mut Running, offer: &Offer) -> Result<()> {
    let text = running.function::<u32, u32>("text")?;
    let (address, _) = running.call(&text, offer.number)?;
    let text = running.read(address, offer.bytes as usize)?;
    ensure!(
        address != 0 && text.iter().all(|&byte| byte == offer.mark),
        "offer {} is not what it was",
        offer.number
    );
    Ok(())
}
