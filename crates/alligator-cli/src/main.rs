//! The tool `alligator`.
use alligator_bound::{cost::CostTable, entries, loops::Bounds, module::Module, path::*};
fn main() {
    let a: Vec<String> = std::env::args().skip(2).collect();
    let bytes = std::fs::read(&a[0]).unwrap();
    let m = Module::parse(&bytes).unwrap();
    let asked: Vec<String> = a[1..].iter().filter(|x| *x != "--entry").cloned().collect();
    let e = entries::find(&m, &asked).unwrap();
    let costs = CostTable::default();
    let b = Bounds::default();
    let ids: Vec<u32> = e.entries.iter().map(|e| e.function).collect();
    let an = Analysis::new(&m, &costs, &b, &ids).unwrap();
    for n in &e.notes { println!("note: {n}"); }
    for e in &e.entries {
        let l = an.outcome(e.function).longest();
        let r = an.outcome(e.function).returns;
        let k = an.bulk_count(e.function).longest();
        println!("{:20} no growth {:?} (returning {:?}) growth {:?}  bulk {:?}", e.name, l.steady, r.steady, l.growing, k);
    }
    for e in &e.entries { for g in [alligator_bound::refine::Growth::Without, alligator_bound::refine::Growth::With] {
        let t = std::time::Instant::now();
        let r = alligator_bound::refine::longest_path(&an, e.function, g, std::env::var("STEPS").ok().and_then(|s| s.parse().ok()).unwrap_or(200000));
        println!("{} {:?} {:?} {:?}", e.name, g, r.map(|r| (r.bound, r.complete, r.steps)), t.elapsed());
    } }
    for (f, p) in &an.plans { for x in &p.findings { println!("  {:?} {} {:#x} {}", x.kind, m.display_name(*f), x.offset, x.reason); } }
}
