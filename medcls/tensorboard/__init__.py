"""A run in TensorBoard: curves, images, and the page that compares runs."""
