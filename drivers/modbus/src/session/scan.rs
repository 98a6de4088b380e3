//! One scan: a plan's requests out, answers into the cells of a row, culprits found.
//!
//! A request that is answered with exception 2 is split in two, and so on down to single tags, within the same scan: every
//! good tag still gets its value, and what was refused is remembered. Other exceptions do not split: they say nothing
//! about an address.

use crate::codec::ExceptionCode;
use crate::options::Settings;
use crate::plan::{Plan, ReadRequest, Tag};
use crate::refused::{Place, Refused, Span};
use crate::session::units::Units;
use crate::session::{Command, Event, Outcome};
use millstream_model::{Cell, Row, Status};
use std::collections::VecDeque;
use tokio::time::Instant;

/// A scan group with its plan.
#[derive(Debug)]
pub struct Group {
    tags: Vec<Tag>,
    plan: Plan,
    planned_for: u64,
}

impl Group {
    /// Plans `tags`.
    pub fn new(tags: Vec<Tag>, settings: &Settings, refused: &Refused) -> Self {
        let plan = Plan::new(&tags, settings.limits, refused);
        Self { tags, plan, planned_for: refused.version() }
    }

    /// The tags in the group's order.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Plans again where something was refused, or is not refused any more.
    pub fn refresh(&mut self, settings: &Settings, refused: &Refused) {
        if self.planned_for != refused.version() {
            self.plan = Plan::new(&self.tags, settings.limits, refused);
            self.planned_for = refused.version();
        }
    }
}

/// What a session knows about its device, beside its groups.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Refused spans.
    pub refused: Refused,
    /// Units that answer or do not.
    pub units: Units,
}

#[derive(Debug)]
enum Read {
    /// Index in the plan.
    Planned(usize),
    /// Part of a request that was refused.
    Part(Box<ReadRequest>),
}

#[derive(Debug)]
struct Job {
    read: Read,
    /// Index of the split that made it.
    parent: Option<usize>,
}

/// A request that was refused and split: what is to be learnt when both parts are read.
#[derive(Debug)]
struct Split {
    place: Place,
    gap: Span,
    whole: Span,
    /// Whether each part alone is smaller than the whole.
    divides: bool,
    good: u8,
}

/// A scan under way. Kept between scans, so that a scan allocates nothing while all goes well.
#[derive(Debug, Default)]
pub struct Scan {
    waiting: VecDeque<Job>,
    flying: Vec<(u64, Job)>,
    splits: Vec<Split>,
    buffers: Vec<Vec<u8>>,
    /// Units that failed in this scan, with the status of their cells.
    failed: Vec<(u8, Status)>,
}

impl Scan {
    /// Starts over; what is still unanswered is nobody's.
    pub fn start(&mut self, group: &Group, knowledge: &Knowledge, row: &mut Row) {
        self.waiting.clear();
        self.flying.clear();
        self.splits.clear();
        self.failed.clear();
        row.reset(group.tags.len(), Status::BadOutOfService);
        for tag in &group.plan.unreachable {
            row.cells[*tag] = Cell::Bad(Status::BadNodeIdUnknown);
        }
        for (index, request) in group.plan.requests.iter().enumerate() {
            if knowledge.units.is_in_service(request.place().unit) {
                self.waiting.push_back(Job { read: Read::Planned(index), parent: None });
            }
        }
    }

    /// Whether every answer is in.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// The next request to send, if there is one; `ticket` marks it.
    pub fn next(&mut self, ticket: u64, group: &Group, settings: &Settings) -> Option<Command> {
        let job = self.waiting.pop_front()?;
        let request = job.read.request(group);
        let command = Command {
            ticket,
            frame: request.frame().clone(),
            expect: request.expect().clone(),
            timeout: settings.request_timeout,
            is_probe: false,
            buffer: self.buffers.pop().unwrap_or_default(),
        };
        self.flying.push((ticket, job));
        Some(command)
    }

    /// Takes back a command that could not be sent.
    pub fn give_back(&mut self, command: Command) {
        if let Some(index) = self.flying.iter().position(|(ticket, _)| *ticket == command.ticket) {
            let (_, job) = self.flying.remove(index);
            self.waiting.push_front(job);
        }
        self.buffers.push(command.buffer);
    }

    /// Takes an event of this scan; others are ignored.
    pub fn settle(
        &mut self,
        now: Instant,
        event: Event,
        group: &Group,
        knowledge: &mut Knowledge,
        row: &mut Row,
    ) {
        let Some(index) = self.flying.iter().position(|(ticket, _)| *ticket == event.ticket) else { return };
        let (_, job) = self.flying.swap_remove(index);
        let request = job.read.request(group);
        match event.outcome {
            Outcome::Data => {
                request.decode(&event.buffer, &group.tags, &mut row.cells);
                if let Some(parent) = job.parent {
                    self.part_is_good(now, parent, &mut knowledge.refused);
                }
            }
            Outcome::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS) => {
                self.refuse(now, &job, group, &mut knowledge.refused, row);
            }
            Outcome::Exception(code) => {
                set(request, &mut row.cells, code.status());
                if code.is_gateway() {
                    self.fail_unit(event.unit, code.status(), group, row);
                }
            }
            Outcome::Timeout => {
                set(request, &mut row.cells, Status::BadTimeout);
                self.fail_unit(event.unit, Status::BadTimeout, group, row);
            }
            Outcome::Malformed(_) | Outcome::Done | Outcome::Late => {
                set(request, &mut row.cells, Status::BadDecodingError);
            }
        }
        self.buffers.push(event.buffer);
    }

    /// The unit's other requests of this scan would only wait for nothing.
    fn fail_unit(&mut self, unit: u8, status: Status, group: &Group, row: &mut Row) {
        let (mut kept, mut left_out) = (VecDeque::new(), Vec::new());
        for job in self.waiting.drain(..) {
            if job.read.request(group).place().unit == unit {
                left_out.push(job);
            } else {
                kept.push_back(job);
            }
        }
        self.waiting = kept;
        for job in left_out {
            set(job.read.request(group), &mut row.cells, status);
        }
        self.failed.push((unit, status));
    }

    fn refuse(&mut self, now: Instant, job: &Job, group: &Group, refused: &mut Refused, row: &mut Row) {
        let request = job.read.request(group);
        let place = request.place();
        let Some((left, right)) = request.split(&group.tags) else {
            refused.learn(now, place, request.span());
            set(request, &mut row.cells, Status::BadNodeIdUnknown);
            return;
        };
        let gap = Span { start: left.span().end, end: right.span().start };
        let parent = self.splits.len();
        let whole = request.span();
        let divides = left.span() != whole && right.span() != whole;
        self.splits.push(Split { place, gap, whole, divides, good: 0 });
        for part in [right, left] {
            self.waiting.push_front(Job { read: Read::Part(Box::new(part)), parent: Some(parent) });
        }
    }

    /// When both parts of a refused request are good, what lies between them is not.
    fn part_is_good(&mut self, now: Instant, parent: usize, refused: &mut Refused) {
        let split = &mut self.splits[parent];
        split.good += 1;
        if split.good < 2 {
            return;
        }
        if split.place.area == crate::address::Area::ExtendedRegister {
            refused.separate(split.place);
        } else if !split.gap.is_empty() {
            refused.learn_gap(now, split.place, split.gap);
        } else if split.divides {
            // Nothing lies between: the device only refuses them together.
            refused.learn_gap(now, split.place, split.whole);
        }
    }

    /// Units that failed in this scan.
    pub fn failed_units(&self) -> impl Iterator<Item = u8> + '_ {
        self.failed.iter().map(|(unit, _)| *unit)
    }
}

impl Read {
    fn request<'a>(&'a self, group: &'a Group) -> &'a ReadRequest {
        match self {
            Self::Planned(index) => &group.plan.requests[*index],
            Self::Part(request) => request,
        }
    }
}

fn set(request: &ReadRequest, cells: &mut [Cell], status: Status) {
    for slot in request.slots() {
        cells[slot.tag] = Cell::Bad(status);
    }
}
