//! Limits that can be moved while the program runs: a hard one, a soft one, a reserve.
