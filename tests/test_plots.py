"""Figures show what they are given."""

import io

import numpy as np
from PIL import Image

from smallvit import plots
from tests import tiny


def test_training_curves_are_a_png_that_shows_the_history():
    pictures = []
    worse = [{**epoch, "val_top1": epoch["val_top1"] / 2} for epoch in tiny.HISTORY]
    for history in (tiny.HISTORY, worse):
        picture = Image.open(io.BytesIO(plots.training_curves("ViT", history)))
        assert picture.format == "PNG"
        pictures.append(np.asarray(picture.convert("RGB")))
    left, right = (
        np.array_equal(*(picture[:, half] for picture in pictures)) for half in (slice(500), slice(600, None))
    )
    assert left  # the losses
    assert not right
