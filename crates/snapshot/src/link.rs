//! A snapshot and those that it builds on: the newest is opened first, which names the one before it, and the oldest is read first, whose pages those of newer ones replace.

use crate::error::SnapshotError;
use crate::image::{ImageRef, Stored};
use crate::lineage::Lineage;
use crate::reader::Sections;
use crate::section::Kind;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How many snapshots one may build on.
pub const LONGEST: usize = 100;

/// A snapshot that has been opened.
pub(crate) struct Link<R: Read> {
    sections: Sections<R>,
    lineage: Lineage,
    /// The name of its file, unless that is the newest.
    name: Option<PathBuf>,
    /// How many build on it.
    number: usize,
}

impl<R: Read> Link<R> {
    fn open(input: R, name: Option<PathBuf>, number: usize) -> Result<Link<R>, SnapshotError> {
        let mut sections = Sections::new(input)?;
        let (head, _) = sections.next()?;
        let lineage = Lineage::from_bytes(sections.bytes()).filter(|_| head.kind == Kind::Lineage);
        let lineage = lineage.ok_or_else(|| {
            SnapshotError::Contradiction(String::from("it does not begin with what it is and what it builds on"))
        })?;
        Ok(Link { sections, lineage, name, number })
    }

    /// All that the newest builds on, from the newest to the one that is whole. `open` opens a file beside the newest.
    pub(crate) fn open_all(
        newest: R,
        mut open: impl FnMut(&Path) -> io::Result<R>,
    ) -> Result<Vec<Link<R>>, SnapshotError> {
        let mut link = Link::open(newest, None, 0)?;
        let mut links = Vec::new();
        while let Some(base) = link.lineage.base.clone() {
            links.push(link);
            if links.iter().any(|link| link.lineage.id == base.id) {
                return Err(SnapshotError::Loop(base.name));
            }
            if links.len() > LONGEST {
                return Err(SnapshotError::LongChain);
            }
            let input = match open(&base.name) {
                Ok(input) => input,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SnapshotError::NoBase(base.name)),
                Err(error) => return Err(of_base(base.name, error.into())),
            };
            let opened = Link::open(input, Some(base.name.clone()), links.len());
            link = opened.map_err(|source| of_base(base.name.clone(), source))?;
            if link.lineage.id != base.id {
                return Err(SnapshotError::OtherBase(base.name));
            }
        }
        links.push(link);
        Ok(links)
    }

    /// Reads its images and then its metadata. Returns these, and what comes after them.
    pub(crate) fn read(
        mut self,
        image: &mut impl FnMut(u32, &ImageRef<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(Vec<u8>, Sections<R>), SnapshotError> {
        match self.read_to_metadata(image) {
            Ok(metadata) => Ok((metadata, self.sections)),
            Err(source) => match self.name {
                Some(name) => Err(of_base(name, source)),
                None => Err(source),
            },
        }
    }

    fn read_to_metadata(
        &mut self,
        image: &mut impl FnMut(u32, &ImageRef<'_>) -> Result<(), SnapshotError>,
    ) -> Result<Vec<u8>, SnapshotError> {
        loop {
            let before = self.sections.count();
            let (head, place) = self.sections.next()?;
            let bytes = self.sections.bytes();
            match head.kind {
                Kind::Image => {
                    let wrong = || SnapshotError::Contradiction(format!("{place} is none"));
                    let at = self.sections.stored_at(&head);
                    let stored = at.map(|offset| Stored { file: self.number, offset });
                    image(head.owner, &ImageRef::from_bytes(bytes, stored).ok_or_else(wrong)?)?;
                }
                Kind::Metadata if head.start == before => return Ok(bytes.to_vec()),
                Kind::Metadata => return Err(SnapshotError::Contradiction(String::from("sections are missing"))),
                kind => {
                    let text = format!("there are {} before its metadata", kind.name());
                    return Err(SnapshotError::Contradiction(text));
                }
            }
        }
    }
}

fn of_base(name: PathBuf, source: SnapshotError) -> SnapshotError {
    SnapshotError::Base { name, source: Box::new(source) }
}
