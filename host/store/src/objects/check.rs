use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;

use super::explain;
use crate::Error;

/// How long a store may take to say that it is there.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// A folder in which nobody writes. Listing it is one request with an empty answer, however much the bucket holds, and
/// every server tells by it a bucket that is not there, which asking for an object does not with all of them.
const NOBODYS_FOLDER: &str = "cas/check";

/// See that a store is there and lets us in: one request, answered within 10 s or given up. `place` is its name in
/// messages.
///
/// # Errors
/// [`Error::Refused`] when the bucket is not there or the credentials are not accepted, [`Error::Unavailable`] when
/// there is no answer, [`Error::Object`] for anything else.
pub async fn check_objects(objects: &dyn ObjectStore, place: &str) -> Result<(), Error> {
    let folder = NOBODYS_FOLDER.into();
    let mut listing = objects.list(Some(&folder));
    match tokio::time::timeout(CHECK_TIMEOUT, listing.try_next()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(explain(place, "list", NOBODYS_FOLDER, error)),
        Err(_) => Err(Error::Unavailable {
            service: format!("the object store {place}"),
            problem: format!("it did not answer within {} s", CHECK_TIMEOUT.as_secs()),
            remedy: "see that it runs and can be reached from here, and that the endpoint is right"
                .to_owned(),
        }),
    }
}
