//! Reading a range, or everything, or one partition: pages into batches, batches into a channel.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::feed::{FeedRange, FeedScope};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, Sender};

use super::Account;
use super::batch::Documents;
use super::changes::{self, Changes};
use super::container::Container;
use super::partition;
use super::query::{Page, Pages, Wanted};
use super::subject;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, KeyValue, Position};
use crate::data::stream::ReadRequest;
use crate::source::gather::fitted;
use crate::source::{BATCHES_IN_FLIGHT_MAX, Batches, reader};
use crate::{Error, ErrorKind, Result};

type Output = Sender<Result<SourceBatch>>;

/// Documents in the first page: how large they are is known only then.
const FIRST_PAGE: u32 = 100;

/// A request that was found to be readable.
struct Reading {
    account: Arc<Account>,
    container: Container,
    scope: Scope,
    documents: Documents,
    rows_max: usize,
    bytes_max: usize,
    patience: Duration,
}

/// Which documents, and what the place after them is called.
enum Scope {
    /// A range; `changes` is kept for later.
    Range {
        name: String,
        after: Option<String>,
        changes: Option<String>,
    },
    /// What has changed in a range since a token was made.
    Changes { name: String, after: String },
    /// The documents of these keys, in no order.
    Only(Vec<Key>),
    /// Those of one subject, which are here already.
    Kept(subject::Documents),
}

/// Starts to read in a task of its own.
pub(super) async fn start(account: &Arc<Account>, request: ReadRequest) -> Result<Batches> {
    let (output, batches) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
    if request.only.is_none() && matches!(request.after, Some(Position::End)) {
        return Ok(batches);
    }
    let request = fitted(request);
    let container = account.container(&request.origin).await?;
    let scope = match &request.subject {
        Some(subject) => Scope::Kept(account.of_subject(&request.origin, subject).await?),
        None => Scope::of(&request)?,
    };
    let reading = Reading {
        documents: Documents::new(&request, &container.paths)?,
        scope,
        account: Arc::clone(account),
        container,
        rows_max: request.rows_max,
        bytes_max: request.bytes_max,
        patience: request.patience,
    };
    let (sender, account) = (output.clone(), Arc::clone(account));
    reader::spawn(output, async move {
        // Ranges that wait hold nothing in memory; those that are read are as many as pages.
        let _place = match reading.scope {
            Scope::Range { .. } | Scope::Changes { .. } => Some(account.budget.range().await?),
            Scope::Only(_) | Scope::Kept(_) => None,
        };
        reading.run(&sender).await
    });
    Ok(batches)
}

impl Scope {
    fn of(request: &ReadRequest) -> Result<Self> {
        if let Some(only) = &request.only {
            return Ok(Self::Only(only.clone()));
        }
        match &request.after {
            None => Ok(Self::Range {
                name: FeedRange::full().to_string(),
                after: None,
                changes: None,
            }),
            Some(Position::Range {
                range, after, changes, ..
            }) => Ok(Self::Range {
                name: range.clone(),
                after: after.clone(),
                changes: changes.clone(),
            }),
            Some(Position::Changes { range, after }) => Ok(Self::Changes {
                name: range.clone(),
                after: after.clone(),
            }),
            Some(_) => Err(Error::new(
                ErrorKind::Checkpoint,
                "the checkpoint stands at a key, and documents come in no order of keys",
            )
            .hint("begin the stream again with `--restart`")),
        }
    }
}

impl Reading {
    async fn run(mut self, output: &Output) -> Result<()> {
        match std::mem::replace(&mut self.scope, Scope::Only(Vec::new())) {
            Scope::Range { name, after, changes } => self.range(name, after, changes, output).await,
            Scope::Changes { name, after } => self.changes(name, after, output).await,
            Scope::Only(keys) => self.only(&keys, output).await,
            Scope::Kept(documents) => self.kept(&documents, output).await,
        }
    }

    /// Batches end with pages, for only there is a place to go on from. A range without documents
    /// is one batch without rows.
    async fn range(&mut self, name: String, after: Option<String>, changes: Option<String>, output: &Output) -> Result<()> {
        let range: FeedRange = name
            .parse()
            .map_err(|_| Error::new(ErrorKind::Checkpoint, "the recorded range is none"))?;
        let (account, container) = (Arc::clone(&self.account), self.container.clone());
        let mut size = self.page_size(None);
        let changes = match changes {
            // Not even what changes while the first page is on its way is missed later.
            None if after.is_none() => Some(changes::pin(&container, &account.budget, &range, self.patience).await?),
            pinned => pinned,
        };
        let wanted = (Wanted::Documents, FeedScope::range(range));
        let mut pages = Pages::new(&container, &account.budget, wanted, size, after.clone(), self.patience);
        let mut last = after;
        loop {
            // Before the page: it is in memory until its documents are in the batch.
            self.documents.take_memory().await;
            let Some(page) = pages.next().await? else { break };
            if !page.documents.is_empty() {
                size = self.page_size(Some(&page));
            }
            // One by one, so that the page is gone before the batch is waited for.
            for document in page.documents {
                self.documents.add(&document)?;
            }
            last = Some(page.token);
            if !self.documents.is_empty() {
                let position = Position::Range {
                    range: name.clone(),
                    after: last.clone(),
                    changes: changes.clone(),
                    again: false,
                };
                send(self.documents.finish(position)?, output).await?;
            }
            pages.resize(size);
        }
        let end = Position::Range {
            range: name,
            after: last,
            changes,
            again: false,
        };
        send(self.documents.finish(end)?, output).await
    }

    /// What has changed in a range, until there is no change any more.
    async fn changes(&mut self, name: String, after: String, output: &Output) -> Result<()> {
        let range: FeedRange = name
            .parse()
            .map_err(|_| Error::new(ErrorKind::Checkpoint, "the recorded range is none"))?;
        let (account, container) = (Arc::clone(&self.account), self.container.clone());
        let mut size = self.page_size(None);
        let mut changes = Changes::new(&container, &account.budget, range, size, after, self.patience);
        loop {
            self.documents.take_memory().await;
            let page = changes.next().await?;
            let caught_up = page.documents.is_empty();
            if !caught_up {
                size = self.page_size(Some(&page));
            }
            // One by one, so that the page is gone before the batch is waited for.
            for document in page.documents {
                self.documents.add(&document)?;
            }
            let position = Position::Changes {
                range: name.clone(),
                after: page.token,
            };
            send(self.documents.finish(position)?, output).await?;
            if caught_up {
                return Ok(());
            }
            changes.resize(size);
        }
    }

    /// Single documents; what is gone is left out.
    async fn only(&mut self, keys: &[Key], output: &Output) -> Result<()> {
        for portion in keys.chunks(self.rows_max.max(1)) {
            for key in portion {
                let [KeyValue::Text(partition), KeyValue::Text(id)] = key.0.as_slice() else {
                    return Err(Error::new(ErrorKind::Checkpoint, "a recorded key is none of a document"));
                };
                let partition = partition::parse(partition)?;
                let budget = &self.account.budget;
                if let Some(document) = self.container.read(budget, self.patience, partition, id).await? {
                    self.documents.add(&document)?;
                }
            }
            if !self.documents.is_empty() {
                send(self.documents.finish(Position::End)?, output).await?;
            }
        }
        Ok(())
    }

    /// What was fetched for all streams together.
    async fn kept(&mut self, documents: &[Box<RawValue>], output: &Output) -> Result<()> {
        for document in documents {
            self.documents.add(document)?;
            if self.documents.is_full() {
                send(self.documents.finish(Position::End)?, output).await?;
            }
        }
        if self.documents.is_empty() {
            return Ok(());
        }
        send(self.documents.finish(Position::End)?, output).await
    }

    /// As many documents as fit a batch, by the size of those of the last page.
    fn page_size(&self, page: Option<&Page>) -> NonZeroU32 {
        let fitting = match page {
            None => FIRST_PAGE as usize,
            Some(page) => {
                let bytes: usize = page.documents.iter().map(|document| document.get().len()).sum();
                let average = bytes / page.documents.len().max(1);
                self.bytes_max / average.max(1)
            }
        };
        let size = u32::try_from(fitting.min(self.rows_max)).unwrap_or(u32::MAX);
        NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN)
    }
}

async fn send(batch: SourceBatch, output: &Output) -> Result<()> {
    output
        .send(Ok(batch))
        .await
        .map_err(|_| Error::new(ErrorKind::Interrupted, "nobody waits for the rows"))
}
