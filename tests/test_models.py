"""The networks are those of the study: its parameter counts, the textbook's order of layers, Glorot's bounds."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from medcls.config.parts import choices, read_part
from medcls.config.stored import read_conf
from medcls.config.targets import locate
from medcls.models import build_network
from medcls.models.network import Network

ALL_OF_TORCHVISION = torchvision.models.list_models(module=torchvision.models)


# The nets as the textbooks draw them: widths in units of n_base, P for a 2x2 max pool.
TEXTBOOK = {
    "lenet": [1, "P", 2, "P"],
    "alexnet": [1, "P", 2, "P", 4, 4, 2, "P"],
    "vgg16": [1, 1, "P", 2, 2, "P", 4, 4, 4, "P", 8, 8, 8, "P", 8, 8, 8, "P"],
}
FAMILIES = list(TEXTBOOK)


def network(family, image_size=64, n_outputs=1, in_channels=1, **options):
    part = read_part("model", read_conf(f"model/{family}") | options)
    return build_network(part, n_outputs=n_outputs, in_channels=in_channels, image_size=image_size)


@pytest.mark.parametrize(
    ("family", "options", "n_outputs", "published"),
    [
        ("lenet", {"n_base": 16}, 9, 1_053_705),
        ("alexnet", {"n_base": 8, "dense": [64, 64]}, 1, 286_193),
        ("vgg16", {"n_base": 8, "dense": [64, 64]}, 1, 300_249),
    ],
)
def test_number_of_parameters_is_the_published_one(family, options, n_outputs, published):
    net = network(family, 128, n_outputs, **options)
    assert sum(parameter.numel() for parameter in net.parameters()) == published
    assert net(torch.rand(2, 1, 128, 128)).shape == (2, n_outputs)


def textbook(family, net, images, batch_norm, spatial_dropout):
    """Output in training mode: convolution, batch norm, ReLU, spatial dropout and only then the pool, then dense."""
    weights = iter([m for m in net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)])
    x = images
    for width in TEXTBOOK[family]:
        if width == "P":
            x = F.max_pool2d(x, 2)
            continue
        layer = next(weights)
        assert layer.out_channels == 2 * width
        x = F.conv2d(x, layer.weight, layer.bias, padding=1)
        if batch_norm:
            norm = next(weights)
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            x = (x - mean[:, None, None]) / torch.sqrt(variance + 1e-3)[:, None, None]
            x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
        x = F.dropout2d(x.clamp_min(0), spatial_dropout)
    x = x.flatten(1)
    hidden, *more = list(weights)
    for layer in more:
        x = F.linear(x, hidden.weight, hidden.bias).clamp_min(0)
        hidden = layer
    return F.linear(x, hidden.weight, hidden.bias)


@pytest.mark.parametrize("spatial_dropout", [0.0, 0.4])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_pool_before_activation_is_the_textbook_order_in_values_and_gradients(family, batch_norm, spatial_dropout):
    torch.manual_seed(0)
    net = network(family, n_base=2, batch_norm=batch_norm, spatial_dropout=spatial_dropout).double().train()
    for module in net.modules():  # away from where a wrong sign or a missing bias would not show
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            nn.init.uniform_(module.bias, -0.2, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
    images = torch.rand(4, 1, 64, 64, dtype=torch.float64)
    outputs = {}
    for which in ("ours", "textbook"):
        twin = copy.deepcopy(net)
        torch.manual_seed(1)  # the same feature maps are dropped
        logits = twin(images) if which == "ours" else textbook(family, twin, images, batch_norm, spatial_dropout)
        logits.square().sum().backward()
        outputs[which] = [logits.detach(), *(parameter.grad for parameter in twin.parameters())]
    assert outputs["ours"][0].abs().min() > 0
    for ours, expected in zip(*outputs.values(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_follows_each_hidden_dense_layer_and_no_other(family):
    net = network(family, n_base=2, dense=[7, 6, 5], dropout=0.5)
    kinds = [type(m) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Dropout | nn.ReLU)]
    dense = kinds[kinds.index(nn.Linear) :]
    assert dense == [nn.Linear, nn.ReLU, nn.Dropout] * 3 + [nn.Linear]
    assert nn.Dropout not in kinds[: kinds.index(nn.Linear)]


@pytest.mark.parametrize("family", FAMILIES)
def test_spatial_dropout_drops_whole_feature_maps_after_each_convolution(family):
    net = network(family, n_base=4, spatial_dropout=0.5).train()
    maps = []
    for module in net.modules():
        if isinstance(module, nn.Dropout2d):
            module.register_forward_hook(lambda module, inputs, output: maps.append((inputs[0], output)))
    net(torch.rand(8, 1, 64, 64))
    assert len(maps) == sum(isinstance(module, nn.Conv2d) for module in net.modules())
    for before, after in maps:
        kept = after.flatten(2).abs().sum(2) > 0
        torch.testing.assert_close(after, 2 * before * kept[..., None, None])
    before, after = maps[0]
    assert (after.flatten(2).sum(2) == 0).sum() > (before.flatten(2).sum(2) == 0).sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_net_without_dropout_and_batch_norm_has_no_such_layers(family):
    assert not [m for m in network(family).modules() if isinstance(m, nn.Dropout | nn.Dropout2d | nn.BatchNorm2d)]


@pytest.mark.parametrize("family", FAMILIES)
def test_glorot_weights_fill_their_bounds_and_biases_are_zero(family):
    torch.manual_seed(0)
    for module in network(family, 128, n_base=8).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            receptive = module.weight[0, 0].numel()
            fan_in, fan_out = module.weight.shape[1] * receptive, module.weight.shape[0] * receptive
            bound = (6 / (fan_in + fan_out)) ** 0.5
            largest = module.weight.abs().max().item()
            assert 0.9 * bound < largest <= bound * (1 + 1e-6)
            assert not module.bias.any()


def test_pytorch_initialisation_is_left_as_pytorch_made_it():
    torch.manual_seed(0)
    ours = network("lenet", init="pytorch")
    torch.manual_seed(0)
    theirs = nn.Conv2d(1, 8, 3)
    first = next(module for module in ours.modules() if isinstance(module, nn.Conv2d))
    assert torch.equal(first.weight, theirs.weight)
    assert torch.equal(first.bias, theirs.bias)


@pytest.mark.parametrize(("family", "smallest"), [("lenet", 4), ("alexnet", 8), ("vgg16", 32)])
def test_smallest_image_leaves_one_pixel_and_a_smaller_one_is_refused(family, smallest):
    assert network(family, smallest, n_base=1)(torch.rand(2, 1, smallest, smallest)).shape == (2, 1)
    with pytest.raises(Exception, match=rf"image_size={smallest - 1}: images must be at least {smallest} pixels"):
        network(family, smallest - 1, n_base=1)


def test_every_net_of_the_study_is_only_its_table():
    for family in FAMILIES:
        net = locate(choices("model")[family].target, "model")
        assert issubclass(net, Network)
        assert sum(map(len, net.stages)) == sum(width != "P" for width in TEXTBOOK[family])


def shape_of(name, in_channels, image_size):
    """Shape of the logits; on the meta device, which computes shapes without numbers."""
    # RegNets read their widths from tensors while they are built.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        net = network("torchvision", image_size, 4, in_channels, name=name, weights=None).to("meta").eval()
    return net(torch.empty(2, in_channels, image_size, image_size, device="meta")).shape


@pytest.mark.one_in(4)
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        ("resnet18", 33),
        ("alexnet", 64),
        ("vgg11", 32),
        ("squeezenet1_0", 64),
        ("densenet121", 64),
        ("mobilenet_v3_small", 32),
        ("efficientnet_b0", 32),
        ("convnext_tiny", 32),
        ("googlenet", 64),
        ("inception_v3", 96),
        ("vit_b_16", 64),
        ("swin_t", 64),
    ],
)
def test_torchvision_net_takes_our_channels_and_gives_our_outputs(name, image_size, in_channels):
    assert shape_of(name, in_channels, image_size) == (2, 4)


@pytest.mark.slow
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("name", ALL_OF_TORCHVISION)
def test_every_classification_net_of_torchvision_fits(name, in_channels):
    assert shape_of(name, in_channels, 224) == (2, 4)
