//! An allocator that counts the bytes in use, and keeps to a limit.
