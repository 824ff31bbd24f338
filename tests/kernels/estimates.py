"""What wide copies say of modules without an exact kernel, and models of a library, for docs/kernels_modules.md."""

from __future__ import annotations

from tests.kernels.library_modules import (
    CONVNEXT,
    FNET,
    GPT2,
    GPT2_UNTIED,
    GPT_NEOX,
    LLAMA,
    PICTURES,
    RESNET,
    T5,
    TOKENS,
)
from tests.kernels.modules import Case

WORKS = ("exact", "bounded", "estimated")
GROWS, VANISHES, RANDOM = r"goes as width\^[012]", r"goes as width\^-", "stays at infinite width"

SAID = {
    GROWS: "none: grows with the width",
    VANISHES: "none: vanishes with the width",
    RANDOM: "none: stays random",
}
"""What the page says of a refusal that matches."""

ESTIMATES: dict[str, str] = {
    # Of cases that are refused: "estimated", or what the second refusal matches.
    "two heads at every width, 1/sqrt(d)": "estimated",
    "gated recurrent unit": "estimated",
    "LSTM": "estimated",
    "embedding tied to the readout": GROWS,
    "matrix and its transpose": "estimated",
    "bottleneck": RANDOM,
    "activation of a nonlinear sum": "estimated",
    "softmax over the hidden axis": VANISHES,
    "maximum pooling": "estimated",
    "activation of a depthwise convolution": "estimated",
    "instance norm": "estimated",
    "linear over tokens (MLP-Mixer)": RANDOM,
    "softmax over three outputs": RANDOM,
    "GPT-2, tied": GROWS,
    "Llama": "estimated",
    "GPT-NeoX": "estimated",
    "T5 encoder": "estimated",
    "FNet": "estimated",
    "ResNet": "estimated",
}

COPY_WIDTHS: dict[str, tuple[int, int]] = {
    # Where gradients through a norm of four numbers are seldom but very large, spreads fall late.
    "instance norm": (96, 384),
}

LIBRARY: dict[str, Case] = {
    # One layer, heads of 8 neurons whose number grows, in eval mode.
    "GPT-2, tied": Case(GPT2, TOKENS, "used in two ways"),
    "GPT-2, its readout untied": Case(GPT2_UNTIED, TOKENS, "estimated"),
    "Llama": Case(LLAMA, TOKENS, "rotated positions"),
    "GPT-NeoX": Case(GPT_NEOX, TOKENS, "rotated positions"),
    "T5 encoder": Case(T5, TOKENS, "its mask is random"),
    "FNet": Case(FNET, TOKENS, "there is no rule for it"),
    "ResNet": Case(RESNET, PICTURES, "maximum of several Gaussians"),
    "ConvNeXt": Case(CONVNEXT, PICTURES, "exact"),
}


def said(name: str) -> str:
    """Return what the page says of an estimate."""
    found = ESTIMATES.get(name, "not tried")
    return SAID.get(found, found)
