//! Tables for people: a line of heads, a rule, rows; numbers to the right.

use comfy_table::{Attribute, Cell, CellAlignment, Table, TableComponent, presets};

use super::output::visible;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table in the making. Every text in it is made visible.
pub(super) struct Grid {
    table: Table,
    aligns: Vec<Align>,
    color: bool,
}

impl Grid {
    pub(super) fn new(columns: &[(&str, Align)], color: bool) -> Self {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_style(TableComponent::HeaderLines, '─')
            .set_style(TableComponent::MiddleHeaderIntersections, '─');
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let aligns: Vec<Align> = columns.iter().map(|(_, align)| *align).collect();
        let heads = columns.iter().map(|(head, align)| {
            let cell = set(head, *align);
            if color { cell.add_attribute(Attribute::Bold) } else { cell }
        });
        table.set_header(heads.collect::<Vec<_>>());
        Self { table, aligns, color }
    }

    /// A row; texts missing at its end are empty.
    pub(super) fn row<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>) {
        let cells = texts
            .into_iter()
            .zip(&self.aligns)
            .map(|(text, align)| set(&visible(text.as_ref()), *align));
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    /// A row of sums below the others.
    pub(super) fn total<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>) {
        let cells = texts.into_iter().zip(&self.aligns).map(|(text, align)| {
            let cell = set(&visible(text.as_ref()), *align);
            if self.color {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        });
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    /// The table as lines.
    pub(super) fn render(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 1));
        }
        let mut text = String::new();
        for line in self.table.lines() {
            // Without borders every line begins with the place of one.
            text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
            text.push('\n');
        }
        text
    }
}

fn set(text: &str, align: Align) -> Cell {
    Cell::new(text).set_alignment(match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_nothing_is_hidden() {
        let mut grid = Grid::new(&[("stream", Align::Left), ("rows", Align::Right)], false);
        grid.row(["a\u{1b}[2J", "7"]);
        grid.row(["long enough to be wide", "1,000"]);
        grid.total(["total", "1,007"]);
        insta::assert_snapshot!(grid.render(), @r#"
        stream                   rows
        ──────────────────────────────
        a\u{1b}[2J                  7
        long enough to be wide  1,000
        total                   1,007
        "#);
    }
}
