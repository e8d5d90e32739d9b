"""Figures show what they are given."""

import io

import numpy as np
from PIL import Image

from smallvit.report import plots
from tests import tiny


def test_training_curves_are_a_png_that_shows_the_history():
    images = []
    worse = [{**epoch, "val_top1": epoch["val_top1"] / 2} for epoch in tiny.HISTORY]
    for history in (tiny.HISTORY, worse):
        image = Image.open(io.BytesIO(plots.training_curves("ViT", history)))
        assert image.format == "PNG"
        images.append(np.asarray(image.convert("RGB")))
    left, right = (np.array_equal(*(image[:, half] for image in images)) for half in (slice(500), slice(600, None)))
    assert left  # the losses
    assert not right
