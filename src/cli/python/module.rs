//! The submodules of a class in Python, under the paths of our parameters.

use std::collections::BTreeMap;

use super::text::literal;

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A module with a function of its own, whose parts are its attributes.
    Module,
    /// A dictionary of modules.
    Modules,
}

/// The lines of `__init__` that make the submodules of a class, so that the names of its state dict are our paths.
#[derive(Debug, Default)]
pub(super) struct Module {
    lines: Vec<String>,
    known: BTreeMap<String, Holds>,
    /// The keys of its state dict.
    pub(super) keys: Vec<String>,
    /// Whether places of maps attend to one another.
    pub(super) attends: bool,
}

impl Module {
    /// Makes a module under a path, with a weight and a bias if it is `learned`; how code calls it.
    pub(super) fn define(&mut self, path: &str, what: &str, learned: bool) -> String {
        let name = self.place(path);
        self.lines.push(format!("{name} = {what}"));
        self.known.insert(path.to_owned(), Holds::Module);
        if learned {
            self.keys.extend(["weight", "bias"].map(|of| format!("{path}.{of}")));
        }
        name
    }

    /// Makes parameters that no layer has, whose path is a dictionary, if there are any.
    pub(super) fn parameters(&mut self, path: &str, all: &[&(&str, Vec<usize>)]) {
        if all.is_empty() {
            return;
        }
        let each = all.iter().map(|(key, shape)| {
            let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
            let name = key.rsplit_once('.').map_or(*key, |(_, last)| last);
            format!("{}: torch.zeros({})", literal(name), sides.join(", "))
        });
        let each: Vec<_> = each.collect();
        self.define(path, &format!("nn.ParameterDict({{{}}})", each.join(", ")), false);
        self.keys.extend(all.iter().map(|(key, _)| (*key).to_owned()));
    }

    /// How code names a path, whose dictionaries are made if they are not there yet.
    fn place(&mut self, path: &str) -> String {
        let Some((above, last)) = path.rsplit_once('.') else {
            return format!("self.{path}");
        };
        if !self.known.contains_key(above) {
            let name = self.place(above);
            self.lines.push(format!("{name} = nn.ModuleDict()"));
            self.known.insert(above.to_owned(), Holds::Modules);
        }
        let holds = self.known[above];
        let above = self.place(above);
        match holds {
            Holds::Module => format!("{above}.{last}"),
            Holds::Modules => format!("{above}[{}]", literal(last)),
        }
    }

    /// The lines, below `__init__`.
    pub(super) fn written(&self) -> String {
        self.lines.iter().map(|line| format!("        {line}\n")).collect()
    }
}

/// A call of a function with one argument.
pub(super) fn call(function: &str, of: &str) -> String {
    format!("{function}({of})")
}
