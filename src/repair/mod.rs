//! Repair: mends in the target what a verification has found, by the keys that its report names.
//!
//! Nothing of the report is believed but which rows to look at: each is looked at again, before the
//! plan is shown and once more under the lease, and what counts is how it differs then. What is
//! missing or different is moved by the pipeline, in batches like those of a run. Rows that the
//! target alone has are deleted only where that is asked for, and rows that the source does not have
//! any more are never written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::config::Config;
use crate::mapping::Project;
use crate::pipeline::event::Events;
use crate::pipeline::mend;
use crate::pipeline::plan::Plan;
use crate::pipeline::shutdown::Shutdown;
use crate::verify::Targets;
use crate::verify::look::{self, Looked, Moment};
use crate::verify::report::{DifferenceKind, VerifyReport};
use crate::{Error, ErrorKind, Result};

mod carry_out;
mod input;
pub mod report;

pub use input::parse;
use report::{Left, RepairReport, StreamRepair};

/// What is to be repaired, over a plan of the streams concerned.
pub struct Repair {
    plan: Plan,
    targets: Targets,
    /// Rows that the report lists, by the places of their streams.
    listed: BTreeMap<usize, BTreeSet<u128>>,
    /// Rows that the target alone has are deleted.
    delete_extra: bool,
    /// Streams of which the report lists rows, and a connection is disabled.
    left_out: Vec<StreamRepair>,
}

/// Streams that write one target, and what became of the rows that are listed of them.
struct Group {
    places: Vec<usize>,
    looked: Looked,
}

/// All of them at one moment, of which the sources are still open.
struct Now {
    moment: Moment,
    groups: Vec<Group>,
}

/// Names of the streams to plan: those of which the report lists rows, and all that write the same
/// targets, for a row that one of them covers is not extra.
///
/// # Errors
/// [`ErrorKind::Usage`] where the report is of another project, or names streams that are not in it.
pub fn concerned(report: &VerifyReport, project: &Project, only: &[String]) -> Result<Vec<String>> {
    if report.project != project.name {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the report is of project `{}`, not of `{}`", report.project, project.name),
        )
        .hint("name the folder of its project after the report"));
    }
    if let Some(name) = only
        .iter()
        .find(|name| report.streams.iter().all(|stream| stream.name != **name))
    {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the report tells nothing of a stream `{name}`"),
        ));
    }
    let mut names = BTreeSet::new();
    for verdict in report
        .streams
        .iter()
        .filter(|verdict| is_concerned(verdict.differences.is_empty(), &verdict.name, only))
    {
        let Some(stream) = project.streams.iter().find(|stream| stream.name.value == verdict.name) else {
            return Err(anew(format!(
                "stream `{}` is not in project `{}` any more",
                verdict.name, project.name
            )));
        };
        let same = project.streams.iter().filter(|other| other.to.value == stream.to.value);
        names.extend(same.map(|other| other.name.value.clone()));
        names.insert(verdict.name.clone());
    }
    Ok(names.into_iter().collect())
}

fn is_concerned(is_empty: bool, name: &String, only: &[String]) -> bool {
    !is_empty && (only.is_empty() || only.contains(name))
}

fn anew(what: String) -> Error {
    Error::new(ErrorKind::Usage, what).hint("verify again, and repair by the new report")
}

impl Repair {
    /// Over a plan of the streams [`concerned`].
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where a stream is not what it was when it was verified; as
    /// [`Config::resolve`].
    pub fn new(mut plan: Plan, config: &Config, report: &VerifyReport, only: &[String], delete_extra: bool) -> Result<Self> {
        let mut listed: BTreeMap<usize, BTreeSet<u128>> = BTreeMap::new();
        let mut left_out = Vec::new();
        let verdicts = report.streams.iter();
        for verdict in verdicts.filter(|verdict| is_concerned(verdict.differences.is_empty(), &verdict.name, only)) {
            let Some(place) = plan.streams.iter().position(|stream| stream.name == verdict.name) else {
                left_out.push(StreamRepair::left_out(verdict));
                continue;
            };
            if plan.streams[place].fingerprint != verdict.fingerprint {
                return Err(anew(format!(
                    "stream `{}` is not what it was when it was verified: its mapping, source or target has changed",
                    verdict.name
                )));
            }
            let ids = verdict
                .differences
                .iter()
                .map(|difference| input::id(&difference.id, &verdict.name));
            listed.insert(place, ids.collect::<Result<_>>()?);
        }
        mend::prepare(&mut plan);
        let targets = Targets::unopened(config, &plan)?;
        Ok(Self {
            plan,
            targets,
            listed,
            delete_extra,
            left_out,
        })
    }

    /// Looks at every row that is listed, and tells what would be done; nothing is written.
    ///
    /// # Errors
    /// What reading either side fails with.
    pub async fn propose(&self, verified: &VerifyReport, (events, shutdown): (&Events, &Shutdown)) -> Result<RepairReport> {
        let mut report = RepairReport::new(&self.plan, verified, self.delete_extra);
        for (place, ids) in &self.listed {
            let stream = &self.plan.streams[*place];
            let told = verified.streams.iter().find(|verdict| verdict.name == stream.name);
            let refused = match look::not_found_by_key(stream) {
                Some(why) => Some(format!(
                    "{why}: `dbferry run PROJECT --only {} --restart` moves all of them anew",
                    stream.name
                )),
                None => mend::not_written_by_key(&self.plan, stream).await?,
            };
            report.streams.push(StreamRepair {
                listed: ids.len() as u64,
                not_listed: told.map_or(0, |told| told.not_listed),
                refused,
                ..StreamRepair::new(stream)
            });
        }
        report.streams.extend(self.left_out.iter().cloned());
        let now = self.look(&report, (events, shutdown)).await?;
        for group in &now.groups {
            self.count(group, &mut report);
        }
        Ok(report)
    }

    /// Does it; the report tells what was done, and what is left.
    ///
    /// # Errors
    /// What reading or writing fails with; what was committed stays, and repairing again does the rest.
    pub async fn carry_out(&self, report: &mut RepairReport, (events, shutdown): (&Events, &Shutdown)) -> Result<()> {
        carry_out::carry_out(self, report, (events, shutdown)).await?;
        for stream in &mut report.streams {
            stream.left = stream.refused.is_none().then(Left::default);
        }
        for group in self.look(report, (events, shutdown)).await?.groups {
            for found in &group.looked.found {
                let name = &self.plan.streams[found.stream].name;
                let Some(left) = report.stream(name).and_then(|stream| stream.left.as_mut()) else {
                    continue;
                };
                match found.kind {
                    DifferenceKind::Missing => left.missing += 1,
                    DifferenceKind::Extra => left.extra += 1,
                    DifferenceKind::Different | DifferenceKind::Unsettled => left.different += 1,
                }
            }
        }
        report.close();
        Ok(())
    }

    /// Looks at the rows that are listed of all streams that are not refused, at a moment of now.
    async fn look(&self, report: &RepairReport, watch: (&Events, &Shutdown)) -> Result<Now> {
        let mut wanted: Vec<(Vec<usize>, BTreeSet<u128>)> = Vec::new();
        for places in look::groups(&self.plan) {
            let may = |place: &&usize| {
                let name = &self.plan.streams[**place].name;
                report
                    .streams
                    .iter()
                    .any(|stream| stream.name == *name && stream.refused.is_none())
            };
            let ids = places.iter().filter(may).filter_map(|place| self.listed.get(place));
            let ids: BTreeSet<u128> = ids.flatten().copied().collect();
            if !ids.is_empty() {
                wanted.push((places, ids));
            }
        }
        let places: Vec<usize> = wanted.iter().flat_map(|(places, _)| places).copied().collect();
        let mut moment = self.targets.later(&self.plan, &places).await?;
        let mut groups = Vec::new();
        for (places, ids) in wanted {
            let looked = look::look(&self.plan, &places, (&self.targets, &moment), ids, watch).await?;
            groups.push(Group { places, looked });
        }
        moment.let_go();
        Ok(Now { moment, groups })
    }

    /// What is to be done with a group, by its streams.
    fn count(&self, group: &Group, report: &mut RepairReport) {
        let differing: HashSet<u128> = group.looked.found.iter().map(|found| found.id).collect();
        for place in &group.places {
            let (Some(ids), Some(stream)) = (self.listed.get(place), report.stream(&self.plan.streams[*place].name)) else {
                continue;
            };
            if stream.refused.is_none() {
                stream.equal = ids.iter().filter(|id| !differing.contains(id)).count() as u64;
            }
        }
        for found in &group.looked.found {
            let planned = &self.plan.streams[found.stream];
            let told = report.stream_or_new(planned);
            match found.kind {
                DifferenceKind::Missing => told.insert += 1,
                DifferenceKind::Different | DifferenceKind::Unsettled => told.correct += 1,
                DifferenceKind::Extra if self.delete_extra && found.has_key() => told.delete += 1,
                DifferenceKind::Extra => told.extra += 1,
            }
        }
    }
}
