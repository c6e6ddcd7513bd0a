//! Fonts: from the bytes of a string to characters and their widths.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily};
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn, StandardFont};
use hayro_syntax::object::{Array, Dict, Name, ObjRef, Object, Stream, String as Bytes};

use super::super::symbols::SymbolFont;
use super::unicode::UnicodeMap;

/// Advances are in thousandths of an em.
const EM: f64 = 1000.0;

/// The fonts of a document.
pub(super) struct Fonts<'a> {
    cache: FontCache<'a>,
    programs: FontResolverFn,
    cmaps: CMapResolverFn,
    faces: HashMap<(u32, i32), Option<Rc<Face<'a>>>>,
}

impl<'a> Fonts<'a> {
    pub(super) fn new() -> Self {
        // A font that is not embedded is only measured, never drawn: one of the standard ones stands in for it.
        let programs: FontResolverFn = Arc::new(|query| {
            Some(match query {
                FontQuery::Standard(font) => font.get_font_data(),
                FontQuery::Fallback(query) => query.pick_standard_font().get_font_data(),
            })
        });
        let cmaps: CMapResolverFn = Arc::new(hayro_cmap::load_embedded);
        Self { cache: FontCache::new(), programs, cmaps, faces: HashMap::new() }
    }

    /// The font of this name in a resource dictionary.
    pub(super) fn face(&mut self, fonts: &Dict<'a>, name: &[u8]) -> Option<Rc<Face<'a>>> {
        let reference = fonts.get_ref(name);
        let key = reference.map(|ObjRef { obj_number, gen_number }| (obj_number, gen_number));
        if let Some(face) = key.and_then(|key| self.faces.get(&key)) {
            return face.clone();
        }
        let face = fonts.get::<Dict<'a>>(name).and_then(|dict| self.load(&dict)).or_else(|| self.stand_in());
        if let Some(key) = key {
            self.faces.insert(key, face.clone());
        }
        face
    }

    /// The font of a dictionary that has no number of its own.
    pub(super) fn face_of(&self, dict: &Dict<'a>) -> Option<Rc<Face<'a>>> {
        self.load(dict)
    }

    /// The face of a font dictionary.
    fn load(&self, dict: &Dict<'a>) -> Option<Rc<Face<'a>>> {
        let font = self.cache.font(dict, &self.programs, &self.cmaps)?;
        let unicode = dict.get::<Stream<'_>>("ToUnicode").and_then(|map| UnicodeMap::parse(&map.decoded_data().ok()?));
        Some(Rc::new(Face {
            font,
            unicode,
            is_identity: dict.get::<Name<'_>>("ToUnicode").is_some_and(|name| name.starts_with(b"Identity")),
            is_simple: dict.get::<Name<'_>>("Subtype").is_none_or(|name| name.as_ref() != b"Type0"),
            ordering: Ordering::of(dict),
            numbers: numbered_glyphs(dict),
            symbols: symbol_font(dict),
            has_bytes_of_signs: has_bytes_of_signs(dict),
            signs: RefCell::default(),
        }))
    }

    /// What is read with no font, or a broken one: the bytes as they are.
    pub(super) fn stand_in(&self) -> Option<Rc<Face<'a>>> {
        let font = self.cache.standard_font(StandardFont::Helvetica, &self.programs)?;
        Some(Rc::new(Face {
            font,
            unicode: None,
            is_identity: false,
            is_simple: true,
            ordering: None,
            numbers: HashMap::new(),
            symbols: None,
            has_bytes_of_signs: false,
            signs: RefCell::default(),
        }))
    }
}

/// Which font of signs a font is, if it is one: "ABCDEF+SymbolMT", "Wingdings-Regular", "Symbol,Bold".
fn symbol_font(dict: &Dict<'_>) -> Option<SymbolFont> {
    let name = dict.get::<Name<'_>>("BaseFont")?;
    let name = name.as_str();
    let name = name.split_once('+').map_or(name, |(_, name)| name);
    let family = name.split([',', '-']).next().unwrap_or(name);
    SymbolFont::named(family.strip_suffix("MT").unwrap_or(family))
}

/// Whether the codes of a font of signs are its bytes: `TrueType`, which has no names for its glyphs, and nobody gave them
/// names.
fn has_bytes_of_signs(dict: &Dict<'_>) -> bool {
    dict.get::<Name<'_>>("Subtype").is_some_and(|name| name.as_ref() == b"TrueType")
        && dict.get::<Dict<'_>>("Encoding").is_none()
}

/// One font.
pub(super) struct Face<'a> {
    font: Font<'a>,
    /// What the document says that the codes mean.
    unicode: Option<UnicodeMap>,
    /// True if the codes are said to be Unicode.
    is_identity: bool,
    /// True if its codes are bytes.
    is_simple: bool,
    ordering: Option<Ordering>,
    /// Characters of glyphs that are named by a number.
    numbers: HashMap<u32, char>,
    /// Which font of signs it is.
    symbols: Option<SymbolFont>,
    /// True if the bytes of such a font are its codes.
    has_bytes_of_signs: bool,
    signs: RefCell<HashMap<u32, Rc<Sign>>>,
}

/// What a character code shows.
pub(super) struct Sign {
    /// The characters; nothing if they are not known.
    pub(super) text: Option<Box<str>>,
    /// Ems to the next glyph.
    pub(super) advance: f64,
}

impl Face<'_> {
    /// The character codes of a string with their signs, and whether each is a single byte 32.
    pub(super) fn signs<'s>(&'s self, bytes: &'s [u8]) -> impl Iterator<Item = (Rc<Sign>, bool)> + 's {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let (code, length) = self.font.read_code(rest, 0);
            at += length.max(1);
            Some((self.sign(code), length == 1 && rest[0] == b' '))
        })
    }

    fn sign(&self, code: u32) -> Rc<Sign> {
        if let Some(sign) = self.signs.borrow().get(&code) {
            return Rc::clone(sign);
        }
        let text = self.characters(code).map(|text| tidy(&text, self.symbols).into_boxed_str());
        let advance = self.font.code_advance(code).x / EM;
        let sign = Rc::new(Sign { text, advance: if advance.is_finite() { advance } else { 0.0 } });
        self.signs.borrow_mut().insert(code, Rc::clone(&sign));
        sign
    }

    /// What a code means, by the first that knows: the document's own map, the glyph's name, the character collection,
    /// a number in the glyph's name, an empty outline.
    fn characters(&self, code: u32) -> Option<String> {
        if let Some(text) = self.unicode.as_ref().and_then(|map| map.text(code)) {
            return Some(text);
        }
        if self.is_identity
            && let Some(character) = char::from_u32(code)
        {
            return Some(character.to_string());
        }
        if let Some(font) = self.symbols.filter(|_| self.has_bytes_of_signs)
            && let Ok(byte) = u8::try_from(code)
        {
            return Some(sign(font, byte).to_string());
        }
        let glyph = self.font.glyph(self.font.map_code(code), code);
        let unicode = match &glyph {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        let unicode = unicode.filter(|unicode| *unicode != BfString::Char('\0'));
        let unicode = unicode.or_else(|| self.ordering.as_ref()?.unicode(code));
        let unicode = unicode.or_else(|| self.numbers.get(&code).map(|character| BfString::Char(*character)));
        match unicode {
            Some(BfString::Char(character)) => Some(character.to_string()),
            Some(BfString::String(text)) => Some(text),
            None if code == 0 || (self.is_simple && code < 32) => Some(String::new()),
            None => is_blank(&glyph).then(|| " ".to_owned()),
        }
    }
}

fn is_blank(glyph: &FontGlyph<'_>) -> bool {
    match glyph {
        FontGlyph::Outline(glyph) => glyph.outline().elements().is_empty(),
        FontGlyph::Type3(_) => false,
    }
}

/// Glyphs that a producer named by their ASCII codes: "g65", "a65", "C0065".
fn numbered_glyphs(dict: &Dict<'_>) -> HashMap<u32, char> {
    let encoding = dict.get::<Dict<'_>>("Encoding");
    let differences = encoding.and_then(|encoding| encoding.get::<Array<'_>>("Differences")).unwrap_or_default();
    let mut numbers = HashMap::new();
    let mut code = 0_u32;
    for entry in differences.iter::<Object<'_>>() {
        match entry {
            Object::Number(number) => code = u32::try_from(number.as_i64()).unwrap_or_default(),
            Object::Name(name) => {
                let digits = name.as_str().trim_start_matches(|c: char| c.is_ascii_alphabetic());
                let number = digits.parse::<u8>().ok().filter(|number| (33..127).contains(number));
                numbers.extend(number.filter(|_| digits.len() >= 2).map(|number| (code, char::from(number))));
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    numbers
}

/// A character collection of Chinese, Japanese or Korean: fonts of these need no map to Unicode of their own.
struct Ordering {
    /// From character codes to the collection's numbers.
    encoding: CMap,
    /// From the collection's numbers to Unicode.
    unicode: CMap,
}

impl Ordering {
    fn of(dict: &Dict<'_>) -> Option<Self> {
        let descendant = dict.get::<Array<'_>>("DescendantFonts")?.iter::<Dict<'_>>().next()?;
        let info = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
        let (registry, ordering) = (info.get::<Bytes<'_>>("Registry")?, info.get::<Bytes<'_>>("Ordering")?);
        let family = CidFamily::from_registry_ordering(&registry, &ordering);
        let encoding = match dict.get::<Object<'_>>("Encoding")? {
            Object::Name(name) if name.as_ref() == b"Identity-H" => CMap::identity_h(),
            Object::Name(name) if name.as_ref() == b"Identity-V" => CMap::identity_v(),
            Object::Name(name) => embedded(CMapName::from_bytes(&name))?,
            Object::Stream(map) => CMap::parse(&map.decoded_data().ok()?, hayro_cmap::load_embedded)?,
            _ => return None,
        };
        Some(Self { unicode: embedded(family.ucs2_cmap()?)?, encoding })
    }

    fn unicode(&self, code: u32) -> Option<BfString> {
        let cid = (1..=4).find_map(|length| self.encoding.lookup_cid_code(code, length))?;
        let number = || (1..=4).find_map(|length| self.unicode.lookup_cid_code(cid, length));
        self.unicode.lookup_bf_string(cid).or_else(|| char::from_u32(number()?).map(BfString::Char))
    }
}

/// A character map that comes with the library.
fn embedded(name: CMapName<'_>) -> Option<CMap> {
    CMap::parse(hayro_cmap::load_embedded(name)?, hayro_cmap::load_embedded)
}

/// Characters as a narrative has them: ligatures in their letters, signs of fonts of signs as what they show, no control
/// characters. A soft hyphen stays until lines are joined.
fn tidy(text: &str, font: Option<SymbolFont>) -> String {
    let mut tidied = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{fb00}' => tidied.push_str("ff"),
            '\u{fb01}' => tidied.push_str("fi"),
            '\u{fb02}' => tidied.push_str("fl"),
            '\u{fb03}' => tidied.push_str("ffi"),
            '\u{fb04}' => tidied.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => tidied.push_str("st"),
            '\u{f000}'..='\u{f0ff}' => tidied.extend(private(character, font)),
            '\u{ad}' => tidied.push(character),
            '\t' | '\n' | '\r' => tidied.push(' '),
            other => tidied.extend(super::super::plain::visible(other)),
        }
    }
    tidied
}

/// What a private code point shows: in a font of signs its byte's sign, in another font a letter, or what lists begin with.
fn private(character: char, font: Option<SymbolFont>) -> Option<char> {
    let byte = u8::try_from(u32::from(character) - 0xf000).ok()?;
    match (font, byte) {
        (_, ..b' ') => None,
        (Some(font), _) => Some(sign(font, byte)),
        (None, b' '..=b'~') => Some(char::from(byte)),
        (None, 0xa7 | 0xd8) => Some('•'),
        (None, 0xfc) => Some('✓'),
        (None, _) => Some(SymbolFont::Symbol.character(byte)),
    }
}

/// A sign of a font; a picture that is no sign of its own stands before an item of a list.
fn sign(font: SymbolFont, byte: u8) -> char {
    match font.character(byte) {
        '▪' => '•',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ligatures_become_letters_and_symbols_what_they_look_like() {
        let (symbol, dingbats) = (Some(SymbolFont::Symbol), Some(SymbolFont::Dingbats));
        assert_eq!(tidy("e\u{fb03}cient \u{fb01}nding", None), "efficient finding");
        assert_eq!(tidy("\u{f0b7}\u{f041}\u{a0}\u{0}\u{f007}\u{f0b3}", None), "•A ≥");
        assert_eq!(tidy("\u{f041} \u{f0fc}\u{f0fe}", dingbats), "• ✓☑");
        assert_eq!(tidy("\u{f0b3} TNF-\u{f061}", symbol), "≥ TNF-α");
    }
}
