"""Bytes of an image file in, a small array out: readers of each format, and checks that the image is whole."""
