//! The last pass: every version that the first one saw, as the source has it and as the target has it.

use std::sync::Arc;

use floret_model::{Version, VersionRef};

use super::plan::{self, Plan};
use super::rest::Window;
use super::{Copy, PAGE_ROWS};
use crate::Error;

impl Copy<'_> {
    /// # Errors
    /// [`Error::Diverged`] when a version is another one in the target, or is not there.
    pub(super) async fn compare(&mut self, plan: &Plan) -> Result<(), Error> {
        let mut there = Window::default();
        let mut after: Option<VersionRef> = None;
        loop {
            let page = self.source().scan(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.reference());
            let target = self.target();
            let scan = async |after: Option<&VersionRef>| {
                let page = target.scan(after, PAGE_ROWS).await?;
                Ok(page.into_iter().map(|version| (version.reference(), version)).collect())
            };
            there.cover(&page[0].reference(), &last.reference(), scan).await?;
            for version in page {
                let reference = version.reference();
                if plan.has_seen(&reference) {
                    self.compare_one(&version, there.rows.get(&reference))?;
                } else {
                    self.report.left += 1;
                }
            }
        }
    }

    fn compare_one(&mut self, here: &Version, there: Option<&Arc<Version>>) -> Result<(), Error> {
        let Some(there) = there else {
            return Err(self.diverged(here.reference(), "it is not there".to_owned()));
        };
        plan::compare(self.source(), self.target(), here, there)?;
        self.report.equal += 1;
        match (here.dropped_at, there.dropped_at) {
            (Some(_), None) => self.report.dropped_in_source += 1,
            (None, Some(_)) => self.report.dropped_in_target += 1,
            _ => {}
        }
        Ok(())
    }
}
