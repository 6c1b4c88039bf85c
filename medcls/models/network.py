"""What LeNet, AlexNet and VGG16 share: convolution stages, dense layers and the options that every net has."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Network(nn.Module):
    """A plain convolutional classifier, described by its table of stages.

    A subclass names its ``stages``: convolution widths in units of ``n_base``, a 2x2 max pool after each stage.
    All convolutions are 3x3, stride 1, zero-padded to keep the size.

    Input ``(N, in_channels, image_size, image_size)`` in [0, 1]; output ``(N, n_outputs)`` logits.
    ``dense``: widths of the hidden dense layers, the net's own when None. ``dropout`` follows each hidden dense layer;
    ``spatial_dropout`` drops whole feature maps after each convolution; both in [0, 1).
    ``init``: "glorot" (Glorot & Bengio, 2010; zero biases: the Keras default) or "pytorch".
    Raises ValueError when ``image_size`` is too small for the pools.
    """

    stages: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        n_outputs: int,
        in_channels: int = 1,
        image_size: int = 128,
        *,
        n_base: int = 8,
        dense: Sequence[int] | None = None,
        dropout: float = 0.0,
        batch_norm: bool = False,
        spatial_dropout: float = 0.0,
        init: str = "glorot",
    ) -> None:
        super().__init__()
        if image_size < self.smallest_image():
            raise ValueError(f"images must be at least {self.smallest_image()} pixels for {len(self.stages)} pools")
        layers: list[nn.Module] = []
        channels = in_channels
        for widths in self.stages:
            for position, width in enumerate(widths, start=1):
                layers += convolution(
                    channels, width * n_base, batch_norm, spatial_dropout, pool=position == len(widths)
                )
                channels = width * n_base
        self.features = nn.Sequential(*layers)

        side = image_size // self.smallest_image()
        dense_widths = [channels * side * side, *(self.default_dense(n_base) if dense is None else dense)]
        layers = [nn.Flatten()]
        for inputs, outputs in pairwise(dense_widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), *dropout_if(nn.Dropout, dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(dense_widths[-1], n_outputs))
        if init == "glorot":
            self.apply(glorot)

    @classmethod
    def smallest_image(cls) -> int:
        """Side in pixels of the smallest square image that the pools leave one pixel of."""
        return 1 << len(cls.stages)

    @staticmethod
    def default_dense(n_base: int) -> list[int]:
        """Widths of the hidden dense layers where the configuration names none."""
        return [64, 64]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


def convolution(channels: int, width: int, batch_norm: bool, spatial_dropout: float, pool: bool) -> list[nn.Module]:
    """Layers of one convolution block: convolution, batch norm, activation, spatial dropout, pool."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel_size=3, padding=1)]
    if batch_norm:
        # Keras's constants, which the study ran with: its momentum 0.99 is 0.01 in PyTorch's meaning.
        layers.append(nn.BatchNorm2d(width, eps=1e-3, momentum=0.01))
    if pool:
        # Pool before ReLU and dropout: the same function, since max commutes with ReLU and with scaling a whole
        # feature map by a constant >= 0, on a quarter of the pixels.
        layers.append(nn.MaxPool2d(2))
    return [*layers, nn.ReLU(inplace=True), *dropout_if(nn.Dropout2d, spatial_dropout)]


def dropout_if(layer: type[nn.Dropout] | type[nn.Dropout2d], rate: float) -> list[nn.Module]:
    """The layer in a list, empty at rate 0, so that a net without dropout has no dropout layers."""
    return [layer(rate)] if rate > 0 else []


def glorot(module: nn.Module) -> None:
    """Set a convolution's or dense layer's weights Glorot-uniform and its biases zero (Glorot & Bengio, 2010)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
