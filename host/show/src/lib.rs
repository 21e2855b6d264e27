//! How people are shown figures and comparisons, the same on the command line and in the console.

mod measure;
mod picture;

pub use measure::{bytes, count, milliseconds, percent, plural};
pub use picture::{cut, svg};
