//! The page: HTML without a script and without a request, written by plain functions.

mod html;
mod importance;
mod search;
mod several;
mod sharing;
mod single;
mod tasks;
mod training;

use crate::report::draw::Picture;
use crate::report::draw::ink::variables;
use crate::report::draw::picture::slug;
use crate::report::draw::sheet::WIDTH;
use html::{Table, text};

pub use search::search;
pub use several::several;
pub use single::single;

/// A finished page with its pictures.
#[derive(Clone, Debug)]
pub struct Page {
    /// The HTML document.
    pub html: String,
    /// The pictures in it, in order.
    pub pictures: Vec<Picture>,
}

/// A page that is being written.
struct Draft {
    title: String,
    lead: String,
    body: String,
    /// Ids and names of the sections.
    sections: Vec<(String, String)>,
    pictures: Vec<Picture>,
}

/// The words of a picture.
struct Words<'a> {
    /// What it shows, in a few words.
    title: &'a str,
    /// What is to be seen.
    about: &'a str,
    /// More to say below it.
    more: &'a str,
}

impl Draft {
    fn new(title: &str, lead: &str) -> Draft {
        let (title, lead) = (title.to_owned(), lead.to_owned());
        Draft { title, lead, body: String::new(), sections: Vec::new(), pictures: Vec::new() }
    }

    /// Begins a section.
    fn section(&mut self, name: &str) {
        let id = format!("s{}", self.sections.len() + 1);
        self.body += &format!("<h2 id=\"{id}\">{}</h2>\n", text(name));
        self.sections.push((id, name.to_owned()));
    }

    /// Begins a part of a section.
    fn part(&mut self, name: &str) {
        self.body += &format!("<h3>{}</h3>\n", text(name));
    }

    /// A paragraph.
    fn say(&mut self, sentence: &str) {
        self.body += &format!("<p>{}</p>\n", text(sentence));
    }

    fn table(&mut self, table: &Table) {
        self.body += &table.html();
    }

    /// Text as it stands in a file.
    fn verbatim(&mut self, content: &str) {
        self.body += &format!("<pre>{}</pre>\n", html::lines(content));
    }

    /// A row of pictures, which `fill` adds.
    fn plots(&mut self, fill: impl FnOnce(&mut Draft)) {
        let before = self.body.len();
        self.body += "<div class=\"plots\">\n";
        let empty = self.body.len();
        fill(self);
        if self.body.len() == empty {
            self.body.truncate(before);
        } else {
            self.body += "</div>\n";
        }
    }

    /// A picture with its words; a wide one takes the whole row and scrolls sideways.
    fn picture(&mut self, words: &Words, (elements, size): (String, [u32; 2])) {
        let number = self.pictures.len() + 1;
        let picture = Picture {
            name: format!("{number:02}-{}", slug(words.title)),
            title: words.title.to_owned(),
            about: words.about.to_owned(),
            size,
            elements,
        };
        let more = if words.more.is_empty() { String::new() } else { format!(" {}", words.more) };
        let class = if size[0] > WIDTH { " class=\"full\" tabindex=\"0\"" } else { "" };
        self.body += &format!(
            "<figure{class}>\n{}<figcaption><b>{}.</b>{}</figcaption>\n</figure>\n",
            picture.inline(&format!("p{number}")),
            text(words.title),
            text(&more)
        );
        self.pictures.push(picture);
    }

    fn finish(self) -> Page {
        let link = |(id, name): &(String, String)| {
            format!("<li><a href=\"#{id}\">{}</a></li>\n", text(name))
        };
        let links: String = self.sections.iter().map(link).collect();
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n\
             <style>\n:root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n\
             @media print{{:root{{{}}}}}\n{}</style>\n</head>\n<body>\n<header>\n\
             <h1>{title}</h1>\n<p>{}</p>\n<nav aria-label=\"Sections\"><ul>\n{links}</ul></nav>\n\
             </header>\n<main>\n{}</main>\n</body>\n</html>\n",
            variables(false),
            variables(true),
            variables(false),
            include_str!("style.css"),
            text(&self.lead),
            self.body,
            title = text(&self.title),
        );
        Page { html, pictures: self.pictures }
    }
}
