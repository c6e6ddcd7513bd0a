//! Layers (optional content): which are shown when the document is opened.

use std::collections::HashSet;

use hayro_syntax::object::{Array, Dict, Name, ObjRef};

/// The layers that are switched off.
#[derive(Debug, Default)]
pub(super) struct Layers {
    off: HashSet<(u32, i32)>,
}

impl Layers {
    pub(super) fn of(catalog: &Dict<'_>) -> Self {
        Self::off_of(catalog).unwrap_or_default()
    }

    fn off_of(catalog: &Dict<'_>) -> Option<Self> {
        let properties = catalog.get::<Dict<'_>>("OCProperties")?;
        let default = properties.get::<Dict<'_>>("D")?;
        let listed = |dict: &Dict<'_>, name: &str| -> Vec<(u32, i32)> {
            let array = dict.get::<Array<'_>>(name).unwrap_or_default();
            array.raw_iter().filter_map(|item| item.as_obj_ref()).map(key).collect()
        };
        let mut off = HashSet::new();
        if default.get::<Name<'_>>("BaseState").is_some_and(|state| state.as_ref() == b"OFF") {
            off.extend(listed(&properties, "OCGs"));
        }
        for on in listed(&default, "ON") {
            off.remove(&on);
        }
        off.extend(listed(&default, "OFF"));
        Some(Self { off })
    }

    /// Whether the layer that `name` refers to in `dict` hides what is on it. A membership dictionary hides it if all of
    /// its layers are off; its finer policies are for drawings.
    pub(super) fn hide(&self, dict: &Dict<'_>, name: &Name<'_>) -> bool {
        if self.off.is_empty() {
            return false;
        }
        if let Some(reference) = dict.get_ref(name)
            && self.off.contains(&key(reference))
        {
            return true;
        }
        let Some(membership) = dict.get::<Dict<'_>>(name) else { return false };
        if let Some(one) = membership.get_ref("OCGs").filter(|one| self.off.contains(&key(*one))) {
            return self.off.contains(&key(one));
        }
        let all = membership.get::<Array<'_>>("OCGs").unwrap_or_default();
        let mut all = all.raw_iter().filter_map(|item| item.as_obj_ref()).peekable();
        all.peek().is_some() && all.all(|layer| self.off.contains(&key(layer)))
    }
}

fn key(ObjRef { obj_number, gen_number }: ObjRef) -> (u32, i32) {
    (obj_number, gen_number)
}
