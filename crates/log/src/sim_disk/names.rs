//! Directories of the simulated disk: names as seen, names on the platter, and the changes between.

use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Dir(u64),
}

/// A name in a directory.
type Key = (u64, String);

/// One change, whole or not at all: each name gets a node or loses it.
type Change = Vec<(Key, Option<Node>)>;

#[derive(Debug)]
pub(super) struct Names {
    seen: BTreeMap<Key, Node>,
    durable: BTreeMap<Key, Node>,
    pending: Vec<Change>,
    dirs_made: u64,
}

const ROOT: u64 = 0;

impl Names {
    pub(super) fn new() -> Self {
        Self { seen: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new(), dirs_made: ROOT }
    }

    pub(super) fn find(&self, path: &Path) -> Option<Node> {
        path.components().try_fold(Node::Dir(ROOT), |node, part| match (node, part) {
            (_, Component::RootDir) => Some(Node::Dir(ROOT)),
            (Node::Dir(dir), Component::Normal(name)) => {
                self.seen.get(&(dir, name.to_string_lossy().into_owned())).copied()
            }
            (Node::Dir(dir), Component::CurDir) => Some(Node::Dir(dir)),
            _ => None,
        })
    }

    fn dir(&self, path: &Path) -> io::Result<u64> {
        match self.find(path) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, format!("no directory {}", path.display()))),
        }
    }

    fn key(&self, path: &Path) -> io::Result<Key> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.dir(path.parent().unwrap_or(Path::new("/")))?;
        Ok((dir, name.to_string_lossy().into_owned()))
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let dir = self.dir(path)?;
        let names = self.seen.range((dir, String::new())..(dir + 1, String::new()));
        Ok(names.map(|((_, name), _)| name.clone()).collect())
    }

    /// Every file that has a name.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        self.seen
            .values()
            .filter_map(|node| match node {
                Node::File(inode) => Some(*inode),
                Node::Dir(_) => None,
            })
            .collect()
    }

    /// Binds a name, or unbinds it.
    pub(super) fn put(&mut self, path: &Path, node: Option<Node>) -> io::Result<()> {
        let key = self.key(path)?;
        self.change(vec![(key, node)]);
        Ok(())
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        self.dirs_made += 1;
        self.put(path, Some(Node::Dir(self.dirs_made)))
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        let change = vec![(self.key(from)?, None), (self.key(to)?, Some(node))];
        self.change(change);
        Ok(())
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.pending.push(change);
    }

    /// Makes the changes in a directory durable, and those that they build on.
    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        let mut needed = BTreeSet::new();
        let mut chosen = vec![false; self.pending.len()];
        for (change, chosen) in self.pending.iter().zip(&mut chosen).rev() {
            *chosen = change.iter().any(|(key, _)| key.0 == dir || needed.contains(key));
            if *chosen {
                needed.extend(change.iter().map(|(key, _)| key.clone()));
            }
        }
        let mut chosen = chosen.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let keep = !chosen.next().unwrap_or(false);
            if !keep {
                apply(durable, change);
            }
            keep
        });
        Ok(())
    }

    /// Lets each pending change survive or not. One that builds on a lost one is lost with it.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let survivors_percent = [0, 50, 100][usize::try_from(random.below(3)).unwrap_or(0)];
        let mut lost = BTreeSet::new();
        for change in std::mem::take(&mut self.pending) {
            let orphaned = change.iter().any(|(key, _)| lost.contains(key));
            if !orphaned && random.chance(survivors_percent) {
                apply(&mut self.durable, &change);
            } else {
                lost.extend(change.into_iter().map(|(key, _)| key));
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

fn apply(names: &mut BTreeMap<Key, Node>, change: &Change) {
    for (key, node) in change {
        match node {
            Some(node) => names.insert(key.clone(), *node),
            None => names.remove(key),
        };
    }
}
