"""Makes the seeds: `python seeds.py` writes `seeds/TARGET/*`, a few kilobytes in all. Standard library only."""

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent / "seeds"
CLASS = "com.johnsnowlabs.nlp.annotators.classification.MedicalBertForSequenceClassification"


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def stream(pairs):
    out = bytearray(b"\xac\xed\0\x05ur" + text("[Lscala.Tuple2;") + bytes(8) + b"\x02\0\0xp" + struct.pack(">i", len(pairs)))
    for number, (key, value) in enumerate(pairs):
        if number == 0:
            out += b"sr" + text("scala.Tuple2") + bytes(8) + b"\x02\0\x02L" + text("_1") + b"t" + text("Ljava/lang/Object;")
            out += b"L" + text("_2") + b"q\0\x7e\0\x03xp"
        else:
            out += b"sq\0\x7e\0\x02"
        out += b"t" + text(key)
        if number == 0:
            out += b"sr" + text("java.lang.Integer") + bytes(8) + b"\x02\0\x01I" + text("value")
            out += b"xr" + text("java.lang.Number") + bytes(8) + b"\x02\0\0xp"
        else:
            out += b"sq\0\x7e\0\x06"
        out += struct.pack(">i", value)
    return bytes(out)


def sequence(records, escape=False):
    sync = bytes(range(16))
    out = bytearray(b"SEQ\x06")
    for name in ("org.apache.hadoop.io.NullWritable", "org.apache.hadoop.io.BytesWritable"):
        out += bytes([len(name)]) + name.encode()
    out += bytes(6) + sync
    for record in records:
        if escape:
            out += b"\xff\xff\xff\xff" + sync
        out += struct.pack(">iii", len(record) + 4, 0, len(record)) + record
    return bytes(out)


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def field(number, data):
    def varint(value):
        out = bytearray()
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes(out + bytes([value]))
    return varint(number << 3 | 2) + varint(len(data)) + data


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b"]
    vocabulary, labels = stream(list(zip(words, range(6)))), stream([("No", 0), ("Yes", 1)])
    metadata = json.dumps({"class": CLASS, "uid": "u", "paramMap": {"engine": "onnx"}})
    model = {"metadata/part-00000": metadata, "fields/vocabulary/part-00000": sequence([vocabulary]),
             "fields/labels/part-00000": sequence([labels]), "bert_classification_onnx": zipped({"m": b"graph"})}
    external = field(13, field(1, b"location") + field(2, b"weights.bin"))
    tensor = field(8, b"a") + field(9, bytes(5000))
    seeds = {
        "java_stream": [vocabulary, labels, vocabulary[:90]],
        "sequence_file": [sequence([vocabulary, labels], True), sequence([]), sequence([labels])[:-3]],
        "layout": [zipped(model), zipped({f"top/{name}": data for name, data in model.items()}), zipped({"../a": b"x"}),
                   zipped({"m": b"graph"}, zipfile.ZIP_STORED)],
        "graph_file": [b"\x08\x08" + field(7, field(5, tensor)), field(7, field(5, external)),
                       field(7, field(1, field(5, field(6, field(5, external)))))],
        "tokenizer": ["Patient (tumor) \"shrunk\"). post-op 3.5mg/kg café 患者 [SEP]".encode(), "a\u2028b\u0085 😀\u0301".encode()],
    }
    for target, files in seeds.items():
        (FOLDER / target).mkdir(parents=True)
        for number, data in enumerate(files):
            (FOLDER / target / str(number)).write_bytes(data)


if __name__ == "__main__":
    main()
