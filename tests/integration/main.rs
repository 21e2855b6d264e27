//! The product as its users meet it: hosts over real folders, the real components, the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod batches;
mod cascades;
mod commands;
mod components;
mod conformance;
mod contents;
mod crash;
mod damage;
mod interrupt;
mod layers;
mod metadata;
mod places;
mod searching;
mod tidy;
mod trees;
mod versions;
mod waiting;
