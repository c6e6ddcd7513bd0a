//! The state that control words change, group by group.

use std::collections::HashSet;
use std::ops::Range;

use super::GROUP_DEPTH_MAX;
use super::code_pages::{Charset, CodePages, DEFAULT_CODE_PAGE};
use super::destinations::Shown;
use super::fields::Field;
use super::fonts::Fonts;
use super::output::Output;
use super::text::Pending;
use super::tokens::{Token, Tokens};
use super::words::{self, Destination, Word};
use crate::domain::narrative::UnreadReason;
use crate::extract::rendition::{NARRATIVE_CHARACTERS_MAX, Refusal};
use crate::extract::sheet::Page;

/// Where the text of a group goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// To the page.
    Text,
    Nowhere,
    Marker,
    FieldCode,
    FormItem,
    FontName,
    StyleName,
}

/// What a group inherits, and what ends with it.
#[expect(clippy::struct_excessive_bools, reason = "each is a property that a control word turns on and off")]
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) page: Page,
    pub(super) sink: Sink,
    /// Where text went before a group whose own text is none.
    pub(super) outer: Sink,
    /// What this very group began.
    pub(super) opened: Option<Destination>,
    /// True if the group has no text yet: its destination may still be named.
    pub(super) fresh: bool,
    pub(super) hidden: bool,
    pub(super) deleted: bool,
    pub(super) struck: bool,
    font: i32,
    associated_font: Option<i32>,
    right_to_left: bool,
    pub(super) charset: Charset,
    /// Characters that stand in for one that is given by its number.
    pub(super) unicode_skip: usize,
    pub(super) paragraph: Paragraph,
}

/// Properties of a paragraph.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paragraph {
    pub(super) style: i32,
    pub(super) outline_level: Option<i32>,
    /// Space before and after it, in twips.
    pub(super) before: i32,
    pub(super) after: i32,
    /// True if there is no such space between paragraphs of one style.
    pub(super) contextual: bool,
    pub(super) in_table: bool,
    pub(super) table_depth: u32,
}

/// A walk through some RTF.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that was met")]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub(super) tokens: Tokens<'a>,
    pub(super) state: State,
    pub(super) stack: Vec<State>,
    pub(super) fonts: Fonts,
    pub(super) code_pages: CodePages,
    pub(super) code_page: u16,
    pub(super) default_font: i32,
    /// True if bytes beyond ASCII are UTF-8, as some writers have it.
    pub(super) raw_utf_8: bool,
    /// Whether any were.
    pub(super) raw_utf_8_seen: bool,
    pub(super) pending: Pending,
    /// The first half of a character that needs two numbers.
    pub(super) high_surrogate: Option<u32>,
    /// Characters still to be left out, because the one they stand in for is there.
    pub(super) skip: usize,
    /// True after `\*`.
    pub(super) starred: bool,
    /// Where the last group began.
    pub(super) opened_at: usize,
    /// Where the last backslash stands: text behind it and behind the last group is none of the RTF.
    last_control: usize,
    pub(super) ended_at: Option<usize>,
    /// True if the outermost group was closed, though more follows.
    pub(super) closed: bool,
    begun: bool,
    pub(super) cut_binary: bool,
    /// Styles whose paragraphs are headings.
    pub(super) heading_styles: HashSet<i32>,
    pub(super) style_name: String,
    pub(super) marker: (String, usize),
    pub(super) fields: Vec<Field>,
    pub(super) shown: Shown,
    pub(super) output: Output,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            bytes,
            tokens: Tokens::new(bytes, start),
            state: State::new(),
            stack: Vec::new(),
            fonts: Fonts::default(),
            code_pages: CodePages::new(),
            code_page: DEFAULT_CODE_PAGE,
            default_font: 0,
            raw_utf_8: !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok(),
            raw_utf_8_seen: false,
            pending: Pending::default(),
            high_surrogate: None,
            skip: 0,
            starred: false,
            opened_at: usize::MAX,
            last_control: bytes.iter().rposition(|byte| *byte == b'\\').unwrap_or(0),
            ended_at: None,
            closed: false,
            begun: false,
            cut_binary: false,
            heading_styles: HashSet::new(),
            style_name: String::new(),
            marker: (String::new(), 0),
            fields: Vec::new(),
            shown: Shown::default(),
            output: Output::default(),
        }
    }

    /// Reads to the end.
    pub(super) fn run(&mut self) -> Result<(), Refusal> {
        while self.ended_at.is_none() && self.output.written <= NARRATIVE_CHARACTERS_MAX {
            let Some((range, token)) = self.tokens.next() else { break };
            self.take(range, token)?;
        }
        self.flush();
        if self.output.written > NARRATIVE_CHARACTERS_MAX {
            let detail =
                format!("It holds more than {NARRATIVE_CHARACTERS_MAX} characters, which is the most that is read.");
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        }
        Ok(())
    }

    /// The bytes behind the end.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.ended_at.unwrap_or(self.bytes.len())..]
    }

    fn take(&mut self, range: Range<usize>, token: Token<'a>) -> Result<(), Refusal> {
        let starred = std::mem::take(&mut self.starred);
        match token {
            Token::Text(text) => self.text(text, range),
            Token::Word { name, number } => self.word(name, number, range, starred),
            Token::Open => return self.open(&range),
            Token::Close => self.close(&range),
            Token::Hex(byte) => self.hex(byte, range),
            Token::Raw(bytes) => self.raw(bytes, range),
            Token::Symbol(symbol) => self.symbol(symbol, range),
            Token::Tab => {
                self.skip = 0;
                self.write("\t", range, true);
            }
            Token::Binary { whole } => {
                self.skip = self.skip.saturating_sub(1);
                self.cut_binary |= !whole;
            }
        }
        Ok(())
    }

    fn open(&mut self, range: &Range<usize>) -> Result<(), Refusal> {
        self.flush();
        self.skip = 0;
        if self.stack.len() >= GROUP_DEPTH_MAX {
            let detail = format!("Its groups are nested more than {GROUP_DEPTH_MAX} deep.");
            return Err(Refusal::new(UnreadReason::TooLarge, detail));
        }
        self.stack.push(self.state);
        (self.state.opened, self.state.fresh) = (None, true);
        self.opened_at = range.end;
        Ok(())
    }

    fn close(&mut self, range: &Range<usize>) {
        self.flush();
        self.skip = 0;
        if self.stack.len() > 1 {
            self.close_group(range.end);
        } else if range.end > self.last_control {
            self.ended_at = Some(range.end);
        } else {
            // A brace too many, or another RTF behind this one: what follows is read on.
            self.closed = true;
            self.output.line_ends();
        }
    }

    /// Ends the innermost group.
    pub(super) fn close_group(&mut self, at: usize) {
        let Some(outer) = self.stack.pop() else { return };
        let inner = std::mem::replace(&mut self.state, outer);
        self.leave(&inner, at);
        if inner.opened == Some(Destination::FontTable) {
            self.choose_charset();
        }
    }

    fn word(&mut self, name: &[u8], number: Option<i32>, range: Range<usize>, starred: bool) {
        let word = words::word(name);
        if starred && !matches!(word, Some(Word::Destination(_))) {
            self.flush();
            self.tokens.skip_group();
            return;
        }
        match word {
            Some(Word::Unicode) => return self.unicode(number.unwrap_or(0), range),
            Some(Word::Character(character)) => return self.character(character, range),
            _ => {}
        }
        self.skip = self.skip.saturating_sub(1);
        self.flush();
        match word {
            Some(Word::Destination(destination)) => self.enter(destination, starred, range.start),
            Some(word) => self.apply(word, number, range),
            None => {}
        }
    }

    fn apply(&mut self, word: Word, number: Option<i32>, range: Range<usize>) {
        let on = number != Some(0);
        let value = number.unwrap_or(0);
        match word {
            Word::Paragraph => self.paragraph(),
            Word::Line => self.line(),
            Word::Page => self.page_break(),
            Word::Tab => self.write("\t", range, false),
            Word::Hidden => self.state.hidden = on,
            Word::Deleted => self.state.deleted = on,
            Word::Struck => self.state.struck = on,
            Word::UnicodeSkip => self.state.unicode_skip = usize::try_from(value).unwrap_or(0),
            Word::Plain => self.plain(),
            Word::ParagraphDefaults => self.state.paragraph = Paragraph::default(),
            Word::Style => self.state.paragraph.style = value,
            Word::OutlineLevel => self.state.paragraph.outline_level = number,
            Word::SpaceBefore => self.state.paragraph.before = value,
            Word::SpaceAfter => self.state.paragraph.after = value,
            Word::AutomaticSpace if on => self.state.paragraph.after = i32::MAX,
            Word::ContextualSpace => self.state.paragraph.contextual = on,
            Word::InTable => self.state.paragraph.in_table = on,
            Word::TableDepth => self.state.paragraph.table_depth = u32::try_from(value).unwrap_or(0),
            Word::RowDefaults | Word::CellMerged | Word::CellDefined => self.define_row(word),
            Word::Cell | Word::Row | Word::NestedCell | Word::NestedRow => self.table(word),
            Word::FormKind | Word::FormResult | Word::FormDefault => self.form(word, value),
            Word::Rtf => self.begin(),
            _ => self.choose_code_page(word, value),
        }
    }

    /// Words that say how bytes are read.
    fn choose_code_page(&mut self, word: Word, value: i32) {
        let in_table = self.state.sink == Sink::FontName;
        match word {
            Word::Font if in_table => return self.fonts.begin(value),
            Word::FontCharset if in_table => return self.fonts.charset_is(value),
            Word::FontCodePage if in_table => return self.fonts.code_page_is(value),
            Word::Font => self.state.font = value,
            Word::AssociatedFont => self.state.associated_font = Some(value),
            Word::LeftToRight => self.state.right_to_left = false,
            Word::RightToLeft => self.state.right_to_left = true,
            Word::DefaultFont => (self.default_font, self.state.font) = (value, value),
            Word::CodePageNamed(code_page) => self.code_page = code_page,
            // 0 is the code page of whoever reads it.
            Word::CodePage => {
                self.code_page = u16::try_from(value).ok().filter(|page| *page > 1).unwrap_or(self.code_page);
            }
            _ => return,
        }
        self.choose_charset();
    }

    fn choose_charset(&mut self) {
        let associated = self.state.associated_font.filter(|_| self.state.right_to_left);
        let font = associated.unwrap_or(self.state.font);
        self.state.charset = self.fonts.charset(font, self.code_page, &mut self.code_pages);
    }

    fn plain(&mut self) {
        (self.state.hidden, self.state.deleted, self.state.struck) = (false, false, false);
        (self.state.font, self.state.associated_font, self.state.right_to_left) = (self.default_font, None, false);
        self.choose_charset();
    }

    /// The start of the RTF, or of another one behind or within it.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) && self.state.page == Page::Body {
            self.fonts.clear();
            (self.code_page, self.default_font) = (DEFAULT_CODE_PAGE, 0);
            self.state = State { sink: self.state.sink, ..State::new() };
            self.page_break();
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            page: Page::Body,
            sink: Sink::Text,
            outer: Sink::Text,
            opened: None,
            fresh: true,
            hidden: false,
            deleted: false,
            struck: false,
            font: 0,
            associated_font: None,
            right_to_left: false,
            charset: Charset::Single(0),
            unicode_skip: 1,
            paragraph: Paragraph::default(),
        }
    }
}
