//! A rendition within a rendition: what a CDA document's `nonXMLBody` or an attachment in a FHIR document holds, and what
//! was compressed.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::markup::MARKUP_BYTES_MAX;
use super::rendition::{self, Nesting, Reading, Refusal};
use super::sniff::{self, Format, Held};
use crate::domain::narrative::UnreadReason;

/// Renditions within renditions: a compressed FHIR document holds a CDA document that holds a PDF.
const LEVELS_MAX: usize = 3;

/// Bytes that something compressed may grow to: as many as a rendition may have that was not compressed.
pub(super) const INFLATED_BYTES_MAX: usize = MARKUP_BYTES_MAX;

/// How something was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// RFC 1951.
    Deflate,
}

/// Text of an element that holds a rendition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Embedded<'t> {
    pub(super) media_type: Option<&'t str>,
    /// Whether the text is base64.
    pub(super) base64: bool,
    pub(super) packing: Option<Packing>,
    pub(super) text: &'t str,
}

/// Reads it; `nesting` is that of the rendition around it.
pub(super) fn read(embedded: &Embedded<'_>, nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    let mut bytes =
        if embedded.base64 { decoded(embedded.text)?.into() } else { Cow::Borrowed(embedded.text.as_bytes()) };
    if let Some(packing) = embedded.packing {
        bytes = inflated(&bytes, packing)?.into();
    }
    // What is no base64 was decoded with the document around it.
    let content_type = match embedded.media_type {
        Some(essence) if !embedded.base64 => {
            Some(format!("{}; charset=utf-8", essence.split(';').next().unwrap_or_default().trim()))
        }
        other => other.map(str::to_owned),
    };
    read_within(content_type.as_deref(), &bytes, nesting)
}

/// Reads the rendition `bytes`, which stands in another one.
pub(super) fn read_within(content_type: Option<&str>, bytes: &[u8], nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    if nesting.level >= LEVELS_MAX {
        let detail = format!("It stands within {LEVELS_MAX} other renditions, and no deeper one is read.");
        return Err(Refusal::new(UnreadReason::TooLarge, detail));
    }
    let recognised = rendition::recognise(content_type, bytes)?;
    let mut reading = rendition::read_within(&recognised, bytes, Nesting { level: nesting.level + 1, ..nesting })?;
    reading.notes.insert(0, format!("{} within it was read", recognised.format.name()));
    Ok(reading)
}

/// The bytes of base64: with line breaks, without padding, or in the URL-safe alphabet.
fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    GeneralPurpose::new(&alphabet, config).decode(text.trim_end_matches('=')).map_err(|fault| {
        let what = match fault {
            base64::DecodeError::InvalidByte(at, _) => format!("its character {} is none of base64's", at + 1),
            _ => "its length is none that base64 has".to_owned(),
        };
        Refusal::new(UnreadReason::Malformed, format!("It should be base64, and {what}."))
    })
}

/// What was compressed. What the bytes show counts over what they are said to be.
pub(super) fn inflated(bytes: &[u8], said: Packing) -> Result<Vec<u8>, Refusal> {
    // RFC 1950: method 8, and the first two bytes are a multiple of 31.
    let zlib = matches!(bytes, [first, second, ..] if first & 0x0f == 8 && (u32::from(*first) << 8 | u32::from(*second)) % 31 == 0);
    let packing = if bytes.starts_with(b"\x1f\x8b") {
        Packing::Gzip
    } else if zlib {
        Packing::Zlib
    } else {
        said
    };
    let result = match packing {
        Packing::Gzip => taken(MultiGzDecoder::new(bytes)),
        Packing::Zlib => taken(ZlibDecoder::new(bytes)),
        Packing::Deflate => taken(DeflateDecoder::new(bytes)),
    };
    // A raw stream may begin with bytes that look like a header of zlib.
    match result {
        Err(refusal) if said == Packing::Deflate && packing == Packing::Zlib => {
            taken(DeflateDecoder::new(bytes)).map_err(|_| refusal)
        }
        result => result,
    }
}

fn taken(decoder: impl Read) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let most = INFLATED_BYTES_MAX as u64 + 1;
    decoder.take(most).read_to_end(&mut bytes).map_err(|_| {
        let detail = "Its compressed data is damaged, cut off, or compressed in another way than it says.";
        Refusal::new(UnreadReason::Malformed, detail)
    })?;
    if bytes.len() > INFLATED_BYTES_MAX {
        let detail = format!("Decompressed, it is larger than {} MiB.", INFLATED_BYTES_MAX >> 20);
        return Err(Refusal::new(UnreadReason::TooLarge, detail));
    }
    Ok(bytes)
}

/// Reads what is compressed with gzip, and within it not compressed again. The files of a zip are not read.
pub(super) fn read_compressed(bytes: &[u8], nesting: Nesting<'_>) -> Result<Reading, Refusal> {
    if !bytes.starts_with(b"\x1f\x8b") {
        let detail = "It is an archive of files, which are not read. Send the report itself.";
        return Err(Refusal::new(UnreadReason::FormatNotSupported, detail));
    }
    let inner = inflated(bytes, Packing::Gzip)?;
    if sniff::held(&inner) == Held::Known(Format::Compressed) {
        let detail = "Decompressed, it is compressed again; one compression is undone, not two.";
        return Err(Refusal::new(UnreadReason::FormatNotSupported, detail));
    }
    read_within(None, &inner, nesting)
}
