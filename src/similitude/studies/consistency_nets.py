"""Networks to study Super Consistency with, ready for the command line: functions of the width (and depth) alone, on
8 x 8 images in 10 classes, or on texts of 64 symbols."""

from __future__ import annotations

from torch import Tensor, nn

from similitude.models import GPT, ConvNet, ResMLP, ResNet, ViT

PIXELS, SIDE, CLASSES = 64, 8, 10
VOCABULARY, CONTEXT = 64, 32


class Times(nn.Module):
    """Multiply by a fixed number.

    Args:
        number: The number.
    """

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        """Return `number` times x, of any shape."""
        return self.number * x

    def extra_repr(self) -> str:
        """Show the number where the module is printed."""
        return f"{self.number:g}"


def make_mlp(width: int) -> nn.Module:
    """Return a tanh MLP 64-N-N-10 without biases whose weights are all standard normal, with fixed numbers before layers.

    At width 64 the preactivations have standard deviations 1 and about 1.5, and the output 1/8: rich enough for
    training to sharpen (paper 1's gamma is 8 there). The learning rate is that of weights of size one, about 90 for
    gradient descent on squared errors.

    Example:
        >>> [tuple(p.shape) for p in make_mlp(32).parameters()]
        [(32, 64), (32, 32), (10, 32)]
    """
    net = nn.Sequential(
        nn.Flatten(),
        Times(1 / 8),
        nn.Linear(PIXELS, width, bias=False),
        nn.Tanh(),
        Times(1.5 / 8),
        nn.Linear(width, width, bias=False),
        nn.Tanh(),
        Times(1 / 64),
        nn.Linear(width, CLASSES, bias=False),
    )
    for weight in net.parameters():
        nn.init.normal_(weight)
    return net


def make_convnet(width: int) -> nn.Module:
    """Return two convolutions of `width` channels and a linear head, without norms, on images of one channel."""
    return ConvNet(1, CLASSES, width=width, depth=2, norm=None)


def make_resnet(width: int) -> nn.Module:
    """Return the residual network of one block per stage with group norms, on images of one channel."""
    return ResNet(1, CLASSES, width=width, depth=1)


def make_vit(width: int) -> nn.Module:
    """Return the vision transformer of one block that reads patches of 2 x 2 pixels."""
    return ViT(SIDE, 1, CLASSES, patch=2, width=width, depth=1)


def make_gpt(width: int) -> nn.Module:
    """Return the GPT of one block on sequences of up to 32 symbols."""
    return GPT(VOCABULARY, CONTEXT, width=width, depth=1)


def make_resmlp(width: int, depth: int) -> nn.Module:
    """Return the residual MLP with one layer per block, whose learning rate transfers over depth."""
    return ResMLP(PIXELS, CLASSES, width=width, depth=depth)


def make_resmlp_two_layers(width: int, depth: int) -> nn.Module:
    """Return the residual MLP with two layers per block, whose learning rate does not transfer over depth."""
    return ResMLP(PIXELS, CLASSES, width=width, depth=depth, block="two_layers")
