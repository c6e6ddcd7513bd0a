//! Where the reader of a tree is: an XPath of local names.

use std::collections::HashMap;

use roxmltree::Node;

use super::Path;
use super::narrative::is_block;

/// Bytes of a path: C-CDA's reach 200. What lies deeper is said to stand in the last element whose path is as short.
const PATH_BYTES_MAX: usize = 1_000;

/// An element between the root and where the reader is.
struct Step<'a> {
    name: &'a str,
    /// Its number among its siblings of this name, from 1; none for the root.
    number: Option<u32>,
    /// False for a part of a line, whose place is the block around it.
    block: bool,
    path: Option<Path>,
    /// How many children of each name were entered.
    children: HashMap<&'a str, u32>,
}

/// The elements that are open.
#[derive(Default)]
pub(super) struct Trail<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Trail<'a> {
    /// Goes into an element, a child of the last one. Every child must be entered, in order.
    pub(super) fn enter(&mut self, node: Node<'a, '_>) {
        let name = node.tag_name().name();
        let number = self.steps.last_mut().map(|parent| {
            let count = parent.children.entry(name).or_default();
            *count += 1;
            *count
        });
        // A block is known by its name; so is the root, and everything outside of a narrative.
        self.steps.push(Step { name, number, block: is_block(name), path: None, children: HashMap::new() });
    }

    /// Goes back to the parent.
    pub(super) fn leave(&mut self) {
        self.steps.pop();
    }

    /// Goes back to the parent, which will enter the same child again.
    pub(super) fn leave_uncounted(&mut self) {
        if let Some(step) = self.steps.pop()
            && let Some(parent) = self.steps.last_mut()
            && let Some(count) = parent.children.get_mut(step.name)
        {
            *count -= 1;
        }
    }

    /// The path of the innermost block.
    pub(super) fn place(&mut self) -> Path {
        let last = self.steps.iter().rposition(|step| step.block).unwrap_or(0);
        let known = self.steps[..(last + 1).min(self.steps.len())].iter().rposition(|step| step.path.is_some());
        let mut path = known.and_then(|at| self.steps[at].path.clone()).unwrap_or_else(|| Path::from(""));
        for step in self.steps.iter_mut().take(last + 1).skip(known.map_or(0, |at| at + 1)) {
            if path.len() + step.name.len() <= PATH_BYTES_MAX {
                path = match step.number {
                    Some(number) => format!("{path}/{}[{number}]", step.name).into(),
                    None => format!("{path}/{}", step.name).into(),
                };
            }
            step.path = Some(Path::clone(&path));
        }
        path
    }
}
