//! Work whose results do not depend on time, done on all cores.

use core::num::NonZero;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// How many cores there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does all `units` on up to `threads` threads, begun in their order. `work` may have any number of
/// results; each is handed on as soon as it is there, on the caller's thread, in any order. With
/// one thread everything runs on the caller's, so that nothing runs beside the work.
pub(crate) fn run<U: Sync, R: Send>(
    units: &[U],
    threads: usize,
    work: impl Fn(&U, &mut dyn FnMut(R)) + Sync,
    mut on_result: impl FnMut(R),
) {
    if threads < 2 {
        for unit in units {
            work(unit, &mut on_result);
        }
        return;
    }
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.min(units.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // The receiver lives as long as this thread.
                    work(unit, &mut |result| drop(sender.send(result)));
                }
            });
        }
        drop(sender);
        for result in results {
            on_result(result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(threads: usize) -> Vec<u32> {
        let units: Vec<u32> = (0..100).collect();
        let mut results = Vec::new();
        let work = |unit: &u32, emit: &mut dyn FnMut(u32)| {
            emit(unit * 2);
            emit(unit * 2 + 1);
        };
        run(&units, threads, work, |result| results.push(result));
        results
    }

    #[test]
    fn one_thread_keeps_the_order() {
        assert_eq!(results(1), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn more_threads_do_everything_once() {
        let mut results = results(3);
        results.sort_unstable();
        assert_eq!(results, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_to_do_ends() {
        run(&[(); 0], 4, |(), emit| emit(()), |()| panic!("no result"));
    }
}
