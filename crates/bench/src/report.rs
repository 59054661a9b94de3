//! The table that people read.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::measure::Passes;

/// What was measured of one server.
pub(crate) struct Row {
    name: &'static str,
    pub(crate) per_second: Passes,
    pub(crate) median_us: Passes,
    pub(crate) p99_us: Passes,
    pub(crate) idle_mib: Passes,
    pub(crate) loaded_mib: Passes,
    pub(crate) start_ms: Passes,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        let none = Passes::new;
        Self {
            name,
            per_second: none(),
            median_us: none(),
            p99_us: none(),
            idle_mib: none(),
            loaded_mib: none(),
            start_ms: none(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s", self.per_second.median())?;
        if !self.median_us.is_empty() {
            write!(f, ", {:.0} µs median, {:.0} µs p99", self.median_us.median(), self.p99_us.median())?;
        }
        write!(f, ", {:.0} MiB idle, {:.0} MiB loaded", self.idle_mib.median(), self.loaded_mib.median())
    }
}

/// The table, with everything as a ratio to the first row.
pub(crate) fn inbound(rows: &[Row]) -> String {
    let mut table = String::from(
        "| server | events/s | spread | ours is | median at 1,000/s | p99 | idle | loaded | first answer |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    let ours = rows[0].per_second.median();
    for row in rows {
        let (least, most) = row.per_second.spread();
        let or_none = |passes: &Passes, unit: &str| {
            if passes.is_empty() { "–".to_owned() } else { format!("{:.0} {unit}", passes.median()) }
        };
        table += &format!(
            "| {} | {:.0} | {:+.0} … {:+.0} % | {:.2} × | {} | {} | {} | {} | {} |\n",
            row.name,
            row.per_second.median(),
            least * 100.0,
            most * 100.0,
            ours / row.per_second.median(),
            or_none(&row.median_us, "µs"),
            or_none(&row.p99_us, "µs"),
            or_none(&row.idle_mib, "MiB"),
            or_none(&row.loaded_mib, "MiB"),
            or_none(&row.start_ms, "ms"),
        );
    }
    table
}

/// Puts a table between its marks in a page.
pub(crate) fn write(path: &Path, mark: &str, table: &str) -> Result<()> {
    let page = std::fs::read_to_string(path)?;
    let (begin, end) = (format!("<!-- bench {mark} -->\n"), format!("<!-- end {mark} -->"));
    let (before, rest) = page.split_once(&begin).context("the page has no mark where the table begins")?;
    let (_, after) = rest.split_once(&end).context("the page has no mark where the table ends")?;
    Ok(std::fs::write(path, format!("{before}{begin}{table}{end}{after}"))?)
}
