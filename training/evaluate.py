"""Measures the exported model on the labelled texts: `python evaluate.py --data FOLDER`."""

import argparse
import json
import tomllib
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer

from data import is_held_out, read_jsonl, windows
from measures import measures_with_intervals, softmax
from model import LABELS

SETS = {
    "sentences dev": "eval/sentences.dev.jsonl",
    "documents dev": "eval/documents.dev.jsonl",
    "documents held out": "train/documents.jsonl",
    "written reports held out": "train/written-reports.jsonl",
}


class ExportedModel:
    """The model as the service runs it; one text at a time."""

    def __init__(self, folder, file="model.onnx"):
        description = tomllib.loads((folder / "responsum-model.toml").read_text())
        self.max_tokens = description["max_tokens"]
        self.previous_sentences = description["previous_sentences"]
        self.temperature = description["calibration"]["temperature"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])

    def logits(self, text):
        """Label, category and cancer logits; a text that is too long loses its beginning."""
        ids = self.tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            ids = ids[:1] + ids[1 - self.max_tokens:]
        ids = numpy.array([ids], dtype=numpy.int64)
        outputs = ["logits", "category_logits", "cancer_logits"]
        results = self.session.run(outputs, {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})
        return [result[0] for result in results]

    def scores(self, text):
        return softmax(self.logits(text)[0], self.temperature)

    def document_scores(self, text):
        return decide([self.scores(text[start:end]) for start, end in windows(text, self.previous_sentences)])


def decide(scores):
    """The last window that answers speaks for the document; where none does, nothing is stated."""
    answered = [score for score in scores if score.argmax() != LABELS.index("NA")]
    return answered[-1] if answered else numpy.mean(scores, 0)


def rows_of(data, path):
    for row in read_jsonl(data / path):
        if path.startswith("eval/"):
            scored = not row["ambiguous"]
        else:
            scored = is_held_out(row["id"]) and row["sure"]
        if scored:
            yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="the data folder (holds train/ and eval/)")
    parser.add_argument("--model", default=Path(__file__).parent.parent / "models" / "default", type=Path)
    arguments = parser.parse_args()

    model = ExportedModel(arguments.model)
    for name, path in SETS.items():
        rows = list(rows_of(arguments.data, path))
        score = model.scores if "sentences" in path else model.document_scores
        scores = numpy.array([score(row["text"]) for row in rows])
        results = measures_with_intervals([LABELS.index(row["label"]) for row in rows], scores)
        print(f"{name}: n {len(rows)}")
        for measure, (value, low, high) in results.items():
            print(f"  {measure} {value:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
