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
            let first = painter.canvas.glyphs.len();
            if let Some(form) = appearance(annotation) {
                draw_appearance(painter, &form, &place, resources, upright)?;
            }
            // Some producers leave the appearance of a field empty and ask the viewer to make it.
            if painter.canvas.shows_text_from(first) {
                continue;
            }
            if is(annotation, b"Widget") {
                draw_value(painter, annotation, &place, upright)?;
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

/// The value of a field that has no appearance: a viewer would make one.
fn draw_value<'a>(
    painter: &mut Painter<'_, 'a>,
    field: &Dict<'a>,
    place: &Rect,
    upright: Matrix,
) -> Result<(), TooMuch> {
    let kind = inherited(field, "FT").and_then(Object::into_name);
    if !kind.is_some_and(|kind| matches!(kind.as_ref(), b"Tx" | b"Ch")) {
        return Ok(());
    }
    let value = match inherited(field, "V") {
        Some(Object::String(text)) => strings::text(text.as_bytes()),
        Some(Object::Array(choices)) => {
            let texts = choices.iter::<Bytes<'_>>().map(|text| strings::text(text.as_bytes()));
            texts.collect::<Vec<_>>().join(", ")
        }
        Some(Object::Stream(text)) => strings::text(&text.decoded_data().unwrap_or_default()),
        _ => return Ok(()),
    };
    draw_text(painter, &value, place, upright)
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
