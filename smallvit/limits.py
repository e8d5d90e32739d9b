"""What is accepted from files, addresses and models, each limit with its reason. docs/security.md repeats the limits.

Sizes are in bytes, times in seconds.
"""

# Images. A photo of a phone or camera has up to 20 MB and 40 megapixels.
MAX_IMAGE_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
MAX_PERCENT_CHARACTERS = 1_000_000  # of a percent-encoded data URL: decoding takes many times its size in memory
DOWNLOAD_SECONDS = 15  # for an image at an address, redirects included: a visitor waits no longer
MAX_REDIRECTS = 5  # honest servers send on once or twice

# The decoding of one image in its process. Photos of 40 megapixels take 0.2 to 1.8 s, see docs/security.md.
DECODE_CPU_SECONDS = 4  # twice what honest files take; others were built to keep the processor busy
DECODE_WALL_SECONDS = 15  # more than the CPU time, because the machine may be busy; the only time limit on Windows
DECODE_MEMORY_BYTES = 700 * 2**20  # above the process at rest: what Pillow takes for a WebP of 40 megapixels
DECODING_PROCESSES = 2  # a file that uses up its time must not block the next visitor

# The same for images that the user trains on: nobody attacks there, and a slow machine must not lose an image.
OWN_DECODE_CPU_SECONDS = 30
OWN_DECODE_WALL_SECONDS = 120
OWN_DECODE_MEMORY_BYTES = 2**30
MAX_DECODING_PROCESSES = 32  # each takes some 40 MB at rest
