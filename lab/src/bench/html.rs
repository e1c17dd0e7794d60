//! The report to look at: one page with its styles, scripts and data inside.

use serde_json::json;

use super::c_programs::CPrograms;
use super::derived::Derived;
use super::results::Results;

const PAGE: &str = include_str!("../../../lab/report/page.html");
const STYLE: &str = include_str!("../../../lab/report/style.css");
const SCRIPT: &str = include_str!("../../../lab/report/report.js");

/// The page.
pub(crate) fn page(results: &Results, c_programs: &CPrograms) -> String {
    // In a script element `</` would end it, wherever it stands.
    let data = json!({
        "results": results,
        "derived": Derived::of(results),
        "cPrograms": c_programs,
    });
    let data = data.to_string().replace("</", "<\\/");
    PAGE.replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        .replace("/*DATA*/", &data)
}
