"""What is accepted from files, addresses and models, each limit with its reason. docs/security.md repeats the limits.

Sizes are in bytes, times in seconds.
"""

from typing import NamedTuple

# Images. A photo of a phone or camera has up to 20 MB and 40 megapixels.
MAX_IMAGE_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
MAX_PIXELS_OF_FORMAT = {"WEBP": 16_000_000, "AVIF": 24_000_000}  # their decoders hold several copies of an image
DOWNLOAD_SECONDS = 15  # for an image at an address, redirects included: a visitor waits no longer
MAX_REDIRECTS = 5  # honest servers send on once or twice


class DecodingLimits(NamedTuple):
    """Limits of the decoding of one image in its process."""

    cpu_seconds: float
    wall_seconds: float  # more than the CPU time, because the machine may be busy; the only time limit on Windows
    memory_bytes: int  # above the process at rest


# Photos of 40 megapixels take 0.1 to 1.6 s, see docs/security.md, and a PNG of this size with alpha nearly 300 MB.
UNTRUSTED_DECODING = DecodingLimits(cpu_seconds=2, wall_seconds=15, memory_bytes=300_000_000)
DECODING_PROCESSES = 2
# A file that exceeds these is decoded again in a process for slow files, so that the next visitor does not wait for it.
# A photo of 12 megapixels takes 0.03 s as a JPEG, 0.4 s as a PNG.
QUICK_DECODING = UNTRUSTED_DECODING._replace(cpu_seconds=0.4, wall_seconds=4)
SLOW_QUEUE_SECONDS = 3  # how long a slow file waits for that process before the visitor is told to try again

# Images that the user trains on: nobody attacks there, and a slow machine must not lose an image.
TRUSTED_DECODING = DecodingLimits(cpu_seconds=30, wall_seconds=120, memory_bytes=2**30)
MAX_TRUSTED_IMAGE_BYTES = 256 * 2**20  # an uncompressed TIFF of 40 megapixels with 16 bits a channel has 240 MB
MAX_DECODING_PROCESSES = 32  # each takes some 40 MB at rest

# Requests to the page.
# Running requests: above the number of cores, because one whose image takes long to decode waits for another process.
MAX_RUNNING_REQUESTS = 16
MAX_WAITING_REQUESTS = 64  # the next request is told that the queue is full
MAX_MODELS_PER_REQUEST = 16  # in one request: more than a page shows side by side
MAX_BODY_BYTES = 2 * MAX_IMAGE_BYTES  # an image in a `data:` URL takes 4/3 of its size
MAX_FRAME_CHARACTERS = 200_000  # a frame of the webcam, in base64; the page sends small JPEGs
MIN_TAU_FACTOR, MAX_TAU_FACTOR = 0.1, 8.0  # of tau: from attention to one token to nearly even; 1e-38 gives no numbers
MAX_UPLOAD_AGE_SECONDS, UPLOAD_CLEANUP_SECONDS = 50 * 60, 5 * 60  # an upload is deleted after 55 minutes at the latest
MAX_UPLOAD_PAUSE_SECONDS = 5 * 60  # an upload of which no byte came for so long has broken off, and is deleted

# Model folders, from the Hub or from anybody. The files are what `smallvit.model_folder` writes.
MAX_MODEL_FILE_BYTES = {
    "smallvit.json": 2**20,  # 20 KB for 100 classes
    "config.json": 2**20,
    "metadata.json": 2**20,
    "history.json": 16 * 2**20,  # 300 bytes an epoch
    "model.weights.h5": 512 * 2**20,  # 128 million weights; the largest preset has 10 million
    "curves.png": 16 * 2**20,
    "README.md": 2**20,
}
MAX_EXAMPLES = 24  # images in a model folder: what a page has room for
MAX_DATA_IMAGE_SIZE = 512  # pixels a side of stored images: the shift test computes on 81 copies of one
MAX_ATTENTION_VALUES = 2**26  # layers x heads x tokens x tokens: the page keeps them for an image, 256 MB
MAX_HDF5_OBJECTS = 100_000  # groups and arrays in a weights file; a model of 12 layers has 500

# Data that the user trains on.
MAX_NPZ_BYTES = 32 * 2**30  # unpacked: what a large workstation holds in memory
MAX_ARCHIVE_BYTES = 64 * 2**30  # unpacked into a temporary folder: a million photos of 64 KB
MAX_CIFAR_FILE_BYTES = 2**30  # the largest file of a release has 170 MB
