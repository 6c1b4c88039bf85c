"""LeNet."""

from medcls.models.network import Network


class LeNet(Network):
    """LeNet scaled by ``n_base`` (after LeCun et al., 1998, with 3x3 convolutions, ReLU and max pools)."""

    stages = ((1,), (2,))

    @staticmethod
    def default_dense(n_base: int) -> list[int]:
        return [2 * n_base]
