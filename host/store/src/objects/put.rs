use std::sync::atomic::{AtomicBool, Ordering};

use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

/// Tries of a put whose answer was lost.
const TRIES_MAX: usize = 3;

/// Write an object that nobody else writes, where the server can see to that. One that is there already, and as long,
/// is our own of a try before, whose answer was lost. A server that knows no conditions is asked without one, and
/// `conditional` remembers it.
///
/// # Errors
/// Those of the store; `AlreadyExists` for an object of another length.
pub(crate) async fn put_new(
    objects: &dyn ObjectStore,
    path: &str,
    payload: PutPayload,
    conditional: &AtomicBool,
) -> Result<(), Error> {
    let path = path.into();
    if !conditional.load(Ordering::Relaxed) {
        return objects.put(&path, payload).await.map(drop);
    }
    let length = payload.content_length() as u64;
    let mut tries = 1;
    loop {
        let put = objects.put_opts(&path, payload.clone(), PutMode::Create.into()).await;
        let error = match put {
            Ok(_) => return Ok(()),
            Err(error) if knows_no_conditions(&error) => {
                conditional.store(false, Ordering::Relaxed);
                return objects.put(&path, payload).await.map(drop);
            }
            Err(error @ (Error::AlreadyExists { .. } | Error::Generic { .. })) => error,
            Err(error) => return Err(error),
        };
        // A put with a condition is not made again by itself when it was cut or timed out.
        match objects.head(&path).await {
            Ok(object) if object.size == length => return Ok(()),
            Err(Error::NotFound { .. }) if tries < TRIES_MAX => tries += 1,
            _ => return Err(error),
        }
    }
}

fn knows_no_conditions(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || error.to_string().contains("status code: 501")
}
