//! The runtime against real, misbehaving and hand-written guests.

mod compiled;
mod concurrency;
mod conformance;
mod custom;
mod frozen;
mod guests;
mod hostile;
mod loading;
mod parts;
mod profile;
mod searching;
mod stopping;
mod wasi;
