//! The product as its users meet it: hosts over real folders, the real components, the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod batches;
mod breakers;
mod cascades;
mod chaos;
mod cluster;
mod commands;
mod comparing;
mod components;
mod conformance;
mod contents;
mod copy;
mod crash;
mod damage;
mod deploy;
mod doctor;
mod documents;
mod embedding;
mod examples;
mod explain;
mod faults;
mod following;
mod hostile;
mod hosts;
mod http_swaps;
mod interrupt;
mod large;
mod layers;
mod metadata;
mod mirrors;
mod mongo;
mod places;
mod quarantine;
mod remote;
mod retention;
mod s3;
mod searching;
mod serve;
mod supply;
mod swaps;
mod tidy;
mod trees;
mod versions;
mod waiting;
mod wire;
