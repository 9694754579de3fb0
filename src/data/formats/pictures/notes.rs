//! What is said of a folder of pictures: what they are, what was done to them, and what was left out.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::decode::shown;
use super::folder::inside;
use super::kinds::Format;
use super::shelf::About;
use crate::config::Channels;

/// How many pictures there are of what.
#[derive(Debug, Default)]
pub(super) struct Story {
    formats: BTreeMap<Format, usize>,
    turned: usize,
    cmyk: usize,
    palettes: usize,
    animated: usize,
    paged: usize,
    pub(super) coloured: usize,
    /// One of them.
    in_colour: Option<String>,
    pub(super) wide: usize,
    pub(super) transparent: usize,
    all: usize,
}

impl Story {
    pub(super) fn of(folder: &Path, paths: &[&PathBuf], pictures: &[About]) -> Self {
        let mut story = Self { all: pictures.len(), ..Self::default() };
        for (path, About { size, wide, was, .. }) in paths.iter().zip(pictures) {
            let format = story.formats.entry(was.format).or_default();
            *format = format.saturating_add(1);
            let (coloured, alpha) = (size.channels > 2, size.channels.is_multiple_of(2));
            if coloured && story.in_colour.is_none() {
                story.in_colour = Some(inside(folder, path));
            }
            let paged = was.format == Format::Tiff;
            for (count, has) in [
                (&mut story.turned, was.turned),
                (&mut story.cmyk, was.cmyk),
                (&mut story.palettes, was.palette),
                (&mut story.animated, was.more && !paged),
                (&mut story.paged, was.more && paged),
                (&mut story.coloured, coloured),
                (&mut story.wide, *wide),
                (&mut story.transparent, alpha),
            ] {
                *count = count.saturating_add(usize::from(has));
            }
        }
        story
    }

    /// In one sentence.
    pub(super) fn told(
        &self,
        classes: Option<&[String]>,
        channels: usize,
        wanted: Channels,
    ) -> String {
        let mut kinds: Vec<_> = self.formats.iter().map(|(kind, &n)| (n, kind)).collect();
        kinds.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
        let mut text = match kinds.as_slice() {
            [(_, kind)] => counted(self.all).replacen(' ', &format!(" {kind} "), 1),
            kinds => {
                let each: Vec<_> = kinds.iter().map(|(n, kind)| format!("{n} {kind}")).collect();
                format!("{} pictures: {}", self.all, each.join(", "))
            }
        };
        match classes {
            Some([one]) => text += &format!(", all in the folder `{}`", shown(one)),
            Some([first, .., last]) => {
                let (first, last) = (shown(first), shown(last));
                let count = classes.map_or(0, <[String]>::len);
                text += &format!(", in {count} folders as classes, `{first}` to `{last}`");
            }
            _ => {}
        }
        let narrow = self.all.saturating_sub(self.wide);
        let scaled = if self.wide > 0 { narrow } else { 0 };
        for (count, what) in [
            (self.turned, "turned upright, as their EXIF says"),
            (self.cmyk, "made red, green and blue of CMYK"),
            (self.palettes, "with the colours of a palette"),
            (self.animated, "animated, whose first frame is taken"),
            (self.paged, "with several pages, whose first is taken"),
            (scaled, "of 8 bits, times 257 as the others have 16"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        if let Some(one) = &self.in_colour {
            let (coloured, grey) = (self.coloured, self.all.saturating_sub(self.coloured));
            match channels {
                1 => text += &format!("; {coloured} in colour, made grey"),
                _ if grey > 0 && wanted == Channels::AsFiles => {
                    text += &format!(
                        "; colour, since {coloured} have colour, such as `{one}` (`--grey` makes all grey)"
                    );
                }
                _ => {}
            }
        }
        text
    }
}

/// So many pictures.
pub(super) fn counted(count: usize) -> String {
    format!("{count} picture{}", if count == 1 { "" } else { "s" })
}

/// What was not read, in one sentence.
pub(super) fn left_out(left: &[String]) -> Option<String> {
    /// So many things are named.
    const MOST: usize = 8;
    let more = left.len().saturating_sub(MOST);
    let some = left.get(..MOST).unwrap_or(left).join("; ");
    match (left.len(), more) {
        (0, _) => None,
        (_, 0) => Some(format!("left out: {some}")),
        _ => Some(format!("left out: {some}; and {more} more")),
    }
}

/// A warning of pictures of one colour, among so many to train and to test on.
pub(super) fn constant(names: &[String], [train, test]: [usize; 2]) -> Option<String> {
    let (count, first) = (names.len(), names.first()?);
    let all = train.saturating_add(test);
    Some(match (count, all.saturating_sub(count)) {
        (_, 0) if all > 1 => format!(
            "warning: each of the {all} pictures has one colour only, so there is little to learn; is it another \
             channel, or another file, that shows something?"
        ),
        (1, _) => format!("warning: `{first}` has one colour only"),
        _ => format!("warning: {count} of {all} pictures have one colour only, such as `{first}`"),
    })
}
