//! A finished picture, for a page and for a file.

use super::ink::with_variables;
use crate::measure::chart::escaped;

/// A picture with what it shows in words.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its name without an ending, of letters that every file system takes.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What is to be seen, for whoever does not see it.
    pub about: String,
    /// Width and height in its units.
    pub size: [u32; 2],
    /// Its elements, with the colours of light paper.
    pub elements: String,
}

impl Picture {
    fn svg(&self, id: &str, paper: &str) -> String {
        let [width, height] = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{}</title>\n\
             <desc id=\"{id}-d\">{}</desc>\n{paper}{}</svg>\n",
            escaped(&self.title),
            escaped(&self.about),
            self.elements
        )
    }

    /// The picture within a page; `id` is its own there.
    pub fn inline(&self, id: &str) -> String {
        with_variables(&self.svg(id, ""))
    }

    /// The picture as a file of its own, on light paper.
    pub fn document(&self) -> String {
        self.svg("p", "<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n")
    }
}

/// A text as a part of a name of a file: letters, digits and `-`, at most 40; other characters
/// become `_`.
pub fn slug(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    text.chars().map(letter).take(40).collect()
}
