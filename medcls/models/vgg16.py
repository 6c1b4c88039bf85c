"""VGG16."""

from medcls.models.network import Network


class VGG16(Network):
    """VGG16 scaled by ``n_base`` (Simonyan & Zisserman, 2015, configuration D, with narrow dense layers)."""

    stages = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
