//! What to do when an unlock code has been seen by somebody who should not have it.
//!
//! # What it is worth to them
//!
//! The code alone opens nothing: the manifest of the same job is needed as well, and the device itself, within reach of a
//! network. Ask therefore first: **has the manifest leaked as well, and where is the device?**
//!
//! | leaked | the device is | urgency |
//! | --- | --- | --- |
//! | the code | with you, in your network | rotate before the device travels |
//! | the code | on its way, or in a place that others enter | now |
//! | code and manifest | anywhere | now, and take the device off the network |
//! | the presigned URL of the manifest | anywhere | it is good for an hour; whoever used it has the manifest |
//!
//! # What does not help
//!
//! - Fetching again. `snow-onboard fetch --refresh` obtains what AWS has, which is the same code until AWS has made
//!   another one.
//! - Locking or restarting the device. It will open to the same code again.
//! - Removing the code from where it leaked. Do it all the same; but it has been there.
//! - Any call of the API: it has none that changes a code.
//!
//! # What helps
//!
//! 1. **Ask AWS Support to renew the device's credentials.** Only they can: the device gets a new certificate, and the job a
//!    new manifest and a new unlock code (Snowball Edge developer guide, on
//!    updating the SSL certificate of a device). Say the job id. Never put the code into the ticket.
//! 2. Until then, keep the device under lock, without power or off the network.
//! 3. When Support says that it is done: `snow-onboard fetch --refresh JID…`. The old pair is replaced only when
//!    the new one is whole (`tests/whole/secret_service.rs::fetch_keeps_refresh_replaces_and_forget_removes`). A new manifest with an old
//!    code, or the other way round, is noticed before the device is touched
//!    (`tests/whole/secret_service.rs::halves_that_don_t_belong_together_never_reach_a_device`).
//! 4. Look into CloudTrail: who has called `GetJobUnlockCode` and `GetJobManifest` of this job?
//! 5. Remove it from where it was: shell histories, tickets, chats, CI logs, and the vendor's own profile file
//!    (`.aws/snowball/config/snowball-edge.config` in the home of whoever used the client by hand), which keeps codes in
//!    clear: `snow-onboard forget JID… --client-profile NAME` takes one profile out of it
//!    (`src/device/client/own_profiles.rs::just_the_named_profile_is_taken_out`).
//!
//! # If it stood on a command line with your leave
//!
//! The audit log says so, and the record with the number of seconds
//! ([`HandOverRecord::argv_seconds`](crate::model::HandOverRecord::argv_seconds)). Process monitors, audit daemons and
//! endpoint protection keep command lines for long; whether that is a leak is for your rules to say.
