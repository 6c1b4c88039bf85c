"""medcls: train, compare and trust small convolutional networks on medical images."""
