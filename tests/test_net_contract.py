"""What every net must keep, of the house or of the user's own: shapes, gradients, checkpoint, smallest image."""

import copy
import sys

import pytest
import torch
from conftest import SCRIPT, TINY

from medcls.config.parts import OwnNet, ScratchNet, TorchvisionNet, choices, read_part
from medcls.config.parts.nets import FrozenNet
from medcls.config.stored import read_conf
from medcls.errors import UserError
from medcls.models import build_network, check_network

EXAMPLES = SCRIPT.parent / "examples"
# A net of the registry is held to the contract by being in it; those that are named elsewhere get a name here.
NAMED = {TorchvisionNet: {"name": "resnet18"}, OwnNet: {"_target_": "mynet.SmallResNet"}}
# Those that need weights are tested beside them, in test_pretrained.py.
NETS = [(family, NAMED.get(part, {"n_base": 2})) for family, part in choices("model").items() if part is not FrozenNet]


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    sys.modules.pop("mynet", None)


def part_of(family, options):
    return read_part("model", read_conf(f"model/{family}") | options)


def build(family, options, image_size=64, n_outputs=1, in_channels=1):
    torch.manual_seed(0)
    part = part_of(family, options)
    return build_network(part, n_outputs=n_outputs, in_channels=in_channels, image_size=image_size)


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("image_size", [100, 33, 47])
@pytest.mark.parametrize(("family", "options"), NETS)
def test_any_image_size_and_channels_give_logits_and_finite_gradients(family, options, image_size, in_channels):
    net = build(family, options, image_size, 5, in_channels)
    logits = net(torch.rand(3, in_channels, image_size, image_size))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize(("family", "options"), NETS)
def test_same_seed_builds_the_same_net_and_its_weights_can_be_copied(family, options):
    first, second = build(family, options), build(family, options)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    images = torch.rand(2, 1, 64, 64)
    assert torch.equal(first.eval()(images), second.eval()(images))
    again = build(family, options).state_dict()
    assert all(torch.equal(weights, again[name]) for name, weights in first.state_dict().items())


def is_built(part, image_size):
    try:
        check_network(part, in_channels=1, image_size=image_size)
    except UserError:
        return False
    return True


@pytest.mark.parametrize(("family", "options"), NETS)
def test_image_too_small_is_a_readable_error_and_the_smallest_works(family, options):
    part = part_of(family, options)
    sizes = (1, 2, 3, 4, 8, 31, 32, 64)
    fits = [size for size in sizes if is_built(part, size)]
    assert fits == [size for size in sizes if size >= fits[0]]
    assert 64 in fits
    assert build(family, options, fits[0]).eval()(torch.rand(2, 1, fits[0], fits[0])).shape == (2, 1)


@pytest.mark.parametrize(
    ("family", "options"),
    [pytest.param(*net, marks=[pytest.mark.slow] if net[0] == "torchvision" else []) for net in NETS],
)
def test_training_reduces_the_loss_and_the_checkpoint_gives_the_predictions_back(train, family, options):
    from medcls.training.classifier import load_classifier

    keys = [f"model.{key}={value}" for key, value in options.items()]
    data = ["data=skin", "data.simulated.counts.train=[8,8]", "data.simulated.counts.val=[4,4]"]
    size = [] if issubclass(choices("model")[family], ScratchNet) else ["image_size=32"]
    result = train(
        f"model={family}", *keys, *TINY[2:], *data, *size, "lr=1e-2", "logger=none", "audit=none", "epochs=3"
    )
    assert result.status == 0, result.err
    rows = (result.folder / "history.csv").read_text().splitlines()[1:]
    losses = [float(row.split(",")[1]) for row in rows]
    assert min(losses[1:]) < losses[0]
    classifier = load_classifier(result.folder / "checkpoints/best.ckpt", allow=["mynet.SmallResNet"])
    assert classifier(torch.zeros(2, 32, 32, 1, dtype=torch.uint8)).shape == (2, 1)
    white = classifier(torch.full((1, 32, 32, 1), 255, dtype=torch.uint8))
    torch.testing.assert_close(white, classifier.net(torch.ones(1, 1, 32, 32)))  # nets see 0 ... 1
