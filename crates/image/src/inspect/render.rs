//! The report as tables for people.

use super::report::{IsaReport, Report};
use std::fmt::Write;

/// Names longer than this do not widen the column of names.
const LONGEST_NAME: usize = 48;

/// Renders a report as text: one table of the ISAs and, if `full`, tables of segments, sections and
/// functions too.
pub fn render_human(report: &Report, full: bool) -> String {
    let mut out = String::new();
    let names: Vec<_> = report.isas.iter().map(|isa| isa.isa.as_str()).collect();
    push(&mut out, &format!("multi-ISA executable for {}, {} bytes", names.join(", "), report.file_bytes));
    push(&mut out, "");
    push(&mut out, &summary(report).render());
    if full {
        for isa in &report.isas {
            push(&mut out, &format!("Segments of {}, started at {:#x}", isa.isa, isa.entry));
            push(&mut out, &segments(isa).render());
            push(&mut out, &format!("Sections of {}", isa.isa));
            push(&mut out, &sections(isa).render());
        }
        push(&mut out, "Functions: bytes on each ISA, at the same address on all");
        push(&mut out, &functions(report).render());
    } else {
        let hint = "Padding makes functions start at the same addresses on every ISA. See `--full` for functions.";
        push(&mut out, hint);
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn summary(report: &Report) -> Table {
    let mut table = Table::new(&["ISA", "in file", "text", "padding", "of text", "functions", "call sites", "tables"]);
    for isa in &report.isas {
        let share = isa.padding_bytes as f64 * 100.0 / isa.text_bytes.max(1) as f64;
        table.row([
            isa.isa.clone(),
            isa.file_bytes.to_string(),
            isa.text_bytes.to_string(),
            isa.padding_bytes.to_string(),
            format!("{share:.1} %"),
            isa.functions.to_string(),
            isa.call_sites.to_string(),
            isa.table_bytes.to_string(),
        ]);
    }
    table
}

fn segments(isa: &IsaReport) -> Table {
    let mut table = Table::new(&["access", "address", "in memory", "in file"]);
    for segment in &isa.segments {
        let address = format!("{:#010x}", segment.address);
        table.row([segment.access.clone(), address, segment.memory_bytes.to_string(), segment.file_bytes.to_string()]);
    }
    table
}

fn sections(isa: &IsaReport) -> Table {
    let mut table = Table::new(&["section", "address", "bytes"]);
    for section in &isa.sections {
        let address = if section.mapped { format!("{:#010x}", section.address) } else { "-".into() };
        table.row([section.name.clone(), address, section.bytes.to_string()]);
    }
    table
}

fn functions(report: &Report) -> Table {
    let isas = report.isas.iter().map(|isa| isa.isa.as_str());
    let mut table = Table::new(&["function", "address", "slot"].into_iter().chain(isas).collect::<Vec<_>>());
    for function in &report.functions {
        let mut row = vec![function.name.clone(), format!("{:#010x}", function.address)];
        row.push(function.slot_bytes.to_string());
        row.extend(report.isas.iter().map(|isa| match function.bytes.get(&isa.isa) {
            Some(bytes) => bytes.to_string(),
            None => "-".into(),
        }));
        table.row(row);
    }
    table
}

/// Text in columns: the first to the left, the others to the right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(titles: &[&str]) -> Table {
        Table { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    fn render(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.filter(|width| *width <= LONGEST_NAME).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Writing to a string cannot fail.
                let _ = match column {
                    0 => write!(line, "{cell:<width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            push(&mut out, line.trim_end());
        }
        out
    }
}
