//! What AWS did not allow, and what would.

use crate::error::Error;

/// A refusal with the statement that would lift it. What AWS names counts more than what was called: a key's permission may be
/// what is missing.
pub(super) fn denied(called: String, why: String) -> Error {
    let is_action = |word: &&str| {
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        word.split_once(':').is_some_and(|(service, name)| is_name(service) && is_name(name))
    };
    let named = why.split_once("not authorized to perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
    let named = named.map(|word| word.trim_end_matches(['.', ','])).filter(is_action).map(str::to_owned);
    let action = named.unwrap_or(called);
    let mut statement = format!("{{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"*\"}}");
    // Both halves are encrypted with the key of the job (Snow Family, "Encryption").
    if matches!(&*action, "snowball:GetJobManifest" | "snowball:GetJobUnlockCode") {
        statement.push_str("\nIf the policy already has it, ask for kms:Decrypt on the job's KMS key.");
    }
    Error::AccessDenied { action, why, statement }
}
