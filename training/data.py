"""Reads the corpus (training/corpus) and turns it into examples, the texts that the model reads at once.

There are three kinds: a passage (a sentence or a few, as it stands), a window (one sentence of a report, with the
text before it as context) and a report (the whole of it, or its end if it is long).
"""

import gzip
import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import sentencex

from model import CATEGORIES, LABELS, MAX_TOKENS

CORPUS = Path(__file__).parent / "corpus"
UNSURE_WEIGHT = 0.4
# A window of a report whose sentences were not all read one by one: that it states nothing is likely, not known.
UNREAD_WINDOW_WEIGHT = 0.5
# Tokens of context before a window's own sentence: one of these in training, so that the model does not lean on one.
CONTEXT_TOKENS = (32, 64, 128)

CATEGORIES_OF = {
    "Yes": {"complete", "partial", "stable", "mixed"},
    "No": {"no-response", "progressive", "mixed"},
    "NA": {"indeterminate", "none"},
}
LABEL_OF = {
    "complete": "Yes", "partial": "Yes", "stable": "Yes",
    "no-response": "No", "progressive": "No",
    "indeterminate": "NA", "none": "NA",
}


@dataclass
class Example:
    kind: str  # public passage, written passage, window or report
    document: str  # texts with the same are never split between training and the held-out part
    context: str  # what stands before the text, nearest last; empty for passages and reports
    text: str
    label: int
    categories: list  # the indices of those that may be right; several: it is not known which
    cancer: int
    weight: float

    @property
    def held_out(self):
        """One document in ten, by a hash of its id, is never trained on."""
        return hashlib.sha256(self.document.encode()).digest()[0] * 10 < 256


def read_jsonl(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if str(path).endswith(".gz") else open(path, encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines]


def read_pool(path):
    """The public texts by their id; none if there is no such file."""
    return {row["id"]: row["text"] for row in read_jsonl(path)} if path else {}


def sentences(text):
    """Spans (start, end) of the sentences; a line break always ends one."""
    spans, line_start = [], 0
    for line in text.split("\n"):
        at = line_start
        for sentence in sentencex.segment("en", line):
            start = text.index(sentence, at) if sentence else at
            at = start + len(sentence)
            left = start + len(sentence) - len(sentence.lstrip())
            right = start + len(sentence.rstrip())
            if right > left:
                spans.append((left, right))
        line_start += len(line) + 1
    return spans


def categories_of(label, category):
    names = CATEGORIES_OF[label] if category is None else {category}
    return [CATEGORIES.index(name) for name in CATEGORIES if name in names]


def checked(span, digest):
    """The span, if it is the one that was labelled."""
    if hashlib.sha256(span.encode()).hexdigest() != digest:
        raise ValueError("the pool is not the one that was labelled: a span has another SHA-256")
    return span


class Corpus:
    """Passages, and reports with the sentences that state something."""

    def __init__(self, pool, folder=CORPUS):
        self.passages, self.reports = [], []
        for row in read_jsonl(folder / "pool-passages.jsonl"):
            if row["doc"] in pool:
                text = checked(pool[row["doc"]][row["start"]:row["end"]], row["sha256"])
                self.passages.append(self.whole("public passage", row, row["doc"], text))
        for row in read_jsonl(folder / "written-passages.jsonl"):
            self.passages.append(self.whole("written passage", row, row.get("group", row["id"]), row["text"]))
        for row in read_jsonl(folder / "pool-documents.jsonl"):
            if row["id"] in pool:
                self.reports.append({**row, "text": checked(pool[row["id"]], row["sha256"]), "narrative": True})
        for row in read_jsonl(folder / "written-reports.jsonl"):
            self.reports.append({**row, "narrative": False})

    @staticmethod
    def whole(kind, row, document, text):
        return Example(
            kind=kind, document=document, context="", text=text, label=LABELS.index(row["label"]),
            categories=categories_of(row["label"], row["category"]), cancer=int(row["cancer"]),
            weight=1.0 if row["sure"] else UNSURE_WEIGHT,
        )

    def whole_reports(self):
        return [self.whole("report", row, row["id"], row["text"]) for row in self.reports]

    def beginnings(self, generator):
        """Reports that were told over time, cut off after a sentence: the latest status until there is the answer.

        Of each report that states something, one that ends before its first status and one that ends after it.
        """
        examples = []
        for row in self.reports:
            if not (row["narrative"] and row["complete"] and row["sure"] and row["states"]):
                continue
            # Without a status of the main problem, another's may be the answer: leave those alone.
            if any(role == "other" or not category for *_, category, role in row["states"]):
                continue
            ends = [end for _, end in sentences(row["text"])[1:-1]]
            ends = [end for end in ends if not any(start < end < stop for start, stop, *_ in row["states"])]
            first = row["states"][0][1]
            for part in ([end for end in ends if end < first], [end for end in ends if end >= first]):
                if part:
                    end = generator.choice(part)
                    category = ([state[2] for state in row["states"] if state[1] <= end] or ["none"])[-1]
                    if category in LABEL_OF:
                        told = {**row, "label": LABEL_OF[category], "category": category}
                        examples.append(self.whole("report", told, row["id"], row["text"][:end]))
        return examples

    def windows(self, generator, silent_each):
        """Every sentence that states something, and some that state nothing, each with what stands before it."""
        examples = []
        for row in self.reports:
            silent = []
            for start, end in sentences(row["text"]):
                told = [s for s in row["states"] if min(end, s[1]) - max(start, s[0]) > 0.5 * min(end - start, s[1] - s[0])]
                if told:
                    category = told[-1][2]
                    label = LABEL_OF.get(category, row["label"] if told[-1][3] == "current" else None)
                    if label:
                        examples.append(self.window(row, start, end, label, category, 1.0))
                else:
                    silent.append((start, end))
            if row["complete"] or row["label"] == "NA":
                weight = 1.0 if row["complete"] else UNREAD_WINDOW_WEIGHT
                for start, end in generator.sample(silent, min(silent_each, len(silent))):
                    examples.append(self.window(row, start, end, "NA", "none", weight))
        return examples

    @staticmethod
    def window(row, start, end, label, category, weight):
        return Example(
            kind="window", document=row["id"], context=row["text"][:start], text=row["text"][start:end],
            label=LABELS.index(label), categories=categories_of(label, category), cancer=int(row["cancer"]),
            weight=weight * (1.0 if row["sure"] else UNSURE_WEIGHT),
        )


class Encoder:
    """Examples to token ids, as the service makes them: [CLS] text [SEP], or [CLS] context [SEP] text [SEP]."""

    def __init__(self, tokenizer):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer = tokenizer
        self.start, self.separator = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")

    def pieces(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def ids(self, text, context=(), context_tokens=0):
        """A text that is too long loses its beginning; context is dropped before that."""
        text = text[2 - MAX_TOKENS:]
        room = min(context_tokens, MAX_TOKENS - 3 - len(text))
        if room <= 0 or not context:
            return [self.start, *text, self.separator]
        return [self.start, *context[-room:], self.separator, *text, self.separator]

    def encode(self, examples, generator):
        texts = self.pieces([example.text for example in examples])
        contexts = self.pieces([example.context[-2000:] for example in examples])
        return [self.ids(t, c, generator.choice(CONTEXT_TOKENS)) for t, c in zip(texts, contexts)]
