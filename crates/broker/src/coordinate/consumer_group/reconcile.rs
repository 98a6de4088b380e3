//! One step of a member from what it holds towards what it shall hold.
//!
//! ```text
//!              something to give back
//!   Stable ──────────────────────────────► UnrevokedPartitions
//!     ▲  ▲                                   │           │ it was given back, and what comes instead is held by another
//!     │  └──── it was given back ────────────┘           ▼
//!     └─────────── the others gave back ─────── UnreleasedPartitions
//! ```
//!
//! A partition is handed to a member only where nobody holds it, and counts as held until its holder's heartbeat no longer names
//! it. Source: KIP-848, "Reconciliation of the group".
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{Current, Held, MemberState, Partition};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What a member is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal<'a> {
    pub(crate) epoch: i32,
    pub(crate) partitions: &'a BTreeSet<Partition>,
}

/// What decides on the next step, beside what is held and what shall be.
pub(crate) struct Step<'a> {
    pub(crate) goal: Goal<'a>,
    /// Whether the member is subscribed to a topic now.
    pub(crate) is_subscribed: &'a dyn Fn(Uuid) -> bool,
    /// Whether no other member holds a partition.
    pub(crate) is_free: &'a dyn Fn(&Partition) -> bool,
    /// What the member says it holds; `None` where it does not say.
    pub(crate) owned: Option<&'a BTreeSet<Partition>>,
    pub(crate) subscription_changed: bool,
}

impl Step<'_> {
    /// What the member holds next. `None` where it must begin again from nothing (`FENCED_MEMBER_EPOCH`).
    pub(crate) fn take(&self, current: &Current) -> Option<Current> {
        let unchanged = || if self.subscription_changed { self.shrink(current) } else { current.clone() };
        Some(match current.state {
            MemberState::Stable if current.epoch == self.goal.epoch => unchanged(),
            MemberState::UnrevokedPartitions if self.still_owns(&current.revoking) => unchanged(),
            MemberState::Stable | MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                self.advance(current)
            }
            MemberState::Unknown if self.owned.is_some_and(BTreeSet::is_empty) => self.advance(current),
            MemberState::Unknown => return None,
        })
    }

    fn still_owns(&self, partitions: &Held) -> bool {
        self.owned.is_none_or(|owned| owned.iter().any(|at| partitions.contains_key(at)))
    }

    /// Takes away what belongs to topics that the member gave up, without waiting for a new target.
    fn shrink(&self, current: &Current) -> Current {
        let (assigned, given_up): (Held, Held) = current
            .assigned
            .iter()
            .map(|(at, epoch)| (*at, *epoch))
            .partition(|(at, _)| (self.is_subscribed)(at.0));
        if given_up.is_empty() {
            return current.clone();
        }
        let mut revoking = current.revoking.clone();
        revoking.extend(given_up);
        let mut next = Current { assigned, ..current.clone() };
        if self.still_owns(&revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.revoking = revoking;
        }
        next
    }

    fn advance(&self, current: &Current) -> Current {
        let goal = |at: &Partition| self.goal.partitions.contains(at) && (self.is_subscribed)(at.0);
        let (mut assigned, revoking): (Held, Held) =
            current.assigned.iter().map(|(at, epoch)| (*at, *epoch)).partition(|(at, _)| goal(at));
        if !revoking.is_empty() && self.still_owns(&revoking) {
            let state = MemberState::UnrevokedPartitions;
            return Current { state, assigned, revoking, ..*current };
        }
        let missing =
            self.goal.partitions.iter().filter(|at| goal(at) && !current.assigned.contains_key(*at));
        let (free, unreleased): (Vec<&Partition>, Vec<&Partition>) =
            missing.partition(|at| (self.is_free)(at));
        assigned.extend(free.into_iter().map(|at| (*at, self.goal.epoch)));
        Current {
            epoch: self.goal.epoch,
            previous_epoch: if current.epoch == self.goal.epoch {
                current.previous_epoch
            } else {
                current.epoch
            },
            state: if unreleased.is_empty() {
                MemberState::Stable
            } else {
                MemberState::UnreleasedPartitions
            },
            assigned,
            revoking: Held::new(),
        }
    }
}
