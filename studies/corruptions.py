"""Six common corruptions of images, each at severities 1 to 5, to ask what is left of a model's accuracy.

They follow CIFAR-10-C of Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations", arXiv 1903.12261: the same operations with the numbers of its `make_cifar_c.py`, which are milder
than those for ImageNet. They are not its files: the noise is drawn from a seed, values are rounded where CIFAR-10-C
cuts their fractions off, JPEG is as the installed Pillow writes it, and these are six of its 19 corruptions. Accuracies
are to be compared with each other, not with those on the published CIFAR-100-C.

Each corruption takes (images, severity, rng): uint8 [n, H, W, 3], pixels 0-255; 1 to 5; a `numpy.random.Generator`,
which only noise draws from. It returns new uint8 images of the same shape, each made from its own image alone.
"""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

SEVERITIES = (1, 2, 3, 4, 5)


def gaussian_noise(images, severity, rng):
    """Add normal noise to every value; its standard deviation is 0.04 to 0.10 of the range of a pixel."""
    deviation = 255 * (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return _to_uint8(images + np.float32(deviation) * rng.standard_normal(images.shape, np.float32))


def gaussian_blur(images, severity, rng):
    """Blur by a Gaussian with a standard deviation of 0.4 to 1 pixels, cut off at four; the edge is repeated."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    return _to_uint8(
        ndimage.gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest", truncate=4)
    )


def contrast(images, severity, rng):
    """Move every value towards the mean of its image and channel, until 0.75 to 0.15 of the difference are left."""
    share = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    mean = images.mean(axis=(1, 2), keepdims=True)
    return _to_uint8(mean + share * (images - mean))


def brightness(images, severity, rng):
    """Add 0.05 to 0.3 of the range to the value of HSV, which is the highest channel; hue and saturation stay."""
    added = 255 * (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    value = images.max(axis=-1, keepdims=True).astype(np.float64)
    brighter = np.minimum(value + added, 255)
    # With hue and saturation kept, the channels keep their ratios. Black has none: it becomes grey.
    return _to_uint8(np.where(value > 0, images * (brighter / np.maximum(value, 1)), brighter))


def jpeg_compression(images, severity, rng):
    """Write and read as JPEG of quality 80 to 40, with colours at half the resolution, as Pillow does by itself."""
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def through_jpeg(image):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    return _each(images, through_jpeg)


def pixelate(images, severity, rng):
    """Shrink the sides to 0.95 to 0.65 (32 pixels to 30, 28, 27, 24, 20) and enlarge again, by Pillow's box filter."""
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]

    def through_fewer_pixels(image):
        fewer = [int(share * side) for side in image.size]
        return image.resize(fewer, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)

    return _each(images, through_fewer_pixels)


CORRUPTIONS = {
    "gaussian_noise": gaussian_noise,
    "gaussian_blur": gaussian_blur,
    "contrast": contrast,
    "brightness": brightness,
    "jpeg_compression": jpeg_compression,
    "pixelate": pixelate,
}


def _each(images, change):
    """Apply a function of one Pillow image to each."""
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def _to_uint8(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
