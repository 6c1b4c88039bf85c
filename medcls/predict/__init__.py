"""Trained nets applied to any images: their probabilities, how far to trust them, and the nets' performance there."""
