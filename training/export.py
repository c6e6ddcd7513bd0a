"""Writes the trained weights as an int8 ONNX file with its companions: `python export.py`.

Weights and embeddings are stored as int8 with a scale per output (per token for the embeddings)
and become floats when the model is loaded; activations stay floats. So a text gets the same
answer whatever it is batched with, and whatever integer instructions the processor has.
"""

import argparse
import json
import os
import tomllib
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from model import CATEGORIES, HEADS, HIDDEN, INNER, LABELS, LAYERS, MAX_TOKENS, NORM_EPSILON, POSITIONS, VOCABULARY

MODEL_ID, VERSION = "responsum-minilm-response", "0.2.0"
OPSET, IR_VERSION = 20, 10
# Added to the attention scores of padding: its weight is exactly 0 after the softmax.
MASKED = -1e9


def quantise(matrix, axis):
    """int8 values and float scales such that values * scales is close to the matrix."""
    scales = numpy.abs(matrix).max(axis, keepdims=True) / 127
    scales = numpy.where(scales == 0, 1, scales).astype(numpy.float32)
    values = numpy.clip(numpy.rint(matrix / scales), -127, 127).astype(numpy.int8)
    return values, scales


class Graph:
    """Collects nodes and weights; each method returns the name of what it computes."""

    def __init__(self, weights, int8=True):
        self.weights, self.int8 = weights, int8
        self.nodes, self.constants = [], {}

    def constant(self, name, array):
        self.constants.setdefault(name, numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def op(self, kind, *inputs, **attributes):
        name = attributes.pop("name", f"{kind.lower()}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def weight(self, name, matrix, axis):
        if not self.int8:
            return self.constant(name, matrix)
        values, scales = quantise(matrix, axis)
        floats = self.op("Cast", self.constant(f"{name}.int8", values), to=TensorProto.FLOAT)
        return self.op("Mul", floats, self.constant(f"{name}.scale", scales))

    def linear(self, part, value, **name):
        matrix = self.weight(f"{part}.weight", self.weights[f"{part}.weight"].T, axis=0)
        product = self.op("MatMul", value, matrix)
        return self.op("Add", product, self.constant(f"{part}.bias", self.weights[f"{part}.bias"]), **name)

    def norm(self, part, value):
        scale, bias = (self.constant(f"{part}.{kind}", self.weights[f"{part}.{kind}"]) for kind in ("weight", "bias"))
        return self.op("LayerNormalization", value, scale, bias, axis=-1, epsilon=NORM_EPSILON)

    def embedded_words(self, input_ids):
        table = self.weights["words.weight"]
        if not self.int8:
            return self.op("Gather", self.constant("words", table), input_ids)
        values, scales = quantise(table, 1)
        rows = self.op("Gather", self.constant("words.int8", values), input_ids)
        rows = self.op("Cast", rows, to=TensorProto.FLOAT)
        return self.op("Mul", rows, self.op("Gather", self.constant("words.scale", scales), input_ids))

    def embedded_positions(self, input_ids):
        length = self.op("Shape", input_ids, start=1, end=2)
        table = self.weight("positions", self.weights["positions.weight"], axis=1)
        return self.op("Slice", table, self.integers("zero", [0]), length, self.integers("zero", [0]))

    def integers(self, name, values):
        return self.constant(name, numpy.array(values, dtype=numpy.int64))

    def float(self, name, value):
        return self.constant(name, numpy.array(value, dtype=numpy.float32))

    def heads(self, value, permutation):
        parts = self.op("Reshape", value, self.integers("heads", [0, 0, HEADS, HIDDEN // HEADS]))
        return self.op("Transpose", parts, perm=permutation)

    def layer(self, part, hidden, mask):
        query = self.heads(self.linear(f"{part}.query", hidden), [0, 2, 1, 3])
        key = self.heads(self.linear(f"{part}.key", hidden), [0, 2, 3, 1])
        value = self.heads(self.linear(f"{part}.value", hidden), [0, 2, 1, 3])
        scores = self.op("Mul", self.op("MatMul", query, key), self.float("scale", (HIDDEN // HEADS) ** -0.5))
        attention = self.op("Softmax", self.op("Add", scores, mask), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", attention, value), perm=[0, 2, 1, 3])
        mixed = self.op("Reshape", mixed, self.integers("hidden", [0, 0, HIDDEN]))
        attended = self.op("Add", self.linear(f"{part}.attended", mixed), hidden)
        hidden = self.norm(f"{part}.attended_norm", attended)
        inner = self.op("Gelu", self.linear(f"{part}.inner", hidden))
        return self.norm(f"{part}.outer_norm", self.op("Add", self.linear(f"{part}.outer", inner), hidden))


def build(weights, int8=True):
    graph = Graph(weights, int8)
    ones = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    padding = graph.op("Mul", graph.op("Sub", graph.float("one", 1), ones), graph.float("masked", MASKED))
    mask = graph.op("Unsqueeze", padding, graph.integers("middle", [1, 2]))
    embedded = graph.op("Add", graph.embedded_words("input_ids"), graph.embedded_positions("input_ids"))
    hidden = graph.norm("embedded_norm", embedded)
    for n in range(LAYERS):
        hidden = graph.layer(f"layers.{n}", hidden, mask)
    weight = graph.op("Unsqueeze", ones, graph.integers("last", [2]))
    total = graph.op("ReduceSum", graph.op("Mul", hidden, weight), graph.integers("tokens", [1]), keepdims=0)
    pooled = graph.op("Div", total, graph.op("ReduceSum", weight, graph.integers("tokens", [1]), keepdims=0))
    outputs = {"label": ("logits", LABELS), "category": ("category_logits", CATEGORIES), "cancer": ("cancer_logits", [0, 1])}
    for head, (output, _) in outputs.items():
        graph.linear(head, pooled, name=output)

    shape = ["batch", "sequence"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, MODEL_ID,
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", len(classes)])
             for output, classes in outputs.values()],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="responsum", producer_version=VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def config():
    """The fields of a Hugging Face BERT configuration that describe this model."""
    return {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(n): name for n, name in enumerate(LABELS)},
        "label2id": {name: n for n, name in enumerate(LABELS)},
        "problem_type": "single_label_classification",
        "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS, "layer_norm_eps": NORM_EPSILON,
        "type_vocab_size": 1, "pad_token_id": 0,
    }


# Tokens of the text before a sentence that the service reads with it; training reads fewer and more.
CONTEXT_TOKENS = 96


def description(temperature, document):
    order = ", ".join(f'"{name}"' for name in CATEGORIES)
    return f"""\
id = "{MODEL_ID}"
version = "{VERSION}"
max_tokens = {MAX_TOKENS}            # with [CLS] and [SEP]
context_tokens = {CONTEXT_TOKENS}         # of the text before a window's own sentence

[labels]                    # the model's own label -> ours
Yes = "responded"
No = "not-responded"
NA = "not-stated"

[outputs]
label = "logits"
category = "category_logits"
cancer = "cancer_logits"    # index 1 = cancer

[categories]
order = [{order}]

[calibration]
temperature = {temperature:.3f}         # fitted on held-out documents of the training data
{document}"""


def document_calibration(path):
    """What `responsum eval --calibrate` fitted to the held-out reports, as a part of the description."""
    if not path.exists():
        return ""
    fitted = tomllib.loads(path.read_text())
    scale = fitted["document"]
    return f"""
[calibration.document]      # fitted on {fitted["reports"]} held-out reports
overview = {scale["overview"]}
sentence = {scale["sentence"]}
bias = {scale["bias"]}   # responded, not-responded, not-stated
"""


def replace(path, content):
    """Writes beside and renames, so that a reader never sees half a file."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    os.replace(beside, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=Path("build"), type=Path, help="the folder that train.py wrote")
    parser.add_argument("--out", default=Path(__file__).parent.parent / "models" / "default", type=Path)
    arguments = parser.parse_args()

    weights = load_file(arguments.build / "model.safetensors")
    temperature = json.loads((arguments.build / "calibration.json").read_text())["temperature"]
    document = document_calibration(arguments.build / "document-calibration.toml")
    arguments.out.mkdir(parents=True, exist_ok=True)
    replace(arguments.out / "tokenizer.json", (arguments.build / "tokenizer.json").read_bytes())
    replace(arguments.out / "config.json", (json.dumps(config(), indent=2) + "\n").encode())
    replace(arguments.out / "responsum-model.toml", description(temperature, document).encode())
    replace(arguments.out / "model.onnx", build(weights).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
