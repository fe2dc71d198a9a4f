//! What each name may hold: one content when the last operation on it was answered, its old or its new one if not.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// A content; `None`: there is no such file.
pub(crate) type Content = Option<Vec<u8>>;

/// The contents that each name may have.
#[derive(Default)]
pub(crate) struct Model(BTreeMap<String, Vec<Content>>);

impl Model {
    /// What a name holds, if that is certain.
    pub(crate) fn get(&self, name: &str) -> Content {
        match self.0.get(name).map(Vec::as_slice) {
            Some([content]) => content.clone(),
            None => None,
            Some(_) => panic!("{name}: not certain"),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Changes names together: until `change` is answered each may hold its old or its new content.
    pub(crate) fn change(
        &mut self,
        new: &[(&str, Content)],
        change: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        for (name, content) in new {
            let old = self.get(name);
            self.0
                .insert((*name).to_owned(), vec![old, content.clone()]);
        }
        change()?;
        for (name, content) in new {
            self.0.insert((*name).to_owned(), vec![content.clone()]);
        }
        Ok(())
    }

    /// A rename over another file.
    pub(crate) fn rename(&mut self, dir: &Path, from: &str, to: &str) -> io::Result<()> {
        let moved = self.get(from);
        self.change(&[(from, None), (to, moved)], || {
            fs::rename(dir.join(from), dir.join(to))
        })
    }

    /// Forgets a name whose content nothing promises.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Every name has a content that it may have; from now on it must stay.
    pub(crate) fn check(&mut self, dir: &Path, context: &str) {
        for (name, allowed) in &mut self.0 {
            let found = match fs::read(dir.join(name)) {
                Ok(bytes) => Some(bytes),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => panic!("{context}: {name}: {e}"),
            };
            let length = |content: &Content| content.as_ref().map(Vec::len);
            assert!(
                allowed.contains(&found),
                "{context}: {name}: length {:?}, wanted one of {:?}",
                length(&found),
                allowed.iter().map(length).collect::<Vec<_>>()
            );
            *allowed = vec![found];
        }
        self.0.retain(|_, allowed| *allowed != [None]);
    }
}
