use std::sync::Arc;

use tempfile::TempDir;

use super::EmbeddedCatalog;
use crate::Catalog;

async fn fresh() -> (Arc<dyn Catalog>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = EmbeddedCatalog::open(folder.path()).expect("a fresh catalog opens");
    (catalog, folder)
}

mod suite {
    use super::fresh;
    crate::catalog_conformance!(fresh());
}
