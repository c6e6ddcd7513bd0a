"""Lets the encoder read the public clinical texts before it learns from labels: masked words are to be guessed."""

import random

import torch
import torch.nn.functional as F
from torch import nn

from model import HIDDEN, NORM_EPSILON, VOCABULARY

CHUNK_TOKENS = 128
MASKED_SHARE = 0.15
MASK, FIRST_WORD = 103, 999  # [MASK]; ids below the other hold no words
CHUNKS_PER_STEP = 32


class MaskedWords(nn.Module):
    """The encoder with a head that guesses words; its output layer is the table of word embeddings."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.transform, self.norm = nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN, NORM_EPSILON)
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))

    def forward(self, input_ids, attention_mask, places):
        hidden = self.encoder.encode(input_ids, attention_mask)[places]
        hidden = self.norm(F.gelu(self.transform(hidden)))
        return hidden @ self.encoder.words.weight.T + self.bias


def chunks(texts, encoder):
    """All texts, cut into stretches of like length."""
    for ids in encoder.pieces(texts):
        parts = -(-len(ids) // (CHUNK_TOKENS - 2))
        size = -(-len(ids) // max(1, parts))
        for at in range(0, len(ids), max(1, size)):
            yield [encoder.start, *ids[at:at + size], encoder.separator]


def masked(input_ids, generator):
    """The ids with some words hidden, and where: of those, one in ten stands as it is and one in ten is another word."""
    places = (torch.rand(input_ids.shape, generator=generator) < MASKED_SHARE) & (input_ids >= FIRST_WORD)
    kind = torch.rand(input_ids.shape, generator=generator)
    other = torch.randint(FIRST_WORD, VOCABULARY, input_ids.shape, generator=generator)
    shown = torch.where(places & (kind < 0.8), MASK, input_ids)
    return torch.where(places & (kind >= 0.9), other, shown), places


def steps(texts, encoder, epochs, seed):
    """The rows of each step."""
    rows, order = list(chunks(texts, encoder)), random.Random(seed)
    for _ in range(epochs):
        order.shuffle(rows)
        part = CHUNKS_PER_STEP * 50
        batches = []
        for at in range(0, len(rows), part):
            alike = sorted(rows[at:at + part], key=len)
            batches += [alike[n:n + CHUNKS_PER_STEP] for n in range(0, len(alike), CHUNKS_PER_STEP)]
        order.shuffle(batches)
        yield from batches
