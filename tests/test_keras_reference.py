"""Our nets compute what Keras, the framework of the study, computes: numbers in ``reference/keras.npz``.

Stored by ``reference/make_keras_reference.py``, which says what the file holds. All in float64.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medcls.config.parts import read_part
from medcls.config.stored import read_conf
from medcls.models import build_network
from medcls.training.losses import loss_function

with np.load(Path(__file__).parent / "reference" / "keras.npz") as file:
    STORED: dict[str, np.ndarray] = dict(file)
CASES = list(dict.fromkeys(name.split("/")[0] for name in STORED if "/" in name))
WITH_BATCH_NORM = [case for case in CASES if "batch_norm" in case]

# Keras's name of a weight, ours
NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
TOLERANCE = 1e-6


class Reference:
    """One stored case: its net with Keras's weights in training mode, its batch, and Keras's arrays in our layout."""

    def __init__(self, case: str) -> None:
        family, norm, loss, channels = case.split("-")
        self.arrays = {name.removeprefix(f"{case}/"): a for name, a in STORED.items() if name.startswith(f"{case}/")}
        self.images = torch.from_numpy(self.arrays["images"]).permute(0, 3, 1, 2).double() / 255
        self.labels = torch.from_numpy(self.arrays["labels"])
        self.loss = loss_function(loss)
        options = {"n_base": 2, "batch_norm": norm == "batch_norm"}
        if family != "lenet":  # whose default, 2 * n_base, is tested too
            options["dense"] = [6, 5]
        self.net = build_network(
            read_part("model", read_conf(f"model/{family}") | options),
            n_outputs=1 if loss == "bce" else 3,
            in_channels=int(channels),
            image_size=self.images.shape[-1],
        )
        self.net.double().train()
        self.layers = [m for m in self.net.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
        for name, ours in self.weights().items():
            ours.data.copy_(self.keras(name))

    def weights(self) -> dict[str, Tensor]:
        """Our parameters and running statistics under Keras's names; every one has its counterpart."""
        weights = {}
        for name in self.arrays:
            layer, _, weight = name.partition("/")
            if weight in NAMES:
                weights[name] = getattr(self.layers[int(layer.removeprefix("layer"))], NAMES[weight])
        ours = [tensor for name, tensor in self.net.state_dict().items() if not name.endswith("num_batches_tracked")]
        assert len(weights) == len(ours)
        return weights

    def keras(self, name: str) -> Tensor:
        array = self.arrays[name].astype(np.float64)
        if "kernel" not in name:
            return torch.from_numpy(array)
        if array.ndim == 2:
            # Keras flattens height, width, channel; we flatten channel, height, width. Other inputs are 1x1 images.
            index = int(name.split("/")[0].removeprefix("layer"))
            channels, side = len(array), 1
            if not isinstance(self.layers[index - 1], nn.Linear):
                channels = [layer.out_channels for layer in self.layers if isinstance(layer, nn.Conv2d)][-1]
                side = round((len(array) / channels) ** 0.5)
            array = array.reshape(side, side, channels, -1)
            return torch.from_numpy(array.transpose(3, 2, 0, 1).reshape(array.shape[-1], -1))
        return torch.from_numpy(array.transpose(3, 2, 0, 1))

    def gradients(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Our gradient and Keras's, by name of the weight."""
        self.loss(self.net(self.images), self.labels).backward()
        trainable = {name: ours for name, ours in self.weights().items() if isinstance(ours, nn.Parameter)}
        return {name: (ours.grad, self.keras(f"{name}/gradient")) for name, ours in trainable.items()}

    def has_no_gradient(self, name: str) -> bool:
        """Whether the weight is a bias that batch norm subtracts again, with no gradient but rounding."""
        layer, weight = name.split("/")
        following = int(layer.removeprefix("layer")) + 1
        return weight == "bias" and following < len(self.layers) and isinstance(self.layers[following], nn.BatchNorm2d)


def relative_error(ours: Tensor, keras: Tensor) -> float:
    """Largest difference, in units of the largest entry of Keras's array (absolute where that is 0)."""
    assert ours.shape == keras.shape
    assert ours.dtype == keras.dtype == torch.float64
    scale = keras.abs().max().item()
    return (ours - keras).abs().max().item() / (scale or 1.0)


@pytest.fixture
def reference(request):
    return Reference(request.param)


every_case = pytest.mark.parametrize("reference", CASES, indirect=True)
batch_norm_cases = pytest.mark.parametrize("reference", WITH_BATCH_NORM, indirect=True)


@every_case
def test_logits_in_training_equal_those_of_keras(reference):
    assert relative_error(reference.net(reference.images).detach(), reference.keras("logits")) <= TOLERANCE


@every_case
def test_logits_in_evaluation_equal_those_of_keras(reference):
    reference.net.eval()
    logits = reference.net(reference.images).detach()
    assert relative_error(logits, reference.keras("evaluation_logits")) <= TOLERANCE


@every_case
def test_loss_equals_that_of_keras(reference):
    loss = reference.loss(reference.net(reference.images), reference.labels).detach()
    assert relative_error(loss, reference.keras("loss")) <= TOLERANCE


@every_case
def test_gradient_of_every_weight_equals_that_of_keras(reference):
    errors = {
        name: relative_error(ours, keras)
        for name, (ours, keras) in reference.gradients().items()
        if not reference.has_no_gradient(name)
    }
    assert {name: error for name, error in errors.items() if error > TOLERANCE} == {}


@batch_norm_cases
def test_bias_before_batch_norm_has_no_gradient_here_and_in_keras(reference):
    gradients = reference.gradients()
    largest = max(keras.abs().max().item() for _, keras in gradients.values())
    biases = [pair for name, pair in gradients.items() if reference.has_no_gradient(name)]
    assert len(biases) == sum(isinstance(layer, nn.Conv2d) for layer in reference.layers)
    assert max(gradient.abs().max().item() for pair in biases for gradient in pair) <= 1e-10 * largest


@batch_norm_cases
def test_running_mean_after_a_step_equals_moving_mean_of_keras(reference):
    reference.net(reference.images)
    for name, ours in reference.weights().items():
        if name.endswith("moving_mean"):
            assert relative_error(ours, reference.keras(f"{name}/after")) <= TOLERANCE


@batch_norm_cases
def test_running_variance_differs_from_keras_only_by_being_unbiased(reference):
    # Per channel n = images x height x width values: PyTorch averages n / (n - 1) times the variance that Keras does.
    counts: dict[nn.Module, int] = {}
    for layer in reference.layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(lambda layer, inputs, _: counts.update({layer: inputs[0][:, 0].numel()}))
    reference.net(reference.images)
    norms = {name: ours for name, ours in reference.weights().items() if name.endswith("moving_variance")}
    for name, ours in norms.items():
        n = counts[reference.layers[int(name.split("/")[0].removeprefix("layer"))]]
        before, after = reference.keras(name), reference.keras(f"{name}/after")
        batch_variance = (after - 0.99 * before) / 0.01
        unbiased = 0.99 * before + 0.01 * batch_variance * n / (n - 1)
        assert relative_error(ours, unbiased) <= TOLERANCE
