"""Pretrained weights from a file, and nets of which only the head is trained."""

import hashlib
import json
import shutil

import pytest
import torch
import torchvision
from torch import nn

import medcls
from medcls.config.parts import read_part
from medcls.models import build_network

SIZE = 64


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file as torchvision's own are, of a net whose running statistics are its own as well."""
    torch.manual_seed(5)
    net = torchvision.models.resnet18(num_classes=1000)
    net(torch.rand(8, 3, SIZE, SIZE))  # in training mode, which changes the statistics
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(net.state_dict(), path)
    return path


def frozen(file):
    section = {"family": "frozen", "name": "resnet18", "weights": str(file)}
    return build_network(read_part("model", section), n_outputs=2, in_channels=3, image_size=SIZE)


def test_features_are_those_of_torchvision_with_the_file_whatever_mode_the_net_is_in(file):
    reference = torchvision.models.resnet18()
    reference.load_state_dict(torch.load(file, weights_only=True))
    reference.fc = nn.Identity()
    net = frozen(file).train()
    images = torch.rand(4, 3, SIZE, SIZE)
    normalise = torchvision.models.ResNet18_Weights.DEFAULT.transforms(crop_size=SIZE, resize_size=SIZE)
    head = net.net.fc
    with torch.no_grad():
        expected = head(reference.eval()(normalise(images)))
        torch.testing.assert_close(net(images), expected)
    assert [name for name, weight in net.named_parameters() if weight.requires_grad] == ["net.fc.weight", "net.fc.bias"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights | {"layer1.0.conv1.weight": torch.zeros(1)}, "size mismatch for layer1.0.conv1"),
        (lambda weights: {f"module.{name}": value for name, value in weights.items()}, "Missing key"),
        (lambda weights: [1, 2], "cannot be read as the weights"),
        (lambda weights: {"fc": nn.ReLU()}, "cannot be read as the weights"),  # code, which is not unpickled
    ],
)
def test_a_file_that_is_none_or_of_another_net_is_refused(file, tmp_path, change, message):
    wrong = tmp_path / "wrong.pth"
    torch.save(change(torch.load(file, weights_only=True)), wrong)
    with pytest.raises(medcls.UserError, match=message):
        frozen(wrong)


def test_a_file_with_another_head_gives_all_but_the_head(file, tmp_path):
    weights = torch.load(file, weights_only=True)
    weights["fc.weight"], weights["fc.bias"] = torch.zeros(14, 512), torch.zeros(14)
    other = tmp_path / "fourteen.pth"
    torch.save(weights, other)
    torch.testing.assert_close(frozen(other).net.layer4.state_dict(), frozen(file).net.layer4.state_dict())


@pytest.mark.slow
def test_frozen_net_trains_its_head_alone_and_needs_its_file_never_again(file, tmp_path, train, make_folder):
    weights = tmp_path / "resnet18.pth"
    shutil.copy(file, weights)
    words = ["model=frozen", f"model.weights={weights}", f"image_size={SIZE}", "data=folder", "data.channels=3"]
    words += [f"data.root={make_folder()}", "epochs=2", "lr=1e-2"]
    result = train(*words)
    recorded = json.loads((result.folder / "environment.json").read_text())["weights_sha256"]
    assert recorded == hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.unlink()
    body = medcls.load_classifier(result.folder / "checkpoints/last.ckpt").module.net.net
    for name, value in torch.load(file, weights_only=True).items():
        if not name.startswith("fc."):
            torch.testing.assert_close(body.state_dict()[name], value, rtol=0, atol=0)
    more = train(f"resume={result.folder}", "epochs=3")
    assert more.status == 0, more.err
