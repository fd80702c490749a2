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
    // No permission lifts it, and a policy of the organization is not the identity's.
    if let Some((_, policy)) = why.split_once("with an explicit deny") {
        let policy = policy.trim_start_matches(" in ").trim_start_matches("a ").trim_start_matches("an ");
        let policy = policy.split([':', '.', ',']).next().unwrap_or_default().trim();
        let policy = if policy.is_empty() { "policy".to_owned() } else { policy.to_owned() };
        let hint =
            format!("The {policy} forbids it. Ask your AWS administrator to except {action} from its Deny statement.");
        return Error::AccessDenied { action, why, hint };
    }
    let mut hint = format!(
        "Ask your AWS administrator to add this statement to the identity's IAM policy:\n  {{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"*\"}}"
    );
    // Both halves are encrypted with the key of the job (Snow Family, "Encryption").
    if matches!(&*action, "snowball:GetJobManifest" | "snowball:GetJobUnlockCode") {
        hint.push_str("\nIf the policy already has it, ask for kms:Decrypt on the job's KMS key.");
    }
    Error::AccessDenied { action, why, hint }
}
