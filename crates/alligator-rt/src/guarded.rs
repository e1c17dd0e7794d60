//! An allocator that looks at the thread's guard before each call.
