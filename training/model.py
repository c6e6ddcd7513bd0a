"""The network: a MiniLM (BERT) encoder, mean pooling, and three linear heads."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

LABELS = ["Yes", "No", "NA"]
CATEGORIES = [
    "complete", "partial", "stable", "no-response",
    "progressive", "mixed", "indeterminate", "none",
]
MAX_TOKENS = 512
DROPOUT = 0.1
# Up to here, products and a softmax are faster on a CPU than the fused operator, whose backward pass is slow.
LONGEST_PLAIN_ATTENTION = 192
LAYERS, HIDDEN, HEADS, INNER = 6, 384, 12, 1536
VOCABULARY, POSITIONS, NORM_EPSILON = 30522, 512, 1e-12


class Layer(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.query, self.key, self.value, self.attended = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.attended_norm = nn.LayerNorm(HIDDEN, NORM_EPSILON)
        self.inner, self.outer = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.outer_norm = nn.LayerNorm(HIDDEN, NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden, allowed):
        batch, length, _ = hidden.shape
        query, key, value = (
            part(hidden).view(batch, length, HEADS, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        if length <= LONGEST_PLAIN_ATTENTION:
            scores = (query @ key.transpose(-1, -2)) * (HIDDEN // HEADS) ** -0.5
            mixed = scores.masked_fill(~allowed, -1e4).softmax(-1).to(value.dtype) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        mixed = mixed.transpose(1, 2).reshape(batch, length, HIDDEN)
        hidden = self.attended_norm(hidden + self.dropout(self.attended(mixed)))
        return self.outer_norm(hidden + self.dropout(self.outer(F.gelu(self.inner(hidden)))))


class ResponseModel(nn.Module):
    """`forward` gives the logits of label, category and cancer."""

    def __init__(self, dropout=DROPOUT):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, HIDDEN)
        self.positions = nn.Embedding(POSITIONS, HIDDEN)
        self.embedded_norm = nn.LayerNorm(HIDDEN, NORM_EPSILON)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))
        self.dropout = nn.Dropout(dropout)
        self.label = nn.Linear(HIDDEN, len(LABELS))
        self.category = nn.Linear(HIDDEN, len(CATEGORIES))
        self.cancer = nn.Linear(HIDDEN, 2)

    def dropout_of_all(self, share):
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = share

    def encode(self, input_ids, attention_mask):
        """One vector per token."""
        hidden = self.words(input_ids) + self.positions.weight[: input_ids.shape[1]]
        hidden = self.dropout(self.embedded_norm(hidden))
        allowed = attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            hidden = layer(hidden, allowed)
        return hidden

    def forward(self, input_ids, attention_mask):
        hidden = self.encode(input_ids, attention_mask)
        weight = attention_mask[:, :, None].to(hidden.dtype)
        pooled = self.dropout((hidden * weight).sum(1) / weight.sum(1))
        return self.label(pooled), self.category(pooled), self.cancer(pooled)


def from_base(path, **settings):
    """A model whose encoder has the weights of a Hugging Face BERT file; the heads are new."""
    base = load_file(path)
    # Segment ids are always 0 here, so their one embedding is added to every position.
    state = {
        "words.weight": base["embeddings.word_embeddings.weight"],
        "positions.weight": base["embeddings.position_embeddings.weight"]
        + base["embeddings.token_type_embeddings.weight"][0],
    }
    parts = {
        "embedded_norm": "embeddings.LayerNorm",
        **{
            f"layers.{n}.{ours}": f"encoder.layer.{n}.{theirs}"
            for n in range(LAYERS)
            for ours, theirs in {
                "query": "attention.self.query",
                "key": "attention.self.key",
                "value": "attention.self.value",
                "attended": "attention.output.dense",
                "attended_norm": "attention.output.LayerNorm",
                "inner": "intermediate.dense",
                "outer": "output.dense",
                "outer_norm": "output.LayerNorm",
            }.items()
        },
    }
    for ours, theirs in parts.items():
        for kind in ("weight", "bias"):
            state[f"{ours}.{kind}"] = base[f"{theirs}.{kind}"]
    model = ResponseModel(**settings)
    missing, unexpected = model.load_state_dict(state, strict=False)
    heads = {f"{head}.{kind}" for head in ("label", "category", "cancer") for kind in ("weight", "bias")}
    assert set(missing) == heads and not unexpected, (missing, unexpected)
    return model
