"""Makes a model of the size of BERT-base (cased) with random weights, in the two layouts that hospitals have:
`python make_bert.py TEXTS.jsonl.gz FOLDER` (needs numpy, onnx and tokenizers; `cargo xtask model-parity` calls it) writes

- `FOLDER/hugging-face/`: model.onnx, config.json, tokenizer.json, vocab.txt, tokenizer_config.json;
- `FOLDER/spark/`: metadata, fields/vocabulary (eight parts), fields/labels, bert_classification_onnx;
- `FOLDER/spark.zip`: the same as it would be downloaded.

It answers nothing of sense. It is for measuring how long a model of that size takes to load, how much memory it needs,
and whether our answers are those of Python's onnxruntime and tokenizers. Nothing of it is committed.
"""

import argparse
import collections
import gzip
import json
import re
import struct
import zipfile
from pathlib import Path

import numpy
from onnx import TensorProto, helper
from tokenizers import BertWordPieceTokenizer

ENTRIES, HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 28996, 768, 12, 12, 3072, 512
SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
LABELS = {"No": 0, "Yes": 1}


def vocabulary(texts):
    """As many entries as bert-base-cased has, with the special tokens where it has them: characters, the commonest
    words and word endings of the texts, and unused entries."""
    counts = collections.Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text))
    characters = sorted({character for word in counts for character in word})
    endings = collections.Counter()
    for word, count in counts.items():
        for length in range(2, min(len(word), 7)):
            endings["##" + word[-length:]] += count
    common = [word for word, _ in counts.most_common(18000) if len(word) > 1]
    wanted = characters + ["##" + c for c in characters] + common + [ending for ending, _ in endings.most_common(9000)]
    wanted = list(dict.fromkeys(wanted))[: ENTRIES - 104]
    unused = [f"[unused{n}]" for n in range(1, ENTRIES)]
    entries = [SPECIAL.get(n) or unused.pop(0) for n in range(104)] + wanted
    return entries + unused[: ENTRIES - len(entries)]


class Graph:
    """BERT for sequence classification, as PyTorch exports it."""

    def __init__(self):
        self.nodes, self.weights, self.random = [], [], numpy.random.default_rng(17)

    def weight(self, name, *shape, value=None):
        data = self.random.standard_normal(shape, numpy.float32) * 0.04 if value is None else value
        kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[str(data.dtype)]
        self.weights.append(helper.make_tensor(name, kind, data.shape, data.tobytes(), raw=True))
        return name

    def scalar(self, name, value):
        return self.weight(name, value=numpy.array(value, numpy.float32))

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def linear(self, name, given, width_in, width_out):
        product = self.add("MatMul", [given, self.weight(f"{name}.weight", width_in, width_out)], f"{name}.product")
        return self.add("Add", [self.weight(f"{name}.bias", width_out), product], f"{name}.out")

    def norm(self, name, given):
        scale = self.weight(f"{name}.scale", value=numpy.ones(HIDDEN, numpy.float32))
        return self.add("LayerNormalization", [given, scale, self.weight(f"{name}.bias", HIDDEN)], f"{name}.out",
                        axis=-1, epsilon=1e-12)

    def embeddings(self):
        word = self.add("Gather", [self.weight("word", ENTRIES, HIDDEN), "input_ids"], "word.out")
        kind = self.add("Gather", [self.weight("kind", 2, HIDDEN), "token_type_ids"], "kind.out")
        self.add("Shape", ["input_ids"], "shape")
        for name, value in (("zero", 0), ("one", 1)):
            self.weight(name, value=numpy.array(value, numpy.int64))
        self.add("Gather", ["shape", "one"], "length")
        self.add("Range", ["zero", "length", "one"], "places")
        place = self.add("Gather", [self.weight("position", POSITIONS, HIDDEN), "places"], "place.out")
        return self.norm("embedding.norm", self.add("Add", [self.add("Add", [word, kind], "sum1"), place], "sum2"))

    def mask(self):
        for name, value in (("axes", [1, 2]), ("per-head", [0, 0, HEADS, HIDDEN // HEADS]), ("joined", [0, 0, HIDDEN])):
            self.weight(name, value=numpy.array(value, numpy.int64))
        self.add("Unsqueeze", ["attention_mask", "axes"], "mask4")
        self.add("Cast", ["mask4"], "mask.float", to=TensorProto.FLOAT)
        self.add("Sub", [self.scalar("1.0", 1.0), "mask.float"], "mask.inverse")
        return self.add("Mul", ["mask.inverse", self.scalar("low", -10000.0)], "mask")

    def layer(self, name, given, mask):
        split = {}
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            out = self.linear(f"{name}.{part}", given, HIDDEN, HIDDEN)
            out = self.add("Reshape", [out, "per-head"], f"{name}.{part}.heads")
            split[part] = self.add("Transpose", [out], f"{name}.{part}.split", perm=order)
        scores = self.add("MatMul", [split["query"], split["key"]], f"{name}.scores")
        scores = self.add("Div", [scores, self.scalar(f"{name}.root", (HIDDEN / HEADS) ** 0.5)], f"{name}.scaled")
        weights = self.add("Softmax", [self.add("Add", [scores, mask], f"{name}.masked")], f"{name}.softmax", axis=-1)
        context = self.add("MatMul", [weights, split["value"]], f"{name}.context")
        context = self.add("Transpose", [context], f"{name}.context.turned", perm=[0, 2, 1, 3])
        context = self.add("Reshape", [context, "joined"], f"{name}.context.joined")
        out = self.linear(f"{name}.output", context, HIDDEN, HIDDEN)
        given = self.norm(f"{name}.norm1", self.add("Add", [out, given], f"{name}.residual1"))
        inner = self.linear(f"{name}.inner", given, HIDDEN, INNER)
        part = self.add("Erf", [self.add("Div", [inner, "root2"], f"{name}.div")], f"{name}.erf")
        part = self.add("Add", [part, "1.0"], f"{name}.erf1")
        part = self.add("Mul", [self.add("Mul", [inner, part], f"{name}.mul"), "half"], f"{name}.gelu")
        out = self.linear(f"{name}.outer", part, INNER, HIDDEN)
        return self.norm(f"{name}.norm2", self.add("Add", [out, given], f"{name}.residual2"))

    def model(self):
        states, mask = self.embeddings(), self.mask()
        self.scalar("root2", 2 ** 0.5)
        self.scalar("half", 0.5)
        for number in range(LAYERS):
            states = self.layer(f"layer.{number}", states, mask)
        first = self.add("Gather", [states, "zero"], "first", axis=1)
        pooled = self.add("Tanh", [self.linear("pooler", first, HIDDEN, HIDDEN)], "pooled")
        scores = self.add("MatMul", [pooled, self.weight("classifier.weight", HIDDEN, 2)], "classifier.product")
        self.add("Add", [scores, self.weight("classifier.bias", 2)], "logits")
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names]
        output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def java_text(text):
    """A Java string: its length and modified UTF-8."""
    units = text.encode("utf-16-be", "surrogatepass")
    out = bytearray()
    for (unit,) in struct.iter_unpack(">H", units):
        if 1 <= unit < 0x80:
            out.append(unit)
        elif unit < 0x800:
            out += bytes([0xC0 | unit >> 6, 0x80 | unit & 0x3F])
        else:
            out += bytes([0xE0 | unit >> 12, 0x80 | unit >> 6 & 0x3F, 0x80 | unit & 0x3F])
    return struct.pack(">H", len(out)) + bytes(out)


def java_tuples(pairs):
    """One Java stream: an array of (string, integer) tuples."""
    out = bytearray(b"\xac\xed\x00\x05\x75\x72" + java_text("[Lscala.Tuple2;") + bytes.fromhex("2ecc00dfd14fd7c0")
                    + b"\x02\x00\x00\x78\x70" + struct.pack(">i", len(pairs)))
    for number, (key, value) in enumerate(pairs):
        if number == 0:
            out += b"\x73\x72" + java_text("scala.Tuple2") + bytes.fromhex("2e94667d5b92f9f5") + b"\x02\x00\x02"
            out += b"L" + java_text("_1") + b"\x74" + java_text("Ljava/lang/Object;")
            out += b"L" + java_text("_2") + b"\x71\x00\x7e\x00\x03\x78\x70"
        else:
            out += b"\x73\x71\x00\x7e\x00\x02"
        out += b"\x74" + java_text(key)
        if number == 0:
            out += b"\x73\x72" + java_text("java.lang.Integer") + bytes.fromhex("12e2a0a4f7818738")
            out += b"\x02\x00\x01I" + java_text("value") + b"\x78"
            out += b"\x72" + java_text("java.lang.Number") + bytes.fromhex("86ac951d0b94e08b") + b"\x02\x00\x00\x78\x70"
        else:
            out += b"\x73\x71\x00\x7e\x00\x06"
        out += struct.pack(">i", value)
    return bytes(out)


def sequence_file(pairs):
    """A Hadoop SequenceFile of records of ten tuples, with a sync escape about every 100 kB."""
    hadoop = lambda name: bytes([len(name)]) + name.encode()
    sync = bytes(range(16))
    out = bytearray(b"SEQ\x06" + hadoop("org.apache.hadoop.io.NullWritable") + hadoop("org.apache.hadoop.io.BytesWritable")
                    + b"\x00\x00" + struct.pack(">i", 0) + sync)
    synced = len(out)
    for start in range(0, len(pairs), 10):
        if len(out) - synced > 102400:
            out += struct.pack(">i", -1) + sync
            synced = len(out)
        value = java_tuples(pairs[start:start + 10])
        out += struct.pack(">iii", len(value) + 4, 0, len(value)) + value
    return bytes(out)


def feature(folder, entries, parts):
    folder.mkdir(parents=True)
    pairs = list(entries.items())
    for part in range(parts):
        (folder / f"part-{part:05}").write_bytes(sequence_file(pairs[part::parts]))
    (folder / "_SUCCESS").write_bytes(b"")


def spark(folder, entries, graph):
    (folder / "metadata").mkdir(parents=True)
    kind = "com.johnsnowlabs.nlp.annotators.classification.MedicalBertForSequenceClassification"
    params = {"inputCols": ["document", "token"], "caseSensitive": True, "maxSentenceLength": 128, "batchSize": 8,
              "engine": "onnx", "outputCol": "prediction"}
    defaults = {"engine": "tensorflow", "coalesceSentences": False, "activation": "softmax", "threshold": 0.5}
    metadata = {"class": kind, "timestamp": 0, "sparkVersion": "3.4.0", "uid": "bert_random", "paramMap": params,
                "defaultParamMap": defaults}
    (folder / "metadata/part-00000").write_text(json.dumps(metadata) + "\n")
    feature(folder / "fields/vocabulary", {word: n for n, word in enumerate(entries)}, 8)
    feature(folder / "fields/labels", LABELS, 8)
    with zipfile.ZipFile(folder / "bert_classification_onnx", "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        archive.write(graph, "model.onnx")
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))


def hugging_face(folder, entries):
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": ENTRIES,
              "id2label": {str(n): name for name, n in LABELS.items()}, "label2id": LABELS, "pad_token_id": 0,
              "max_position_embeddings": POSITIONS, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    settings = {"do_lower_case": False, "strip_accents": None, "tokenize_chinese_chars": True, "model_max_length": 512,
                "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=None)
    tokenizer.save(str(folder / "tokenizer.json"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("texts", type=Path)
    arguments.add_argument("folder", type=Path)
    arguments = arguments.parse_args()
    with gzip.open(arguments.texts, "rt", encoding="utf-8") as lines:
        entries = vocabulary([json.loads(line)["text"] for _, line in zip(range(2000), lines)])
    assert len(entries) == len(set(entries)) == ENTRIES
    folder = arguments.folder / "hugging-face"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(Graph().model().SerializeToString())
    hugging_face(folder, entries)
    spark(arguments.folder / "spark", entries, folder / "model.onnx")


if __name__ == "__main__":
    main()
