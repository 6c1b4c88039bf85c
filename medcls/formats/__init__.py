"""Bytes of an image file in, a small array out: readers of each format, and what is refused as no whole image."""
