//! The commands for clusters.

use super::{
    Command, StandIn,
    commands::{Access, Failure},
    device::{address, ask, place, try_ask},
    json,
};
use crate::device::{Answer, Question, Wish};

/// What the guide has a command say when it went well.
pub(super) const fn promise(command: Command) -> Option<&'static str> {
    match command {
        Command::UnlockCluster => Some(
            "Your Snowball Edge Cluster is unlocking. You may determine the unlock state of your cluster using the \
             describe-device command. Your Snowball Edge Cluster will be available for use when your Snowball Edge devices \
             are in the UNLOCKED state.",
        ),
        Command::AssociateDevice => Some(
            "Associating your Snowball Edge device with the cluster. Your Snowball Edge device will be associated with the \
             cluster when it is in the ASSOCIATED state. You can use the describe-cluster command to determine the state \
             of your cluster.",
        ),
        _ => None,
    }
}

/// Does what a command is for, and gives what it says. The subject is an address or a device's id.
pub(super) fn run(stand_in: &StandIn, access: &Access, command: Command, subject: &str) -> Result<String, Failure> {
    let device_key = access.device_key(stand_in, command)?;
    let question = |wish| Question { wish, device_key: device_key.clone() };
    match command {
        Command::UnlockCluster => unlock(access, question)?,
        // What part the endpoint has in this is not documented: it may be this very node.
        Command::AssociateDevice => {
            ask(&format!("https://{subject}"), &question(Wish::Associate))?;
        }
        Command::DescribeCluster => {
            return match ask(&access.endpoint, &question(Wish::DescribeCluster))? {
                Answer::Json(value) => Ok(json::pretty(&value)),
                _ => Err(Failure::new("the device answers something else")),
            };
        }
        _ => {
            ask(&access.endpoint, &question(Wish::Disassociate(subject.to_owned())))?;
        }
    }
    Ok(promise(command).unwrap_or_default().to_owned())
}

/// Asks every node that answers; the endpoint, one of them, has to. What the vendor's client does about the others is not
/// documented.
fn unlock(access: &Access, question: impl Fn(Wish) -> Question) -> Result<(), Failure> {
    if access.addresses.is_empty() {
        return Err(Failure::new("unlock-cluster needs --device-ip-addresses"));
    }
    let nodes: Vec<_> = access.addresses.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
    if !nodes.contains(&place(&access.endpoint)?) {
        return Err(Failure::new("the endpoint is none of the addresses"));
    }
    ask(&access.endpoint, &question(Wish::UnlockCluster))?;
    for node in &nodes {
        // Ignored is only that a node does not answer.
        drop(try_ask(node, &question(Wish::Join))?);
    }
    Ok(())
}
