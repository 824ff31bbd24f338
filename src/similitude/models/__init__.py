"""Reference networks in plain torch with width and depth dials: the families that similitude is tested on."""

from similitude.models.convnet import ConvNet
from similitude.models.dials import ModelError
from similitude.models.gpt import GPT
from similitude.models.mlp import MLP
from similitude.models.resmlp import ResMLP
from similitude.models.resnet import ResNet
from similitude.models.text_encoder import TextEncoder
from similitude.models.vit import ViT

__all__ = ["GPT", "MLP", "ConvNet", "ModelError", "ResMLP", "ResNet", "TextEncoder", "ViT"]
