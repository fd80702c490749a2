//! Where the job stands.

use snow_rehearsal::Job;

use crate::row::Verb::{Fetch, Refresh, Run};
use crate::row::{Again, Cast, Fault, Given, Kept, Row};

/// The states of the API (Snowball API, JobMetadata) in which the stand-in gives nothing out.
const CLOSED: [(&str, &str); 11] = [
    ("New", "job_not_ready"),
    ("PreparingAppliance", "job_not_ready"),
    ("PreparingShipment", "job_not_ready"),
    ("Listing", "job_not_ready"),
    ("Pending", "job_not_ready"),
    ("InTransitToAWS", "job_too_late"),
    ("WithAWSSortingFacility", "job_too_late"),
    ("WithAWS", "job_too_late"),
    ("Complete", "job_too_late"),
    ("Cancelled", "job_too_late"),
    ("InProgress", "job_not_usable"),
];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = CLOSED
        .iter()
        .map(|(state, code)| Row::new(Run, format!("the job is {state}"), Fault::JobState(state)).fails(6, code))
        .collect();
    let delivered_only = Cast { ready_states: Some(&["WithCustomer"]), ..Cast::default() };
    let in_parts = Cast { job: Some(Job::new()), in_parts: true, ..Cast::default() };
    rows.extend([
        Row::new(Run, "the job is in a state of tomorrow", Fault::JobState("Teleported")).fails(6, "job_not_usable"),
        Row::new(Fetch, "the job is InTransitToCustomer, and given out", Fault::JobState("InTransitToCustomer")).well(),
        Row::new(
            Fetch,
            "the job is InTransitToCustomer, and not yet given out",
            Fault::JobState("InTransitToCustomer"),
        )
        .cast(delivered_only)
        .fails(6, "job_not_ready"),
        Row::new(Run, "the job is WithCustomer", Fault::JobState("WithCustomer")).well(),
        Row::new(Run, "the job is on its way back", Fault::JobState("InTransitToAWS")).given(Given::Pair).well(),
        Row::new(Refresh, "the job is on its way back", Fault::JobState("InTransitToAWS"))
            .given(Given::Stale)
            .fails(6, "job_too_late"),
        Row::new(Run, "the job is a node of a cluster", Fault::None)
            .cast(Cast { job: Some(Job::new()), in_cluster: true, ..Cast::default() })
            .fails(2, "cluster_addresses_missing")
            .kept(Kept::Nothing)
            .again(Again::Stays),
        Row::new(Fetch, "the job is the main one of an export in parts", Fault::None)
            .cast(in_parts)
            .fails(6, "job_is_main")
            .kept(Kept::Nothing)
            .again(Again::Stays),
    ]);
    rows
}
