"""Trained nets put to use on any images: their probabilities, how far to trust them, what the nets are worth there."""
