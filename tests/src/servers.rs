//! Real server processes, which the tests start, kill and start again: SecantusDB, which speaks MongoDB's wire
//! protocol, Moto, which speaks S3's, and docker-registry, which keeps components. `cargo xtask servers` installs them.
//!
//! `FLORET_TEST_MONGODB_URI` and `FLORET_TEST_S3_ENDPOINT` (with `_BUCKET`, `_REGION`, `_ACCESS_KEY_ID` and
//! `_SECRET_ACCESS_KEY`) point the tests that share a server at another one; those that kill theirs start it anyhow.

mod mongo;
mod oci;
mod process;
mod s3;

pub use mongo::{Database, Mongo, MongoOptions};
pub use oci::OciRegistry;
pub use process::Process;
pub use s3::{Place, S3};

#[cfg(test)]
mod tests {
    use mongodb::Client;
    use mongodb::bson::{Document, doc};
    use object_store::ObjectStoreExt;
    use object_store::path::Path;

    use super::{Database, Mongo, Place, S3};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_was_killed_starts_again_with_its_data() {
        let mut mongo = Mongo::start();
        let database = mongo.database();
        let collection = async || {
            let client = Client::with_uri_str(&database.uri).await.expect("it runs");
            client.default_database().expect("the URI names it").collection::<Document>("x")
        };
        collection().await.insert_one(doc! { "_id": 1 }).await.expect("it runs");
        mongo.kill();
        mongo.start_again();
        assert_eq!(collection().await.count_documents(doc! {}).await.expect("it runs"), 1);
        let other = mongo.database();
        assert_ne!(other.uri, database.uri);
    }

    #[tokio::test]
    async fn places_of_a_server_are_apart() {
        let s3 = S3::moto();
        let (one, other) = (s3.place(), s3.place());
        let path = Path::from("a/b");
        one.objects().await.put(&path, "content".into()).await.expect("it runs");
        let there =
            one.objects().await.get(&path).await.expect("it is there").bytes().await.expect("it is whole");
        assert_eq!(there, "content");
        assert!(matches!(other.objects().await.get(&path).await, Err(object_store::Error::NotFound { .. })));
        let passed_on = Place::from_arguments(one.arguments().map(str::to_owned));
        assert!(passed_on.objects().await.get(&path).await.is_ok());
    }

    #[test]
    fn a_server_ends_with_who_started_it() {
        let mongo = Mongo::start();
        let address = mongo.address();
        drop(mongo);
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(Database::shared().uri.starts_with("mongodb"));
    }
}
