//! The catalog in MongoDB keeps the contract of all catalogs, over a server process.

use std::sync::Arc;

use floret_store::{Catalog, MongoCatalog};
use floret_tests::servers::Database;

async fn fresh() -> (Arc<dyn Catalog>, Database) {
    let database = Database::shared();
    let catalog = MongoCatalog::connect(&database.uri).await.unwrap();
    (catalog, database)
}

floret_store::catalog_conformance!(fresh());
