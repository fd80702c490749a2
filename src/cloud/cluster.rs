//! The pair of a cluster. The API has no call for it: each node's job is asked for the same pair.

use std::time::Instant;

use super::api::{Api, MAX_PAGES, PAGE, incomplete, listed, not_released};
use super::failure::Refusal;
use super::{ClusterJobs, DescribedJob, FetchedPair, Sink, logged};
use crate::error::{Error, Result};
use crate::model::{ClusterId, JobFacts, JobId, Readiness};

/// A node, and how its job stands.
struct ListedNode {
    job: JobId,
    readiness: Readiness,
}

impl Api {
    /// See [`Cloud::job_or_node`](super::Cloud::job_or_node).
    pub(super) async fn job_or_node(&self, job: &JobId) -> Result<JobFacts> {
        let work = async {
            let described = self.describe(job.as_str()).await.map_err(|refusal| self.plain(job.as_str(), refusal))?;
            Ok(described.facts)
        };
        let result = self.wait.run_with_deadline(self.setting.api(), work).await;
        self.with_who_asked(result).await
    }

    /// See [`Cloud::cluster`](super::Cloud::cluster).
    pub(super) async fn cluster(&self, cluster: &ClusterId) -> Result<ClusterJobs> {
        let work = async {
            let (nodes, gone) = self.nodes(cluster).await?;
            let jobs = nodes.into_iter().map(|node| node.job).collect();
            Ok(ClusterJobs { jobs, not_compared: Vec::new(), gone })
        };
        let result = self.wait.run_with_deadline(self.setting.api(), work).await;
        self.with_who_asked(result).await
    }

    /// See [`Cloud::fetch_cluster_pair`](super::Cloud::fetch_cluster_pair).
    pub(super) async fn fetch_cluster_pair(
        &self,
        cluster: &ClusterId,
        pair_of: Option<&JobId>,
        sink: &mut dyn Sink,
    ) -> Result<FetchedPair> {
        let work = async {
            let (nodes, gone) = self.nodes(cluster).await?;
            let asked = asked_for(&nodes, cluster, pair_of)?;
            let described =
                self.describe(asked.as_str()).await.map_err(|refusal| self.plain(asked.as_str(), refusal))?;
            let pair = async { tokio::try_join!(self.manifest(asked, sink), self.unlock_code(asked)) };
            let (bytes, code) = match pair.await {
                Ok(pair) => pair,
                Err(Refusal::State | Refusal::Unknown) => return Err(not_released(asked, described)),
                Err(Refusal::Failed(error) | Refusal::Passing(error)) => return Err(error),
            };
            let mut not_compared = Vec::new();
            for ListedNode { job, readiness } in nodes.iter().filter(|node| node.job != *asked) {
                if pair_of.is_some() || *readiness == Readiness::NotYet {
                    not_compared.push(job.clone());
                    continue;
                }
                match self.unlock_code(job).await {
                    // In constant time; the other one is wiped here.
                    Ok(other) if code.is_same_as(&other) => {}
                    Ok(_) => {
                        let (one, other) = (asked.to_string(), job.to_string());
                        return Err(Error::ClusterCodesDiffer { cluster: cluster.to_string(), one, other });
                    }
                    Err(Refusal::State | Refusal::Unknown) => not_compared.push(job.clone()),
                    Err(Refusal::Failed(error) | Refusal::Passing(error)) => return Err(error),
                }
            }
            let DescribedJob { facts, .. } = described;
            let jobs = nodes.iter().map(|node| node.job.clone()).collect();
            Ok(FetchedPair { facts, code, bytes, nodes: ClusterJobs { jobs, not_compared, gone } })
        };
        let result = self.wait.run_with_deadline(self.setting.api(), work).await;
        self.with_who_asked(result).await
    }

    /// The nodes whose device is here or on its way, and the jobs of the others.
    async fn nodes(&self, cluster: &ClusterId) -> Result<(Vec<ListedNode>, Vec<JobId>)> {
        let listed = self.list_nodes(cluster).await.map_err(|refusal| self.plain(cluster.as_str(), refusal))?;
        let (mut nodes, mut gone) = (Vec::new(), Vec::new());
        for facts in listed.into_iter().filter(|facts| !facts.is_main) {
            let readiness = facts.state.readiness();
            // What is received is not validated, but what is asked for has to be an id.
            let Ok(job) = facts.id.parse() else { continue };
            if readiness == Readiness::TooLate {
                gone.push((job, facts));
            } else {
                nodes.push(ListedNode { job, readiness });
            }
        }
        if !nodes.is_empty() {
            return Ok((nodes, gone.into_iter().map(|(job, _)| job).collect()));
        }
        Err(match gone.pop() {
            Some((job, facts)) => not_released(&job, DescribedJob { facts, parts: Vec::new() }),
            None => incomplete("ListClusterJobs", "JobListEntries"),
        })
    }

    async fn list_nodes(&self, cluster: &ClusterId) -> Result<Vec<JobFacts>, Refusal> {
        const NAME: &str = "ListClusterJobs";
        let (mut jobs, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = self.wait.with_retry(NAME, async || {
                let started = Instant::now();
                let call = self.client.list_cluster_jobs().cluster_id(cluster.as_str());
                let page = call.max_results(PAGE).set_next_token(next.clone()).send().await;
                logged::answer(NAME, started, &page);
                page.map_err(|error| self.setting.refusal(NAME, &error, &self.wait))
            });
            let page = page.await?;
            jobs.extend(page.job_list_entries.unwrap_or_default().into_iter().filter_map(listed));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        Ok(jobs)
    }
}

/// The node whose pair is asked for: the one that was named, else the one that is most likely to have it.
fn asked_for<'a>(nodes: &'a [ListedNode], cluster: &ClusterId, named: Option<&JobId>) -> Result<&'a JobId> {
    const LIKELY: [Readiness; 3] = [Readiness::Ready, Readiness::OnItsWay, Readiness::Unknown];
    let found = match named {
        Some(named) => nodes.iter().find(|node| node.job == *named),
        None => {
            let of = |readiness: &Readiness| nodes.iter().find(|node| node.readiness == *readiness);
            LIKELY.iter().find_map(of).or(nodes.first())
        }
    };
    let unknown = || Error::Usage {
        why: format!("--pair-of does not name a node of the cluster {cluster} whose device is here or on its way."),
    };
    found.map(|node| &node.job).ok_or_else(unknown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CLUSTER: &str = "CID123e4567-e89b-12d3-a456-426655440000";

    #[test]
    fn a_delivered_node_is_asked_first_and_a_named_one_always() {
        let job = |node: usize| format!("JID123e4567-e89b-12d3-a456-42665544000{node}").parse::<JobId>().unwrap();
        let cluster = CLUSTER.parse().unwrap();
        let states = [Readiness::NotYet, Readiness::OnItsWay, Readiness::Ready, Readiness::Ready];
        let nodes: Vec<ListedNode> =
            states.into_iter().enumerate().map(|(at, readiness)| ListedNode { job: job(at), readiness }).collect();
        assert_eq!(*asked_for(&nodes, &cluster, None).unwrap(), job(2));
        assert_eq!(*asked_for(&nodes[..2], &cluster, None).unwrap(), job(1));
        assert_eq!(*asked_for(&nodes[..1], &cluster, None).unwrap(), job(0));
        assert_eq!(*asked_for(&nodes, &cluster, Some(&job(0))).unwrap(), job(0));
        assert_eq!(asked_for(&nodes, &cluster, Some(&job(9))).unwrap_err().code(), "usage");
    }
}
