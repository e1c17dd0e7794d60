//! Guards: what the thread must not do for now, in one word.
