//! The store as a whole: catalog, blobs, cleanup and verify over real folders, and what is left after a crash.

mod blobs;
mod cleanup;
mod copy;
mod crash;
mod full;
mod support;
mod verify;
