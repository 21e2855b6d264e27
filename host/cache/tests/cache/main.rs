//! The cache through its public interface. Races that need a path to be stopped half-way are in `src/namespace/tests.rs`.

mod directory;
mod support;
mod tiers;
