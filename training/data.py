"""Reads the labelled data and turns it into windows, the texts that the model reads at once."""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import sentencex

from model import CATEGORIES, LABELS, MAX_TOKENS

PD_CATEGORIES = Path(__file__).parent / "corpus" / "pd-categories.jsonl"
UNSURE_WEIGHT = 0.4
# Windows of a report that states no response: right for the report, less sure for the window.
UNSTATED_WINDOW_WEIGHT = 0.5
UNSTATED_WINDOWS_PER_REPORT = 5
LONGEST_REPORT = 384  # tokens of a report that is also read as a whole
PREVIOUS_SENTENCES = 1

CATEGORY_OF = {
    "CR": {"complete"},
    "PR": {"partial"},
    "SD": {"stable"},
    "PD": {"no-response", "progressive"},
    "MIXED": {"mixed"},
    "INDETERMINATE": {"indeterminate"},
    "NA": {"none"},
}


@dataclass
class Example:
    text: str
    label: int
    categories: list  # the indices of those that may be right; all of them: not known
    cancer: int
    weight: float
    held_out: bool
    of_report: bool  # a whole report or a window of one; else a passage


def read_jsonl(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def is_held_out(document):
    """One document in ten, by a hash of its id, is never trained on."""
    return hashlib.sha256(document.encode()).digest()[0] * 10 < 256


def document_of(row):
    """Rows with the same key must not be split between training and the held-out part."""
    return str(row.get("doc") or row.get("group") or row["id"])


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


def windows(text, previous=PREVIOUS_SENTENCES):
    """One (start, end) per sentence: the sentence with the `previous` ones before it."""
    spans = sentences(text)
    return [(spans[max(0, n - previous)][0], end) for n, (_, end) in enumerate(spans)]


class Corpus:
    """The examples of a data folder (see training/README.md)."""

    def __init__(self, folder, tokenizer, seed=0):
        self.tokenizer, self.random = tokenizer, random.Random(seed)
        self.subtypes = {}
        if PD_CATEGORIES.exists():
            self.subtypes = {row["id"]: row["category"] for row in read_jsonl(PD_CATEGORIES)}
        train = Path(folder) / "train"
        self.examples = []
        for name in ("passages", "written-passages"):
            for row in read_jsonl(train / f"{name}.jsonl"):
                self.add(row, row["text"])
        for name in ("documents", "written-reports"):
            for row in read_jsonl(train / f"{name}.jsonl"):
                self.add_report(row)

    def categories_of(self, row):
        names = CATEGORY_OF[row["category"]]
        if not row.get("category_agreed", True):
            names = set(CATEGORIES)
        elif self.subtypes.get(row["id"]) in names:
            names = {self.subtypes[row["id"]]}
        return [CATEGORIES.index(name) for name in CATEGORIES if name in names]

    def add(self, row, text, weight=1.0, of_report=False):
        self.examples.append(Example(
            text=text,
            label=LABELS.index(row["label"]),
            categories=self.categories_of(row),
            cancer=int(row["onc"]),
            weight=weight * (1.0 if row["sure"] else UNSURE_WEIGHT),
            held_out=is_held_out(document_of(row)),
            of_report=of_report,
        ))

    def add_report(self, row):
        text = row["text"]
        if self.fits(text, LONGEST_REPORT):
            self.add(row, text, of_report=True)
        if row["evidence"]:
            if row["category"] != "MIXED":
                for start, end in self.evidence_windows(row):
                    self.add(row, text[start:end], of_report=True)
        elif row["category"] == "NA":
            spans = windows(text)
            chosen = self.random.sample(spans, min(UNSTATED_WINDOWS_PER_REPORT, len(spans)))
            for start, end in chosen:
                self.add(row, text[start:end], UNSTATED_WINDOW_WEIGHT, of_report=True)

    def evidence_windows(self, row):
        """Windows that end with a sentence of the evidence; of evidence over several, the last."""
        spans = windows(row["text"])
        chosen = set()
        for evidence in row["evidence"]:
            ending = [span for span in spans if span[1] >= evidence["end"]]
            if ending:
                start, end = ending[0]
                chosen.add((min(start, evidence["start"]), end))
        return sorted(span for span in chosen if self.fits(row["text"][span[0]:span[1]]))

    def fits(self, text, limit=MAX_TOKENS):
        return len(self.tokenizer.encode(text).ids) <= limit
