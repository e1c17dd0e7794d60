//! What is shown of the results: tables as Markdown, and the page.

mod c_programs;
mod derived;
mod html;
mod markdown;
mod page;
mod plots;
mod tables;

pub(crate) use c_programs::read as read_c_programs;
pub(crate) use derived::{allocator_mean, median_nanoseconds, ratio_mean, ratios_to};
pub(crate) use markdown::{report, short, summary};
pub(crate) use page::page;
