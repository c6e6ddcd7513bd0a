//! RTF (Microsoft's Rich Text Format 1.9.1): the text as a person reads it who opens the file.
//!
//! `tokens` finds braces, control words and text, `words` knows what the control words do, `reader` keeps the state that
//! they change group by group, `text` decodes characters, `destinations` knows where the text of a group goes, and `output` puts it on sheets: the
//! text itself, what stands aside of it, its headers and footers, and what is hidden. `code_pages` and `fonts` say what
//! bytes mean, `fields` reads what a field shows that has no result.
//!
//! HTML that Outlook wraps in RTF (MS-OXRTFEX) is read as the RTF that it is: its tags are in groups that no reader
//! shows, and what is marked `\htmlrtf` is what an RTF reader shows in their place.

mod code_pages;
mod destinations;
mod fields;
mod fonts;
mod output;
mod reader;
mod text;
mod tokens;
mod words;

#[cfg(test)]
mod tests;

use super::rendition::{Reading, Refusal};
use super::sniff;
use crate::domain::narrative::UnreadReason;
use reader::Reader;

/// Bytes of RTF: what is left of `body_bytes_max` (25 MiB) after base64 or JSON escapes, with room.
const RTF_BYTES_MAX: usize = 24 << 20;

/// Groups within groups. Word processors nest some dozen; a writer that never closes a group has as many as it has
/// changes of the font.
const GROUP_DEPTH_MAX: usize = 10_000;

/// Reads RTF. Places in it are bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Refusal> {
    let Some(start) = sniff::rtf_start(bytes) else {
        return Err(Refusal::new(UnreadReason::Malformed, "It is no RTF: it does not begin with `{\\rtf`."));
    };
    if bytes.len() > RTF_BYTES_MAX {
        let detail = format!("It holds {} bytes of RTF, more than {} MiB.", bytes.len(), RTF_BYTES_MAX >> 20);
        return Err(Refusal::new(UnreadReason::TooLarge, detail));
    }
    let mut reader = Reader::new(bytes, start);
    reader.run()?;
    reader.finish()
}
