"""The case table of exact curvature: small networks that together use every common operation of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from landscape_case import Applied, Batch, Case
from landscape_layers import (
    ACTIVATIONS,
    ATTENTION,
    CLASSES,
    CONVOLUTIONS,
    NORMS,
    SEQUENCES,
    VECTORS,
    D,
    classified,
    cross_entropy,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

VOCABULARY = 7


def tokens() -> tuple[Tensor, Tensor]:
    """Token numbers (4, 5) and the ones to predict."""
    return torch.randint(0, VOCABULARY, (4, 5)), torch.randint(0, VOCABULARY, (4, 5))


def pairs(targets: Callable[[], Tensor]) -> Callable[[], tuple[Tensor, Tensor]]:
    """Normal inputs (4, 3) and targets."""
    return lambda: (torch.randn(4, 3, dtype=D), targets())


def normal() -> Tensor:
    return torch.randn(4, CLASSES, dtype=D)


def perceptron(hidden: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), hidden or nn.Tanh(), nn.Linear(4, CLASSES))


def computed(name: str, apply: Callable[[Any, Tensor], Tensor], **options: Any) -> Case:
    """A perceptron whose hidden layer of four goes through a function: `m.inner`, `m.out` and the input."""
    return classified(
        name, lambda: Applied(apply, inner=nn.Linear(3, 4), out=nn.Linear(4, CLASSES)), **options
    )


def recurred(name: str, make: Callable[[], nn.Module], features: int = 3) -> Case:
    """The outputs of a recurrent layer at the last step, read out."""
    return classified(
        f"recurrent {name}",
        lambda: Applied(
            lambda m, x: m.out(m.layer(x)[0][:, -1]), layer=make(), out=nn.Linear(features, CLASSES)
        ),
        SEQUENCES,
    )


def stepped(m: Any, x: Tensor) -> Tensor:
    """Cells step by step, one state given and one left to the cell."""
    h, c = m.lstm(x[:, 0])
    g = torch.zeros_like(h)
    for t in range(1, x.shape[1]):
        h, c = m.lstm(x[:, t], (h, c))
        g = m.gru(h, g)
    return m.out(g)


RECURRENT = [
    recurred("plain relu", lambda: nn.RNN(4, 3, batch_first=True, nonlinearity="relu")),
    recurred("lstm two layers", lambda: nn.LSTM(4, 2, num_layers=2, batch_first=True), features=2),
    recurred("gru both ways", lambda: nn.GRU(4, 2, bidirectional=True, batch_first=True), features=4),
    classified(
        "recurrent cells",
        lambda: Applied(stepped, lstm=nn.LSTMCell(4, 2), gru=nn.GRUCell(2, 2), out=nn.Linear(2, CLASSES)),
        SEQUENCES,
    ),
]


def tied_language_model() -> nn.Module:
    embedding, head = nn.Embedding(VOCABULARY, 4), nn.Linear(4, VOCABULARY, bias=False)
    head.weight = embedding.weight
    return nn.Sequential(embedding, nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4), head)


def hugging_face(name: str) -> nn.Module:
    """A language model of `transformers`, its smallest possible configuration, fused attention."""
    import transformers

    if name == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=5,
            n_embd=4,
            n_layer=1,
            n_head=2,
            n_inner=6,
            bos_token_id=0,
            eos_token_id=0,
        )
    else:
        config = transformers.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=4,
            intermediate_size=6,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=8,
            pad_token_id=None,
        )
    return transformers.AutoModelForCausalLM.from_config(config)


def shifted(logits: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())


def labelled() -> dict[str, Tensor]:
    ids = tokens()[0]
    return {"input_ids": ids, "labels": ids}


LANGUAGE = [
    classified(
        "embedding padded",
        lambda: nn.Sequential(
            nn.Embedding(VOCABULARY, 4, padding_idx=0), nn.Tanh(), nn.Flatten(), nn.Linear(20, VOCABULARY)
        ),
        lambda: (tokens()[0], torch.randint(0, VOCABULARY, (4,))),
        follows=False,  # the padding's row gets no gradient, though the loss depends on it
    ),
    classified("embedding tied with the head", tied_language_model, tokens),
    Case(
        "transformers gpt2 logits",
        lambda: hugging_face("gpt2"),
        labelled,
        shifted,
        forward=lambda model, batch: model(input_ids=batch["input_ids"]).logits,
        train=False,
    ),
    Case(
        "transformers llama",
        lambda: hugging_face("llama"),
        labelled,
        shifted,
        forward=lambda model, batch: model(**batch).logits,
        own_loss=lambda model, batch: model(**batch).loss,
        train=False,
        follows=False,
        tolerance=1e-5,  # its norms and its loss are computed in float32
    ),
]


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, CLASSES))
    model[2].requires_grad_(False)
    return model


def unused() -> nn.Module:
    return Applied(
        lambda m, x: m.out(m.inner(x).tanh()),
        inner=nn.Linear(3, 4),
        spare=nn.Linear(2, 2),
        gate=nn.Parameter(torch.ones(2)),
        out=nn.Linear(4, CLASSES),
    )


def shared() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.SiLU(), nn.Linear(3, CLASSES))


def recomputed(m: Any, x: Tensor) -> Tensor:
    return m.out(checkpoint(m.body, x, use_reentrant=False))


def checkpointed(*layers: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """A perceptron whose first layer and some more are run again in every backward pass."""
    return lambda: Applied(
        recomputed,
        body=nn.Sequential(nn.Linear(3, 4), *(make() for make in layers)),
        out=nn.Linear(4, CLASSES),
    )


STRUCTURE = [
    classified("dropout", lambda: perceptron(nn.Dropout(0.4)), mean=False),
    classified("dropout alpha", lambda: perceptron(nn.AlphaDropout(0.4)), mean=False),
    classified("frozen layer", frozen),
    classified("unused parameters", unused),
    classified("shared layer", shared),
    classified("checkpoint", checkpointed(nn.Tanh, lambda: nn.Linear(4, 4), nn.GELU)),
    classified("checkpoint batch norm", checkpointed(lambda: nn.BatchNorm1d(4), nn.Tanh), mean=False),
    classified("checkpoint dropout", checkpointed(nn.Tanh, lambda: nn.Dropout(0.4)), mean=False),
    classified(
        "checkpoint attention",
        lambda: Applied(
            recomputed,
            body=Applied(
                lambda m, x: F.scaled_dot_product_attention(m.q(x), m.k(x), x, is_causal=True).mean(1),
                q=nn.Linear(4, 4),
                k=nn.Linear(4, 4),
            ),
            out=nn.Linear(4, CLASSES),
        ),
        SEQUENCES,
    ),
    computed("residual gated", lambda m, x: m.out((h := m.inner(x)) + h.sigmoid() * F.silu(h))),
    computed("glu", lambda m, x: m.out(F.glu(m.inner(x), -1).repeat(1, 2))),
    computed(
        "einsum",
        lambda m, x: m.out(
            torch.einsum("bi,bj,ij->bj", h := m.inner(x), h.tanh(), m.out.weight.mT @ m.out.weight)
        ),
    ),
    computed(
        "cumulative sums", lambda m, x: m.out(m.inner(x).tanh().cumsum(-1) + m.inner(x).logcumsumexp(-1))
    ),
    computed("products", lambda m, x: m.out(m.inner(x).cumprod(-1) + m.inner(x).prod(-1, keepdim=True))),
    computed("sort", lambda m, x: m.out(m.inner(x).sort(-1)[0].tanh())),
    computed("top k", lambda m, x: m.out(F.pad(m.inner(x).tanh().topk(2, -1)[0], (0, 2)))),
    computed(
        "gather scatter",
        lambda m, x: m.out(
            torch.zeros(4, 4, dtype=x.dtype).scatter_add(1, ROUTES, m.inner(x).square())
            + m.inner(x).gather(1, ROUTES).exp()
        ),
        mean=False,
    ),
    computed(
        "maximum where",
        lambda m, x: m.out(
            torch.where(m.inner(x) > 0, m.inner(x).square(), m.inner(x).sin()).clamp(max=2.0)
            + m.inner(x).amax(-1, keepdim=True)
        ),
    ),
    computed(
        "statistics",
        lambda m, x: m.out(
            m.inner(x) / m.inner(x).std(-1, keepdim=True) + m.inner(x).norm(dim=-1, keepdim=True)
        ),
    ),
    computed("fourier", lambda m, x: m.out(torch.fft.fft(m.inner(x)).abs())),
    computed(
        "linear algebra",
        lambda m, x: m.out(
            torch.linalg.solve(torch.eye(4, dtype=x.dtype) + m.out.weight.mT @ m.out.weight, m.inner(x).mT).mT
        ),
    ),
    computed(
        "experts",
        lambda m, x: m.out(
            m.inner(x)
            .softmax(-1)
            .unsqueeze(-1)
            .mul(torch.stack([m.inner(x).tanh(), m.inner(x).square(), m.inner(x).exp(), m.inner(x).erf()], 1))
            .sum(1)
        ),
    ),
    Case(
        "several outputs",
        lambda: Applied(
            lambda m, x: (m.first(h := m.inner(x).tanh()), m.second(h)),
            inner=nn.Linear(3, 4),
            first=nn.Linear(4, CLASSES),
            second=nn.Linear(4, 2),
        ),
        VECTORS,
        lambda outputs, batch: F.cross_entropy(outputs[0], batch[1]) + outputs[1].square().mean(),
    ),
    Case(
        "outputs by name",
        lambda: Applied(
            lambda m, x: {"class": m.first(h := m.inner(x).tanh()), "place": m.second(h), "size": h.norm()},
            inner=nn.Linear(3, 4),
            first=nn.Linear(4, CLASSES),
            second=nn.Linear(4, 2),
        ),
        VECTORS,
        lambda outputs, batch: F.cross_entropy(outputs[0], batch[1]) + 0.1 * outputs[1].exp().mean(),
        forward=lambda model, batch: tuple(model(batch[0])[name] for name in ("class", "place")),
    ),
]
ROUTES = torch.tensor([[0, 0, 1, 3], [1, 1, 1, 1], [3, 2, 1, 0], [2, 0, 2, 0]])


def lost(
    name: str, criterion: Callable[[Any, Any], Tensor], batch: Callable[[], Any], **options: Any
) -> Case:
    return Case(f"loss {name}", perceptron, batch, criterion, **options)


def probabilities() -> Tensor:
    return torch.rand(4, CLASSES, dtype=D).softmax(-1)


def counts() -> Tensor:
    return torch.randint(0, 5, (4, CLASSES)).to(D)


def signs() -> Tensor:
    return 2.0 * torch.randint(0, 2, (4, CLASSES)).to(D) - 1


LOSSES = [
    lost("mse", lambda o, b: F.mse_loss(o, b[1]), pairs(normal)),
    lost("mse summed", lambda o, b: F.mse_loss(o, b[1], reduction="sum"), pairs(normal), mean=False),
    lost("l1", lambda o, b: F.l1_loss(o, b[1]), pairs(normal)),
    lost("huber", lambda o, b: F.huber_loss(o, b[1], delta=0.7), pairs(normal)),
    lost("smooth l1", lambda o, b: F.smooth_l1_loss(o, b[1], beta=0.6), pairs(normal)),
    lost("label smoothing", lambda o, b: cross_entropy(o, b, label_smoothing=0.1), VECTORS),
    lost("ignored labels", lambda o, b: cross_entropy(o, b, ignore_index=0), VECTORS, mean=False),
    lost(
        "class weights",
        lambda o, b: cross_entropy(o, b, weight=torch.tensor([0.5, 1.0, 2.0], dtype=o.dtype)),
        VECTORS,
        mean=False,
    ),
    lost("soft labels", lambda o, b: F.cross_entropy(o, b[1]), pairs(probabilities)),
    lost("nll", lambda o, b: F.nll_loss(o.log_softmax(-1), b[1]), VECTORS),
    lost("bce", lambda o, b: F.binary_cross_entropy(o.sigmoid(), b[1]), pairs(probabilities)),
    lost(
        "bce logits",
        lambda o, b: F.binary_cross_entropy_with_logits(
            o, b[1], pos_weight=torch.full((CLASSES,), 1.5, dtype=o.dtype)
        ),
        pairs(probabilities),
    ),
    lost("kl", lambda o, b: F.kl_div(o.log_softmax(-1), b[1], reduction="batchmean"), pairs(probabilities)),
    lost("poisson", lambda o, b: F.poisson_nll_loss(o, b[1]), pairs(counts)),
    lost("gaussian", lambda o, b: F.gaussian_nll_loss(o, b[1], o.square() + 0.5), pairs(normal)),
    lost("soft margin", lambda o, b: F.soft_margin_loss(o, b[1]), pairs(signs)),
    lost("hinge", lambda o, b: F.relu(1 - o * b[1]).square().mean(), pairs(signs)),
    lost("cosine", lambda o, b: 1 - F.cosine_similarity(o, b[1]).mean(), pairs(normal)),
    lost("triplet", lambda o, b: F.triplet_margin_loss(o, b[1], -b[1], margin=5.0), pairs(normal)),
    lost(
        "contrastive",
        lambda o, b: F.cross_entropy(F.normalize(o) @ F.normalize(b[1]).mT / 0.3, torch.arange(4)),
        pairs(normal),
        mean=False,
    ),
    lost("log of a sum", lambda o, b: o.logsumexp((0, 1)) + o.var(), VECTORS, mean=False),
]

CASES = ACTIVATIONS + NORMS + ATTENTION + CONVOLUTIONS + RECURRENT + LANGUAGE + STRUCTURE + LOSSES
"""Every case; names are unique."""
