//! The topics that there are, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// One topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
}

/// All topics that clients may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    topics: BTreeMap<Arc<str>, Shape>,
    names: BTreeMap<Uuid, Arc<str>>,
    version: i64,
}

impl FromIterator<(Arc<str>, Shape)> for Topology {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Shape)>>(topics: T) -> Self {
        let topics: BTreeMap<_, _> = topics.into_iter().collect();
        let names = topics.iter().map(|(name, shape)| (shape.id, Arc::clone(name))).collect();
        let version = hash(topics.iter().map(|(name, shape)| (&**name, *shape)));
        Self { topics, names, version }
    }
}

impl Topology {
    pub(crate) fn shape(&self, name: &str) -> Option<Shape> {
        self.topics.get(name).copied()
    }

    pub(crate) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.keys()
    }

    /// Another one wherever anything differs; the same after a restart.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// A number that changes when one of these topics comes, goes, or gets more partitions. 0 where there is none of them.
    pub(crate) fn hash_of<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>) -> i64 {
        hash(names.into_iter().filter_map(|name| Some((&**name, self.shape(name)?))))
    }
}

/// FNV-1a. Kafka hashes otherwise, and compares with its own hashes only.
fn hash<'a>(topics: impl Iterator<Item = (&'a str, Shape)>) -> i64 {
    let mut topics = topics.peekable();
    if topics.peek().is_none() {
        return 0;
    }
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, shape) in topics {
        eat(name.as_bytes());
        eat(&[0]);
        eat(shape.id.as_bytes());
        eat(&shape.partitions.to_be_bytes());
    }
    i64::from_be_bytes(state.to_be_bytes())
}
