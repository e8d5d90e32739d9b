"""Images with 16 or 32 bits a pixel: which values are black and white.

In order: what the file itself says; what a data set was read with, which is recorded with the model; else a guess from
the largest value. Colour images with 16 bits a channel, and grey ones with alpha, are not among them: Pillow returns
only their upper 8 bits.
"""

import numpy as np
from PIL import Image, TiffImagePlugin

ValueRange = tuple[float, float]  # the values that become black and white; what lies outside is clipped

RANGE_PERCENTILES = (0.1, 99.9)  # of all values of a data set; single hot pixels do not count
SAMPLED_VALUES = 2**22  # of all images together, to compute the percentiles
_TILE = (256, 4096)  # rows and columns at once; bounds the memory of NumPy
_USUAL_LIMITS = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits
_SAMPLE_SEED = 0
_DARK = 4096 >> 8  # what Pillow leaves of 4,096

# Tags of TIFF.
_BITS_PER_SAMPLE, _MIN_VALUES, _MAX_VALUES = 258, (340, 280), (341, 281)


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel has one value of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def is_dark(image: Image.Image, data: bytes) -> bool:
    """Whether Pillow returned the upper 8 of 16 bits a channel, and these show values below 4,096 only.

    Args:
        image: a decoded image.
        data: the content of its file.
    """
    if image.mode not in ("LA", "RGB", "RGBA"):
        return False
    if image.format == "PNG":
        bits = data[24]  # of IHDR, which is the first chunk
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        given = image.tag_v2.get(_BITS_PER_SAMPLE, 0)
        bits = max(given) if isinstance(given, tuple) and given else given
    else:
        return False
    if bits != 16:
        return False
    largest = np.array(image.getextrema())[:, 1]
    return bool(np.all(largest[: 1 if image.mode == "LA" else 3] < _DARK))  # alpha comes last


def range_in_file(image: Image.Image, data: bytes) -> ValueRange | None:
    """What the file says about the range of its values: a PNG by sBIT, a TIFF by its tags; None if it says nothing.

    Args:
        image: a decoded deep image.
        data: the content of its file.
    """
    if image.format == "PNG":
        return _range_in_png(image, data)
    if image.format == "TIFF":
        return _range_in_tiff(image)
    return None


def _range_in_png(image, data):
    bits = _significant_bits(data)
    if bits is None or not 0 < bits < 16:
        return None
    # The standard wants the values scaled up to 16 bits: the low bits are zero, or repeat the high ones. Not all
    # programs do.
    low, top = (1 << (16 - bits)) - 1, (1 << bits) - 1
    is_scaled = is_plain = True
    for _, values in _tiles(image):
        rest = values & low
        is_scaled &= bool(np.all((rest == 0) | (rest == values >> bits)))
        is_plain &= int(values.max()) <= top
    return (0.0, float(top)) if is_plain and not is_scaled else (0.0, 65535.0)


def _significant_bits(data: bytes) -> int | None:
    """The first byte of the chunk sBIT, which comes before the pixels."""
    position = 8
    while position + 12 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if kind == b"IDAT":
            return None
        if kind == b"sBIT" and size:
            return data[position + 8]
        position += 12 + size
    return None


def _range_in_tiff(image):
    def number(tag):
        value = image.tag_v2.get(tag)
        value = value[0] if isinstance(value, tuple) and value else value
        return float(value) if isinstance(value, int | float) and np.isfinite(value) else None

    bits = number(_BITS_PER_SAMPLE) or 0
    low = next((value for tag in _MIN_VALUES if (value := number(tag)) is not None), 0.0)
    high = next((value for tag in _MAX_VALUES if (value := number(tag)) is not None), None)
    # The largest value that the bits can hold is the default of the tag, so it says nothing about the pixels.
    if high is not None and high > low and high not in (2.0**bits - 1, 2.0 ** (bits - 1) - 1):
        return low, high
    return (0.0, 2.0**bits - 1) if 8 < bits < 16 else None


def guess_range(image: Image.Image) -> ValueRange:
    """A range for one image of which nothing is known.

    From 0, or the smallest value if it is negative, to the next of 255, 1,023, 4,095, 16,383 and 65,535 from the
    largest value on, or to the largest value beyond; of floating-point values within 0-1, from 0 to 1.
    """
    low, high = 0.0, 0.0
    for _, values in _tiles(image):
        if values.dtype.kind in "iu":
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            continue
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if image.mode == "F" and low == 0 and high <= 1 else _usual_range(low, high)


def _usual_range(low: float, high: float) -> ValueRange:
    """The range that `guess_range` tells for values from `low` to `high`."""
    return min(low, 0.0), float(next((limit for limit in _USUAL_LIMITS if high <= limit), high))


def data_range(values: np.ndarray) -> ValueRange:
    """The range for a data set, from values [m] of all its images: `RANGE_PERCENTILES`."""
    low, high = np.percentile(values, RANGE_PERCENTILES) if len(values) else (0, 0)
    return (float(low), float(high)) if high > low else _usual_range(float(low), float(high))


def scale_to_8_bits(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Scale values to uint8 of the same shape: v becomes 255 (v - low) / (high - low), rounded. NaN becomes black."""
    low, high = map(float, value_range)
    return (np.nan_to_num((values - low) * (255 / (high - low)), nan=0).clip(0, 255) + 0.5).astype(np.uint8)


def to_grey(image: Image.Image, value_range: ValueRange) -> Image.Image:
    """Scale a deep image to mode "L" by `scale_to_8_bits`. A value that the file calls transparent becomes white."""
    transparent = image.info.get("transparency")

    def scale(values):
        grey = scale_to_8_bits(values, value_range)
        return np.where(values == transparent, np.uint8(255), grey) if isinstance(transparent, int) else grey

    # Of values of 16 bits in a large image, each is computed once.
    has_table = image.mode.startswith("I;16") and image.width * image.height > 2**16
    table = scale(np.arange(2**16)) if has_table else None
    result = Image.new("L", image.size)
    for place, values in _tiles(image):
        result.paste(Image.fromarray(scale(values) if table is None else table[values]), place)
    return result


def sample_values(image: Image.Image, box: tuple[int, int, int, int], count: int) -> list[float]:
    """At most `count` finite values of the pixels in a box, drawn by chance and always the same."""
    values = np.asarray(image.crop(box)).ravel()
    if len(values) > count:
        values = values[np.random.default_rng(_SAMPLE_SEED).integers(0, len(values), count)]
    return values[np.isfinite(values)].astype(float).tolist()


def _tiles(image):
    """Yield ((left, top), values) of parts of an image."""
    rows, columns = _TILE
    for y in range(0, image.height, rows):
        for x in range(0, image.width, columns):
            box = (x, y, min(x + columns, image.width), min(y + rows, image.height))
            yield (x, y), np.asarray(image.crop(box))
