//! Blocks that were given back under a guard, and wait to be given back to their heap.
