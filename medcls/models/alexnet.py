"""AlexNet."""

from medcls.models.network import Network


class AlexNet(Network):
    """AlexNet scaled by ``n_base`` (after Krizhevsky et al., 2012, with 3x3 convolutions and narrow dense layers)."""

    stages = ((1,), (2,), (4, 4, 2))
