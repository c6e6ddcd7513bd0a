"""What Python's onnxruntime and tokenizers make of texts, for `cargo xtask model-parity`:
`python reference.py FOLDER MAX_TOKENS < rows.jsonl > answers.jsonl`

FOLDER is a Hugging Face directory with model.onnx and tokenizer.json. A row is {"text"}, or {"input_ids"} where the
tokens are given.
"""

import json
import sys
from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Tokenizer


def main():
    folder, max_tokens = Path(sys.argv[1]), int(sys.argv[2])
    onnxruntime.disable_telemetry_events()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    for line in sys.stdin:
        row = json.loads(line)
        ids = row["input_ids"] if "input_ids" in row else tokenizer.encode(row["text"]).ids
        ids = numpy.array([ids], numpy.int64)
        given = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        logits = session.run(["logits"], {name: given[name] for name in names})[0][0]
        print(json.dumps({"input_ids": ids[0].tolist(), "logits": logits.tolist()}), flush=True)


if __name__ == "__main__":
    main()
