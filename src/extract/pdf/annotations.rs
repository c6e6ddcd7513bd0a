//! Annotations: what is laid over a page, form fields among it.

use hayro_syntax::object::{Array, Dict, Name, Object, Rect, Stream, String as Bytes};
use hayro_syntax::page::Resources;

use super::TooMuch;
use super::canvas::Ink;
use super::content::Painter;
use super::matrix::Matrix;
use super::strings;

/// Annotations of a page; a form has a hundred.
const ANNOTATIONS_MAX: usize = 10_000;
/// Fields within fields.
const FIELD_DEPTH_MAX: usize = 20;
/// Options of a choice; all drugs of a hospital are fewer.
const OPTIONS_MAX: usize = 10_000;
/// Flags that keep an annotation from being shown: hidden, no view.
const NOT_SHOWN: i64 = 0b10_0010;
/// Height of a field's letters where its appearance is not given, in points.
const FIELD_LETTERS: f64 = 10.0;

/// The annotations of a page.
pub(super) struct Annotations<'a> {
    all: Vec<Dict<'a>>,
}

impl<'a> Annotations<'a> {
    pub(super) fn of(page: &Dict<'a>) -> Self {
        let array = page.get::<Array<'a>>("Annots").unwrap_or_default();
        Self { all: array.iter::<Dict<'a>>().take(ANNOTATIONS_MAX).collect() }
    }

    /// How many are of this kind.
    pub(super) fn count(&self, subtype: &[u8]) -> usize {
        self.all.iter().filter(|one| is(one, subtype)).count()
    }

    /// Draws those that a reader sees.
    pub(super) fn draw(
        &self,
        painter: &mut Painter<'_, 'a>,
        resources: &Resources<'a>,
        upright: Matrix,
    ) -> Result<(), TooMuch> {
        for annotation in &self.all {
            let flags = annotation.get::<i32>("F").unwrap_or_default();
            if i64::from(flags) & NOT_SHOWN != 0 || is(annotation, b"Popup") || is(annotation, b"Text") {
                continue;
            }
            let Some(place) = annotation.get::<Rect>("Rect") else { continue };
            let field = Field::of(annotation);
            match field {
                Some(Field::Secret) => continue,
                Some(Field::Box { ticked }) => {
                    // Its appearance is a drawing, or a letter of a font of signs.
                    draw_mark(painter, if ticked { "☒" } else { "☐" }, &place, upright)?;
                    continue;
                }
                _ => {}
            }
            let first = painter.canvas.glyphs.len();
            if let Some(form) = appearance(annotation) {
                draw_appearance(painter, &form, &place, resources, upright)?;
            }
            // Some producers leave the appearance of a field empty and ask the viewer to make it.
            if painter.canvas.shows_text_from(first) {
                continue;
            }
            if let Some(Field::Text(value)) = field {
                draw_text(painter, &value, &place, upright)?;
            } else if is(annotation, b"FreeText") {
                let text = annotation.get::<Bytes<'_>>("Contents").map(|text| strings::text(text.as_bytes()));
                draw_text(painter, &text.unwrap_or_default(), &place, upright)?;
            }
        }
        Ok(())
    }
}

fn is(annotation: &Dict<'_>, subtype: &[u8]) -> bool {
    annotation.get::<Name<'_>>("Subtype").is_some_and(|name| name.as_ref() == subtype)
}

/// The normal appearance, in the state that the annotation is in.
fn appearance<'a>(annotation: &Dict<'a>) -> Option<Stream<'a>> {
    let appearances = annotation.get::<Dict<'a>>("AP")?;
    match appearances.get::<Object<'a>>("N")? {
        Object::Stream(form) => Some(form),
        Object::Dict(states) => states.get::<Stream<'a>>(annotation.get::<Name<'a>>("AS")?),
        _ => None,
    }
}

/// ISO 32000-2, 12.5.5: the form's box, as its matrix leaves it, is laid over the annotation's place.
fn draw_appearance<'a>(
    painter: &mut Painter<'_, 'a>,
    form: &Stream<'a>,
    place: &Rect,
    resources: &Resources<'a>,
    upright: Matrix,
) -> Result<(), TooMuch> {
    let frame = form.dict().get::<Rect>("BBox").unwrap_or(Rect::ZERO);
    let own = Matrix(form.dict().get::<[f64; 6]>("Matrix").unwrap_or(Matrix::IDENTITY.0));
    let [x0, y0, x1, y1] = own.bounds([frame.x0, frame.y0, frame.x1, frame.y1]);
    let scale = |to: f64, from: f64| if from.abs() < f64::EPSILON { 1.0 } else { to / from };
    let (sx, sy) = (scale(place.width(), x1 - x0), scale(place.height(), y1 - y0));
    let laid = Matrix([sx, 0.0, 0.0, sy, place.x0 - x0 * sx, place.y0 - y0 * sy]);
    painter.draw_form(form, resources, laid.then(upright), 1)
}

/// Flags of fields: passwords; buttons that are only pushed. ISO 32000-2, tables 229 and 231.
mod flag {
    pub(super) const PASSWORD: i32 = 1 << 13;
    pub(super) const PUSHED: i32 = 1 << 16;
}

/// What a form field holds.
enum Field {
    /// Its text: what a viewer shows where it has no appearance.
    Text(String),
    /// A check box or a radio button.
    Box { ticked: bool },
    /// Not for readers.
    Secret,
}

impl Field {
    fn of(annotation: &Dict<'_>) -> Option<Self> {
        if !is(annotation, b"Widget") {
            return None;
        }
        let kind = inherited(annotation, "FT").and_then(Object::into_name)?;
        let flags = match inherited(annotation, "Ff") {
            Some(Object::Number(flags)) => i32::try_from(flags.as_i64()).unwrap_or_default(),
            _ => 0,
        };
        match kind.as_ref() {
            b"Tx" if flags & flag::PASSWORD != 0 => Some(Self::Secret),
            b"Tx" => Some(Self::Text(texts(&inherited(annotation, "V")?).join(", "))),
            b"Ch" => {
                let options = options(annotation);
                let shown = |value: String| {
                    let named = options.iter().find(|(exported, _)| *exported == value);
                    named.map_or(value, |(_, shown)| shown.clone())
                };
                let values = texts(&inherited(annotation, "V")?).into_iter().map(shown);
                Some(Self::Text(values.collect::<Vec<_>>().join(", ")))
            }
            b"Btn" if flags & flag::PUSHED == 0 => Some(Self::Box { ticked: is_ticked(annotation) }),
            _ => None,
        }
    }
}

/// The texts of a value.
fn texts(value: &Object<'_>) -> Vec<String> {
    match value {
        Object::String(text) => vec![strings::text(text.as_bytes())],
        Object::Array(choices) => choices.iter::<Bytes<'_>>().map(|text| strings::text(text.as_bytes())).collect(),
        Object::Stream(text) => vec![strings::text(&text.decoded_data().unwrap_or_default())],
        _ => Vec::new(),
    }
}

/// The options of a choice: what is exported, and what is shown.
fn options(field: &Dict<'_>) -> Vec<(String, String)> {
    let Some(Object::Array(options)) = inherited(field, "Opt") else { return Vec::new() };
    let pair = |option: Object<'_>| match texts(&option).as_slice() {
        [exported, shown] => Some((exported.clone(), shown.clone())),
        _ => None,
    };
    options.iter::<Object<'_>>().take(OPTIONS_MAX).filter_map(pair).collect()
}

/// Whether a box is ticked: by its own state, else by the field's value, which is the name of one of its boxes.
fn is_ticked(annotation: &Dict<'_>) -> bool {
    let is_on = |state: &Name<'_>| state.as_ref() != b"Off";
    if let Some(state) = annotation.get::<Name<'_>>("AS") {
        return is_on(&state);
    }
    let Some(value) = inherited(annotation, "V").and_then(Object::into_name) else { return false };
    let states = annotation.get::<Dict<'_>>("AP").and_then(|appearances| appearances.get::<Dict<'_>>("N"));
    is_on(&value) && states.is_none_or(|states| states.contains_key(&*value))
}

/// An entry of a field, or of the field that it is part of.
fn inherited<'a>(field: &Dict<'a>, key: &str) -> Option<Object<'a>> {
    let mut field = field.clone();
    for _ in 0..FIELD_DEPTH_MAX {
        if let Some(value) = field.get::<Object<'a>>(key) {
            return Some(value);
        }
        field = field.get::<Dict<'a>>("Parent")?;
    }
    None
}

/// Writes a sign over a whole place.
fn draw_mark(painter: &mut Painter<'_, '_>, mark: &str, place: &Rect, upright: Matrix) -> Result<(), TooMuch> {
    painter.budget.spend(1)?;
    painter.canvas.begin_operation();
    let size = (place.height() * 0.8).clamp(1.0, FIELD_LETTERS);
    let baseline = f64::midpoint(place.y0, place.y1) - size * 0.35;
    let matrix = Matrix([size, 0.0, 0.0, size, place.x0, baseline]).then(upright);
    let ink = Ink { matrix, advance: place.width() / size, spacing: 0.0, hidden: false, invisible: false };
    painter.canvas.put(mark, &ink)
}

/// Writes lines of text into a place, from its top.
fn draw_text(painter: &mut Painter<'_, '_>, text: &str, place: &Rect, upright: Matrix) -> Result<(), TooMuch> {
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    let size = (place.height() / lines.len().max(1) as f64 * 0.8).clamp(1.0, FIELD_LETTERS);
    for (index, line) in lines.iter().enumerate() {
        painter.budget.spend(line.len())?;
        painter.canvas.begin_operation();
        let baseline = place.y1 - size * 1.2 * (index as f64 + 0.85);
        let matrix = Matrix([size, 0.0, 0.0, size, place.x0, baseline]).then(upright);
        // Its letters are half as wide as high, at a guess.
        let advance = (line.chars().count() as f64 / 2.0).min(place.width().max(size) / size);
        let ink = Ink { matrix, advance, spacing: 0.0, hidden: false, invisible: false };
        painter.canvas.put(line, &ink)?;
    }
    Ok(())
}
