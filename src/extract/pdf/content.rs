//! Content streams: what they draw, and where.

use std::rc::Rc;

use hayro_syntax::content::UntypedIter;
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};
use hayro_syntax::page::Resources;

use super::TooMuch;
use super::canvas::{Budget, Canvas, Ink};
use super::fonts::{Face, Fonts};
use super::layers::Layers;
use super::matrix::Matrix;
use super::strings;

/// Forms within forms; drawing programs nest five.
const FORM_DEPTH_MAX: usize = 12;
/// Saved graphics states; the specification's own limit was 28.
const SAVED_STATES_MAX: usize = 512;
/// Marked content within marked content.
const MARKS_MAX: usize = 512;
/// The text rendering mode that shows nothing.
const INVISIBLE: f64 = 3.0;

/// Draws content on a canvas.
pub(super) struct Painter<'p, 'a> {
    pub(super) fonts: &'p mut Fonts<'a>,
    pub(super) layers: &'p Layers,
    pub(super) canvas: &'p mut Canvas,
    pub(super) budget: &'p mut Budget,
}

/// What a page draws, decoded: nothing if it cannot be. The library would keep it until the document is dropped, and the
/// drawings of a long chart take more memory than all its text.
pub(super) fn of_page(page: &Dict<'_>) -> Option<Vec<u8>> {
    if let Some(stream) = page.get::<Stream<'_>>("Contents") {
        return Some(stream.decoded_data().ok()?.into_owned());
    }
    let streams = page.get::<Array<'_>>("Contents")?;
    let mut content = Vec::new();
    for stream in streams.iter::<Object<'_>>().filter_map(Object::into_stream) {
        if let Ok(decoded) = stream.decoded_data() {
            content.extend_from_slice(&decoded);
            // A stream's last operator does not go on in the next one.
            content.push(b' ');
        }
    }
    Some(content)
}

/// The graphics state, as far as it concerns text.
#[derive(Clone)]
struct State<'a> {
    matrix: Matrix,
    face: Option<Rc<Face<'a>>>,
    size: f64,
    character_spacing: f64,
    word_spacing: f64,
    /// As a share of 1.
    scaling: f64,
    leading: f64,
    rise: f64,
    mode: f64,
}

/// Marked content that is open.
struct Mark {
    /// What its glyphs mean, and the first of them.
    meaning: Option<(String, usize)>,
    hides: bool,
}

/// One content stream being drawn.
struct Sheet<'s, 'a> {
    resources: &'s Resources<'a>,
    state: State<'a>,
    saved: Vec<State<'a>>,
    /// Of the text, and of its line.
    text: Matrix,
    line: Matrix,
    marks: Vec<Mark>,
    depth: usize,
}

impl<'a> Painter<'_, 'a> {
    /// Draws a content stream; `matrix` leads from its space to the page.
    pub(super) fn draw(&mut self, content: &[u8], resources: &Resources<'a>, matrix: Matrix) -> Result<(), TooMuch> {
        self.draw_at(content, resources, matrix, 0)
    }

    fn draw_at(
        &mut self,
        content: &[u8],
        resources: &Resources<'a>,
        matrix: Matrix,
        depth: usize,
    ) -> Result<(), TooMuch> {
        let state = State {
            matrix,
            face: None,
            size: 0.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            scaling: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0.0,
        };
        let (text, line) = (Matrix::IDENTITY, Matrix::IDENTITY);
        let mut sheet = Sheet { resources, state, saved: Vec::new(), text, line, marks: Vec::new(), depth };
        let mut instructions = UntypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            self.budget.spend(1)?;
            let operands: Vec<&Object<'_>> = instruction.operands().collect();
            self.obey(&mut sheet, instruction.operator, &operands)?;
        }
        while self.close_mark(&mut sheet) {}
        Ok(())
    }

    fn obey(&mut self, sheet: &mut Sheet<'_, 'a>, operator: &[u8], operands: &[&Object<'_>]) -> Result<(), TooMuch> {
        let state = &mut sheet.state;
        match (operator, operands) {
            (b"q", _) if sheet.saved.len() < SAVED_STATES_MAX => sheet.saved.push(state.clone()),
            (b"Q", _) => sheet.state = sheet.saved.pop().unwrap_or_else(|| state.clone()),
            (b"cm", _) => state.matrix = matrix(operands).unwrap_or(Matrix::IDENTITY).then(state.matrix),
            (b"BT", _) => (sheet.text, sheet.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            (b"Tf", [Object::Name(name), size, ..]) => {
                state.face = self.fonts.face(&sheet.resources.fonts, name);
                state.size = number(size).unwrap_or_default();
            }
            (b"gs", [Object::Name(name), ..]) => self.set_font_of(sheet, name),
            (b"Tc", [value, ..]) => state.character_spacing = number(value).unwrap_or_default(),
            (b"Tw", [value, ..]) => state.word_spacing = number(value).unwrap_or_default(),
            (b"Tz", [value, ..]) => state.scaling = number(value).unwrap_or(100.0) / 100.0,
            (b"TL", [value, ..]) => state.leading = number(value).unwrap_or_default(),
            (b"Ts", [value, ..]) => state.rise = number(value).unwrap_or_default(),
            (b"Tr", [value, ..]) => state.mode = number(value).unwrap_or_default(),
            (b"Tm", _) => {
                sheet.line = matrix(operands).unwrap_or(sheet.line);
                sheet.text = sheet.line;
            }
            (b"Td" | b"TD", [x, y, ..]) => {
                let (x, y) = (number(x).unwrap_or_default(), number(y).unwrap_or_default());
                if operator == b"TD" {
                    state.leading = -y;
                }
                sheet.next_line(x, y);
            }
            (b"T*", _) => sheet.next_line(0.0, -sheet.state.leading),
            (b"Tj", [Object::String(text), ..]) => return self.show(sheet, &[text.as_bytes()]),
            (b"'", [Object::String(text), ..]) => {
                sheet.next_line(0.0, -sheet.state.leading);
                return self.show(sheet, &[text.as_bytes()]);
            }
            (b"\"", [word, character, Object::String(text), ..]) => {
                state.word_spacing = number(word).unwrap_or_default();
                state.character_spacing = number(character).unwrap_or_default();
                sheet.next_line(0.0, -sheet.state.leading);
                return self.show(sheet, &[text.as_bytes()]);
            }
            (b"TJ", [Object::Array(parts), ..]) => return self.show_parts(sheet, parts.iter::<Object<'_>>()),
            (b"BDC", [Object::Name(tag), properties, ..]) => self.open_mark(sheet, Some(tag), Some(properties)),
            (b"BMC" | b"BDC", _) => self.open_mark(sheet, None, None),
            (b"EMC", _) => drop(self.close_mark(sheet)),
            (b"Do", [Object::Name(name), ..]) => return self.draw_object(sheet, name),
            (b"BI", _) => self.see_image(sheet.state.matrix),
            (b"S" | b"s" | b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*" | b"sh", _) => self.canvas.paths += 1,
            _ => {}
        }
        Ok(())
    }

    /// A graphics state may name a font by itself.
    fn set_font_of(&mut self, sheet: &mut Sheet<'_, 'a>, name: &Name<'_>) {
        let font = sheet.resources.ext_g_states.get::<Dict<'a>>(name).and_then(|dict| {
            let parts = dict.get::<Array<'a>>("Font")?;
            let mut parts = parts.iter::<Object<'a>>();
            let Some(Object::Dict(font)) = parts.next() else { return None };
            Some((self.fonts.face_of(&font)?, number(&parts.next()?)?))
        });
        if let Some((face, size)) = font {
            (sheet.state.face, sheet.state.size) = (Some(face), size);
        }
    }

    /// Shows strings with what moves them against each other.
    fn show_parts<'o>(
        &mut self,
        sheet: &mut Sheet<'_, 'a>,
        parts: impl Iterator<Item = Object<'o>>,
    ) -> Result<(), TooMuch> {
        self.canvas.begin_operation();
        for part in parts {
            self.budget.spend(1)?;
            match part {
                Object::String(text) => self.show_text(sheet, text.as_bytes())?,
                other => {
                    let thousandths = number(&other).unwrap_or_default();
                    let state = &sheet.state;
                    sheet.text =
                        Matrix::moved(-thousandths / 1000.0 * state.size * state.scaling, 0.0).then(sheet.text);
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, sheet: &mut Sheet<'_, 'a>, texts: &[&[u8]]) -> Result<(), TooMuch> {
        self.canvas.begin_operation();
        texts.iter().try_for_each(|text| self.show_text(sheet, text))
    }

    fn show_text(&mut self, sheet: &mut Sheet<'_, 'a>, bytes: &[u8]) -> Result<(), TooMuch> {
        self.budget.spend(bytes.len())?;
        if sheet.state.face.is_none() {
            sheet.state.face = self.fonts.stand_in();
        }
        let Some(face) = sheet.state.face.clone() else { return Ok(()) };
        let hidden = sheet.marks.iter().any(|mark| mark.hides);
        for (sign, is_space) in face.signs(bytes) {
            let state = &sheet.state;
            let (width, size) = (state.size * state.scaling, state.size);
            let spacing = state.character_spacing + if is_space { state.word_spacing } else { 0.0 };
            let matrix = Matrix([width, 0.0, 0.0, size, 0.0, state.rise]).then(sheet.text).then(state.matrix);
            let ink = Ink {
                matrix,
                advance: sign.advance,
                spacing: if size == 0.0 { 0.0 } else { spacing / size },
                hidden,
                invisible: (state.mode - INVISIBLE).abs() < 0.5,
            };
            let unknown = if sign.advance == 0.0 { "" } else { "\u{fffd}" };
            self.canvas.put(sign.text.as_deref().unwrap_or(unknown), &ink)?;
            sheet.text = Matrix::moved((sign.advance * size + spacing) * state.scaling, 0.0).then(sheet.text);
        }
        Ok(())
    }

    fn open_mark(&self, sheet: &mut Sheet<'_, 'a>, tag: Option<&Name<'_>>, properties: Option<&Object<'_>>) {
        if sheet.marks.len() >= MARKS_MAX {
            return;
        }
        let named = match properties {
            Some(Object::Name(name)) => Some(name),
            _ => None,
        };
        let meaning = match properties {
            Some(Object::Dict(dict)) => dict.get("ActualText"),
            _ => named.and_then(|name| sheet.resources.properties.get::<Dict<'_>>(name)?.get("ActualText")),
        };
        let meaning = meaning.map(|text: hayro_syntax::object::String<'_>| strings::text(text.as_bytes()));
        let is_layer = tag.is_some_and(|tag| tag.as_ref() == b"OC");
        let hides = is_layer && named.is_some_and(|name| self.layers.hide(&sheet.resources.properties, name));
        sheet.marks.push(Mark { meaning: meaning.map(|text| (text, self.canvas.glyphs.len())), hides });
    }

    /// Ends the innermost marked content: false if there is none.
    fn close_mark(&mut self, sheet: &mut Sheet<'_, 'a>) -> bool {
        let Some(mark) = sheet.marks.pop() else { return false };
        if let Some((text, first)) = mark.meaning {
            self.canvas.replace(first, &text);
        }
        true
    }

    fn see_image(&mut self, matrix: Matrix) {
        self.canvas.images += 1;
        self.canvas.images_surface += matrix.area();
    }

    fn draw_object(&mut self, sheet: &mut Sheet<'_, 'a>, name: &Name<'_>) -> Result<(), TooMuch> {
        let Some(object) = sheet.resources.x_objects.get::<Stream<'a>>(name) else { return Ok(()) };
        match object.dict().get::<Name<'_>>("Subtype").as_deref() {
            Some(b"Image") => self.see_image(sheet.state.matrix),
            Some(b"Form") | None => {
                let hides = self.layers.hide(object.dict(), &Name::new_unescaped(b"OC"));
                sheet.marks.push(Mark { meaning: None, hides });
                let inherited = sheet.marks.iter().any(|mark| mark.hides);
                let first = self.canvas.glyphs.len();
                self.draw_form(&object, sheet.resources, sheet.state.matrix, sheet.depth + 1)?;
                if inherited {
                    self.canvas.glyphs[first..].iter_mut().for_each(|glyph| glyph.hidden = true);
                }
                sheet.marks.pop();
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Draws a form: content with a space of its own.
    pub(super) fn draw_form(
        &mut self,
        form: &Stream<'a>,
        outer: &Resources<'a>,
        matrix: Matrix,
        depth: usize,
    ) -> Result<(), TooMuch> {
        if depth > FORM_DEPTH_MAX {
            return Err(TooMuch::Nested(FORM_DEPTH_MAX));
        }
        let Ok(content) = form.decoded_data() else { return Ok(()) };
        // What is decoded again and again is work too.
        self.budget.spend(content.len() / 64)?;
        let dict = form.dict();
        let own = Matrix(dict.get::<[f64; 6]>("Matrix").unwrap_or(Matrix::IDENTITY.0));
        let resources = dict.get::<Dict<'a>>("Resources").map(Resources::new);
        self.draw_at(&content, resources.as_ref().unwrap_or(outer), own.then(matrix), depth)
    }
}

impl Sheet<'_, '_> {
    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::moved(x, y).then(self.line);
        self.text = self.line;
    }
}

fn number(object: &Object<'_>) -> Option<f64> {
    match object {
        Object::Number(number) => Some(number.as_f64()),
        _ => None,
    }
}

fn matrix(operands: &[&Object<'_>]) -> Option<Matrix> {
    let mut numbers = [0.0; 6];
    for (index, place) in numbers.iter_mut().enumerate() {
        *place = number(operands.get(index)?)?;
    }
    Some(Matrix(numbers))
}
