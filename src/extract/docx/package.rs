//! The zip: its parts by name, and how they refer to each other.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::xml::{Node, Walk};
use crate::domain::narrative::UnreadReason;
use crate::extract::rendition::Refusal;

/// Entries of the zip: a document has some dozen, and one for each picture.
const ENTRIES_MAX: usize = 4_000;

/// Bytes of all parts that are read, unpacked: a chart of 600 pages has 30 MB.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// What each entry of a zip's directory begins with.
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";

/// A document's zip.
pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

fn malformed(detail: &str) -> Refusal {
    Refusal::new(UnreadReason::Malformed, detail)
}

impl<'a> Package<'a> {
    /// Opens a zip.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Refusal> {
        // Counted before the directory is read, which costs some hundred bytes of memory for each.
        let signatures = bytes.windows(ENTRY_SIGNATURE.len()).filter(|window| *window == ENTRY_SIGNATURE);
        if signatures.take(ENTRIES_MAX + 1).count() > ENTRIES_MAX {
            let detail = format!("It is a zip of more than {ENTRIES_MAX} entries.");
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        }
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|_| malformed("It is a damaged zip, or not a whole one. Send it again."))?;
        if zip.has_duplicate_names() {
            return Err(malformed("Its zip holds two entries of one name, and which of them is meant cannot be told."));
        }
        Ok(Self { zip, left: UNPACKED_BYTES_MAX })
    }

    /// The text of a part; none if there is no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let entry = self
            .zip
            .by_index(index)
            .map_err(|_| malformed("A part of it is encrypted, or compressed by a method that is not read."))?;
        let mut bytes = Vec::new();
        entry
            .take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| malformed("A part of it cannot be unpacked: its zip is damaged. Send it again."))?;
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let detail = format!("Its text unpacks to more than {} MiB.", UNPACKED_BYTES_MAX >> 20);
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        };
        self.left = left;
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            // UTF-16, by its byte order mark.
            Err(fault) => encoding_rs::UTF_8.decode(fault.as_bytes()).0.into_owned(),
        }))
    }

    /// The parts to which another one refers as this kind; the package itself is the part without a name.
    pub(super) fn related(&mut self, part: &str, kind: &str) -> Result<Vec<String>, Refusal> {
        let (folder, name) = part.rsplit_once('/').map_or(("", part), |(folder, name)| (folder, name));
        let inside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let Some(relations) = self.part(&inside(&format!("_rels/{name}.rels")))? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut walk = Walk::new(&relations);
        while let Some(node) = walk.next()? {
            let Node::Open(element) = node else { continue };
            let external = element.attribute("TargetMode").is_some_and(|mode| mode == "External");
            if external || !element.attribute("Type").is_some_and(|named| named.ends_with(kind)) {
                continue;
            }
            let Some(target) = element.attribute("Target") else { continue };
            let target = target.strip_prefix('/').map_or_else(|| inside(&target), str::to_owned);
            if !found.contains(&target) && found.len() < ENTRIES_MAX {
                found.push(target);
            }
        }
        Ok(found)
    }
}
