//! Reads the figures of `elbo bench` from each of its four formats.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::program::events;

/// Figures by subject, batch and name; each with median, low, high, unit, and what is beside it.
pub(crate) type Figures = BTreeMap<[String; 3], Vec<String>>;

pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace("null", "")
}

pub(crate) fn figure_lines(lines: &str) -> Vec<Value> {
    let figures = events(lines).into_iter().filter(|(name, _)| name == "figure");
    figures.map(|(_, line)| line).collect()
}

pub(crate) fn from_json(lines: &str) -> Figures {
    let figure = |line: &Value| {
        let [key, values] = [["subject", "batch", "figure", ""], ["median", "low", "high", "unit"]];
        let key = [0, 1, 2].map(|i| shown(&line[key[i]]));
        (key, values.map(|name| shown(&line[name])).to_vec())
    };
    figure_lines(lines).iter().map(figure).collect()
}

/// No name here holds a comma, a quote or a bar.
fn from_cells<'a>(rows: impl Iterator<Item = Vec<&'a str>>) -> Figures {
    let own = |cell: &&str| (*cell).to_owned();
    rows.map(|cells| {
        let key = [0, 1, 2].map(|i| cells[i].to_owned());
        (key, cells[3..].iter().map(own).collect())
    })
    .collect()
}

pub(crate) fn from_csv(lines: &str) -> Figures {
    from_cells(lines.lines().skip(1).map(|line| line.split(',').collect()))
}

/// The first table, without what it remarks.
pub(crate) fn from_markdown(lines: &str) -> Figures {
    let table = lines.lines().skip_while(|line| !line.starts_with("| "));
    let rows = table.take_while(|line| line.starts_with("| ")).skip(2);
    let rows = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    from_cells(rows.filter(|cells| cells.len() > 1))
}

/// Blocks of lines: what is measured on, then one for each row and for its kernels, then remarks.
pub(crate) fn from_text(lines: &str) -> Figures {
    let (mut subject, mut batch) = (String::new(), String::new());
    let mut figures = Figures::new();
    for block in lines.split("\n\n").skip(1) {
        let mut block = block.lines();
        let head = block.next().unwrap_or_default();
        let kernels = head.starts_with("kernel ");
        if !kernels {
            let of_model = head.contains(", batch ") && head.ends_with(')');
            if head != "device" && !of_model {
                continue;
            }
            let mut words = head.split([',', ' ']).filter(|word| !word.is_empty());
            subject = words.next().unwrap_or_default().to_owned();
            batch = words.nth(1).unwrap_or_default().to_owned();
        }
        for line in block {
            let mut cells =
                line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).peekable();
            let name = cells.next().unwrap_or_default();
            let own = |cell: &str| cell.to_owned();
            let unit = match kernels {
                true => "µs".to_owned(),
                false => {
                    cells.next_if(|cell| cell.parse::<f64>().is_err()).map_or(String::new(), own)
                }
            };
            let rest: Vec<_> = cells.map(own).collect();
            // The head of the columns, and what the device lacks.
            if rest.first().is_none_or(|median| median.parse::<f64>().is_err()) {
                continue;
            }
            let at = |i: usize| rest.get(i).filter(|_| !kernels).unwrap_or(&rest[0]).clone();
            let values = [at(0), at(1), at(2), unit].into_iter().chain(rest.last().cloned());
            figures.insert([subject.clone(), batch.clone(), own(name)], values.collect());
        }
    }
    figures
}
