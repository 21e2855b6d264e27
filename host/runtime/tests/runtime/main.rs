//! The runtime against real, misbehaving and hand-written guests.

mod compiled;
mod concurrency;
mod conformance;
mod custom;
mod guests;
mod loading;
mod profile;
mod searching;
mod stopping;
