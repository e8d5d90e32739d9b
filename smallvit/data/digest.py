"""A digest that tells two splits apart."""

import hashlib

from smallvit.data.split import Split, iter_chunks


def split_sha256(split: Split) -> str:
    """SHA-256 of the images and labels of a split, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in iter_chunks(split.images):
        digest.update(chunk.tobytes())
    digest.update(split.labels.tobytes())
    return digest.hexdigest()
