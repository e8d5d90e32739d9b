"""Turns any image file or address into RGB pixels. Nothing here needs Keras.

`load_square` decodes in this process, for files you trust. `load_photo` decodes files of strangers in another process.
"""

from smallvit.images.errors import ImageError
from smallvit.images.load import FORMATS, MAX_SIDE, DecodeSpec, Photo, load_square, resize_square
from smallvit.images.pool import DecodingPool, load_photo, pool_for_trusted_images, start_decoding
