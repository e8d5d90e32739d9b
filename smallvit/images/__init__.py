"""Turns any image file or address into a square of RGB pixels. Nothing here needs Keras."""

from smallvit.images.load import FORMATS, MAX_BYTES, MAX_PIXELS, MAX_SIDE, load_square, resize_square

__all__ = ["FORMATS", "MAX_BYTES", "MAX_PIXELS", "MAX_SIDE", "load_square", "resize_square"]
