//! Which column of a table is what.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::config::{DataConfig, Range};
use crate::data::formats::table::head::{Names, is_index, is_label};
use crate::data::formats::table::survey::Survey;
use crate::error::{Error, Result};

/// The shortest side of squares that, with a class for each, tell that there is one.
const SHORTEST: usize = 4;

/// Of fewer lines it is by chance that they are counted.
const COUNTED: usize = 10;

/// How many names are listed where one is not there.
const LISTED: usize = 8;

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Pixel,
    Label,
    Group,
    /// Nothing that is learned.
    Index,
}

/// Which columns are no pixels.
#[derive(Default)]
pub(super) struct Roles {
    /// That of the classes.
    pub(super) label: Option<usize>,
    /// Whether it was asked for.
    pub(super) asked: bool,
    group: Option<usize>,
    /// Whether the first one numbers the lines.
    index: bool,
    /// How many columns are pixels.
    pub(super) pixels: usize,
    /// What to say of what is left out.
    pub(super) notes: Vec<String>,
    /// What to say of the classes, if there are such.
    pub(super) label_note: Option<String>,
}

impl Roles {
    pub(super) fn of(&self, column: usize) -> Role {
        match Some(column) {
            found if found == self.label => Role::Label,
            found if found == self.group => Role::Group,
            Some(0) if self.index => Role::Index,
            _ => Role::Pixel,
        }
    }
}

/// What is known of a table.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) path: &'a Path,
    pub(super) names: Option<Names<'a>>,
    pub(super) survey: &'a Survey,
    pub(super) config: &'a DataConfig,
}

impl Known<'_> {
    /// Whether a run began before there was a choice.
    fn before(&self) -> bool {
        self.config.range == Range::ByFile
    }

    fn last(&self) -> usize {
        self.survey.columns.saturating_sub(1)
    }

    /// What errors and notes call a column.
    pub(super) fn name(&self, column: usize) -> String {
        match self.names.and_then(|names| names.of(column)) {
            Some(name) => format!("column `{}`", name.escape_debug()),
            None => format!("column {}", column.saturating_add(1)),
        }
    }

    /// The only column of a name, if there is one.
    fn named(&self, wanted: &str) -> Result<Option<usize>> {
        let Some(names) = self.names else { return Ok(None) };
        let mut found = names.places(|_, name| name == wanted);
        if found.is_empty() {
            found = names.places(|_, name| name.eq_ignore_ascii_case(wanted));
        }
        match found.as_slice() {
            [] => Ok(None),
            [(place, _)] => Ok(Some(*place)),
            _ => {
                let what = format!("has the column `{}` more than once", wanted.escape_debug());
                Err(Error::data(self.path, what).hint("give each column a name of its own"))
            }
        }
    }

    /// The column that a flag names.
    fn asked(&self, flag: &str, wanted: &str, index: bool) -> Result<usize> {
        if let Some(place) = self.named(wanted)? {
            return Ok(place);
        }
        match wanted {
            "first" => return Ok(usize::from(index)),
            "last" => return Ok(self.last()),
            _ => {}
        }
        let wanted = wanted.escape_debug();
        let Some(names) = self.names else {
            let what = format!("has no line of names, and `{flag}` is `{wanted}`");
            return Err(Error::data(self.path, what)
                .hint(format!("`{flag} first` or `{flag} last` names a column without a name")));
        };
        let listed: Vec<String> =
            names.first(LISTED).iter().map(|name| format!("`{}`", name.escape_debug())).collect();
        let more = if names.count > LISTED { " and so on" } else { "" };
        let what = format!("has no column `{wanted}`; its columns are {}{more}", listed.join(", "));
        Err(Error::data(self.path, what).hint(format!("give `{flag}` the name of one of them")))
    }

    /// Whether the first column numbers or names the lines, and what to say of it.
    fn index(&self) -> Result<Option<String>> {
        let survey = self.survey;
        if survey.columns < 2 {
            return Ok(None);
        }
        let Some(names) = self.names else {
            let counts = survey.first.counts && survey.lines >= COUNTED && !self.before();
            return Ok(counts.then(|| {
                "the first column counts the lines and is left out; a name for each column keeps it".to_owned()
            }));
        };
        let name = names.of(0).unwrap_or_default();
        let unnamed = name.is_empty();
        if !is_index(&name) || self.before() && !unnamed {
            return Ok(None);
        }
        if survey.distinct || survey.first.counts {
            let column = if unnamed {
                "the first column, which has no name,".to_owned()
            } else {
                format!("the {}", self.name(0))
            };
            return Ok(Some(format!("{column} tells the lines apart and is left out")));
        }
        if !unnamed {
            return Ok(None);
        }
        let (named, columns) = (names.count, survey.columns);
        let what = match names.before {
            0 => "the first column has no name, and does not tell the lines apart".to_owned(),
            _ => format!("the first line has {named} names, and the others have {columns} fields"),
        };
        Err(Error::data(self.path, what).hint("give each column a name, or leave it out"))
    }

    /// The column whose name says that it holds classes, and what to say of it.
    fn found(&self, index: bool) -> Result<Option<(usize, String)>> {
        let Some(names) = self.names else { return Ok(None) };
        let mut found = names.places(|_, name| is_label(name, self.config));
        // Beside an x, y is a coordinate.
        if !names.places(|_, name| name.eq_ignore_ascii_case("x")).is_empty() {
            found.retain(|(_, name)| !name.eq_ignore_ascii_case("y"));
        }
        let ends = [usize::from(index), self.last()];
        found.retain(|(place, name)| ends.contains(place) || !name.eq_ignore_ascii_case("y"));
        let shown: Vec<String> =
            found.iter().map(|(_, name)| format!("`{}`", name.escape_debug())).collect();
        let what = match found.as_slice() {
            [] => return Ok(None),
            [(place, _)] if ends.contains(place) => {
                let (place, name) = (*place, self.name(*place));
                return Ok(Some((
                    place,
                    format!(
                        "the {name} is taken for labels; `--label-column none` makes it a pixel"
                    ),
                )));
            }
            [_] => format!("has the column {} in the middle, and pixels around it", shown.join("")),
            _ => format!(
                "has the columns {}, of which more than one could be the class",
                shown.join(" and ")
            ),
        };
        let name = found.first().map_or("", |(_, name)| name).escape_debug();
        Err(Error::data(self.path, what).hint(format!(
            "`--label-column {name}` takes it for the class, `--label-column none` for a pixel"
        )))
    }

    /// The column that is one too many for squares and can be the class, or what to say of it.
    fn guessed(&self, pixels: usize, index: bool) -> (Option<usize>, Option<String>) {
        let side = pixels.saturating_sub(1).isqrt();
        let squares = side.checked_mul(side) == pixels.checked_sub(1) && side >= SHORTEST;
        if !squares || self.before() {
            return (None, None);
        }
        let survey = self.survey;
        let all = format!("lines have {pixels} values, which is {side} × {side} and one more");
        let warn = || {
            let names =
                if self.names.is_some() { "NAME" } else { "first` or `--label-column last" };
            (None, Some(format!("{all}: if that is the class, `--label-column {names}` says so")))
        };
        // A first column that counts the lines is another one than the class.
        let first = survey.first.classes(survey.lines).filter(|_| !index);
        let (place, which, classes) = match (first, survey.last.classes(survey.lines)) {
            _ if self.names.is_some() => return warn(),
            (Some(classes), None) => (0, "first", classes),
            (None, Some(classes)) => (self.last(), "last", classes),
            _ => return warn(),
        };
        let note = format!(
            "{all}: the {which} one is taken for the label, of {classes} classes; `--label-column none` makes it a pixel"
        );
        (Some(place), Some(note))
    }

    /// Decides which column is what.
    pub(super) fn roles(&self) -> Result<Roles> {
        let DataConfig { label_column, group_column, .. } = self.config;
        let asked = label_column.as_deref().filter(|&asked| asked != "none");
        let named = |name: Option<&str>| {
            Ok::<_, Error>(name.map(|name| self.named(name)).transpose()?.flatten())
        };
        let taken = [named(asked)?, named(group_column.as_deref())?].contains(&Some(0));
        let mut roles = Roles { asked: asked.is_some(), ..Roles::default() };
        if !taken && let Some(note) = self.index()? {
            roles.index = true;
            roles.notes.push(note);
        }
        let group = group_column.as_deref();
        roles.group =
            group.map(|name| self.asked("--group-column", name, roles.index)).transpose()?;
        let columns = self.survey.columns;
        let rest = columns
            .saturating_sub(usize::from(roles.index))
            .saturating_sub(usize::from(group.is_some()));
        if let Some(name) = asked {
            roles.label = Some(self.asked("--label-column", name, roles.index)?);
        } else if label_column.is_none() {
            let (label, note) = match self.found(roles.index)? {
                Some((place, note)) => (Some(place), Some(note).filter(|_| !self.before())),
                None => self.guessed(rest, roles.index),
            };
            roles.label = label.filter(|_| label != roles.group);
            match label {
                Some(_) => roles.label_note = note,
                None => roles.notes.extend(note),
            }
        }
        if roles.label.is_some() && roles.label == roles.group {
            let what = format!(
                "has the {} for the class and for the group",
                self.name(roles.label.unwrap_or_default())
            );
            return Err(Error::data(self.path, what).hint("name two columns"));
        }
        roles.pixels = rest.saturating_sub(usize::from(roles.label.is_some()));
        if roles.pixels == 0 {
            let what = "has no pixels beside the label, the group and the index";
            return Err(
                Error::data(self.path, what).hint("give an image a line, a column for each pixel")
            );
        }
        Ok(roles)
    }
}
