//! The change stream over `publishes`: one event for each publish, with the versions that it made the latest.

use bson::{Bson, Document, doc};
use bytes::Bytes;
use floret_model::{ResourceKey, Seq, VersionRef};
use futures::{StreamExt, TryStreamExt};
use mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};
use serde::{Deserialize, Serialize};

use super::failure;
use super::home::Home;
use crate::Error;
use crate::catalog::{Change, ChangeStream, ChangeToken};

/// The driver's token, as a document of one field.
#[derive(Serialize, Deserialize)]
struct Wrapped {
    token: ResumeToken,
}

impl Home {
    pub async fn watch(&self, after: Option<ChangeToken>) -> Result<ChangeStream, Error> {
        let after = after.map(|token| {
            let token: Result<Wrapped, _> = bson::deserialize_from_slice(&token.0);
            token.map(|wrapped| wrapped.token).map_err(|error| self.lost(error.to_string()))
        });
        let after = after.transpose()?;
        let inserts = [doc! { "$match": { "operationType": "insert" } }];
        let stream = self.publishes.watch().pipeline(inserts).resume_after(after).await;
        let home = self.clone();
        let stream = stream.map_err(|error| home.stream_failure(&error))?;
        Ok(stream
            .map_err({
                let home = home.clone();
                move |error| home.stream_failure(&error)
            })
            .and_then(move |event| {
                let change = home.change(&event);
                async move { change }
            })
            .boxed())
    }

    fn stream_failure(&self, error: &mongodb::error::Error) -> Error {
        match failure::is_stream_lost(error) {
            true => self.lost(error.to_string()),
            false => self.told(error),
        }
    }

    fn lost(&self, problem: String) -> Error {
        Error::ChangesLost { catalog: self.name.clone(), problem }
    }

    fn change(&self, event: &ChangeStreamEvent<Document>) -> Result<Change, Error> {
        let token = bson::serialize_to_vec(&Wrapped { token: event.id.clone() })
            .map_err(|error| self.lost(error.to_string()))?;
        let document = event.full_document.as_ref();
        let publish_id = document.and_then(|document| document.get_str("publish_id").ok());
        let heads = document.and_then(|document| document.get_array("heads").ok());
        let heads = heads.into_iter().flatten().map(|head| {
            head.as_document().and_then(reference).ok_or_else(|| Error::Integrity {
                what: "a document of publishes".to_owned(),
                problem: format!("{head} names no version"),
            })
        });
        Ok(Change {
            publish_id: publish_id.unwrap_or_default().to_owned(),
            heads: heads.collect::<Result<_, _>>()?,
            token: ChangeToken(Bytes::from(token)),
        })
    }
}

fn reference(document: &Document) -> Option<VersionRef> {
    let text = |name| document.get_str(name).ok();
    let key = ResourceKey::parse(text("namespace")?, text("resource_type")?, text("resource_id")?).ok()?;
    let seq = document.get("seq").and_then(Bson::as_i64).and_then(|seq| u64::try_from(seq).ok())?;
    Some(VersionRef { key, seq: Seq(seq) })
}
