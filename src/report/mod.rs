//! The page of a run: `facts` takes from predictions the numbers that the page shows and that no
//! other file of a run holds, `draw` makes pictures of numbers, `page` writes HTML, and `files`
//! reads what a run directory has. A page is a function of these files: made anew, it has the same
//! bytes.

pub mod draw;
pub mod facts;
pub mod files;
pub mod of_run;
pub mod page;
pub mod search;
pub mod write;
