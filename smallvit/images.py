"""Any uploaded file becomes the RGB uint8 picture that the models see."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from smallvit.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 40_000_000


def load_picture(path):
    """Read a picture file: its first frame, turned upright by its EXIF orientation, alpha laid on white.

    Args:
        path: a file of one of `FORMATS`, of at most `MAX_BYTES` and `MAX_PIXELS`.

    Returns:
        A `PIL.Image.Image` in mode RGB.

    Raises:
        UserError: the file is none of these, damaged or too large; the message does not contain the path.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError("The file is not there any more; send the picture again.") from error
    if size == 0:
        raise UserError("The file is empty; a picture is needed.")
    if size > MAX_BYTES:
        raise UserError(f"The file has {size / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are read.")
    try:
        with warnings.catch_warnings():
            # Pillow warns of huge pictures; here their size is checked before a pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(
                        f"The picture has {image.width} x {image.height} pixels; at most "
                        f"{MAX_PIXELS // 1_000_000} million are read."
                    )
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"The file is no picture that can be read; {', '.join(FORMATS)} can.") from None
    except Image.DecompressionBombError:
        raise UserError(
            f"The picture has far more pixels than the {MAX_PIXELS // 1_000_000} million that are read."
        ) from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise nearly anything for damage: OSError, RuntimeError, struct.error
        raise UserError("The picture is damaged or cut off; its pixels could not be read to the end.") from error


def _to_rgb(image):
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit grey to 8 bits instead of scaling it.
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def centre_square(image, side):
    """Cut out the largest centred square and reduce it by averaging areas.

    Args:
        image: a `PIL.Image.Image` in mode RGB.
        side: of the result, in pixels.

    Returns:
        uint8 [side, side, 3], pixels 0-255.
    """
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    square = (left, top, left + edge, top + edge)
    # BOX averages exactly the pixels that a new pixel covers; where the picture is smaller it repeats pixels.
    return np.asarray(image.resize((side, side), Image.Resampling.BOX, box=square))
