//! One file for each verb: its options, and how it calls the pipeline and shows what came of it.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod cascade;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod corpus;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod verify;
pub(crate) mod why;
