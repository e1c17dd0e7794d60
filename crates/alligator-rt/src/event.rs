//! What a guard forbids, and what is known of one time that it was done.
