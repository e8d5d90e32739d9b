"""Vision Transformers for small data sets: Shifted Patch Tokenization and Locality Self-Attention.

Reference: Lee, Lee and Song, "Vision Transformer for Small-Size Datasets", 2021, arXiv 2112.13492.

Axis letters in every docstring: B batch; H, W, C image height, width, channels; P patch size; N tokens; D `embed_dim`;
h heads; d `head_dim`; L layers (`depth`); K classes. Images are uint8 RGB, 0-255, at every public boundary.

`import smallvit` sets environment variables: which backend Keras takes, and what the backend prints. It does not import
Keras. `import smallvit.model` registers the model and its layers with Keras, so that `keras.saving.load_model` opens a
model folder; if Keras was imported first, `import smallvit` is enough. No import downloads anything.

`smallvit.train` and `smallvit.load_model` are imported when they are first used, see `smallvit.api`.
"""

import sys
from typing import TYPE_CHECKING, Any

from smallvit.device import environment
from smallvit.version import __version__ as __version__

if TYPE_CHECKING:
    from smallvit.api import load_model as load_model
    from smallvit.api import train as train

environment.prepare_environment()
if "keras" in sys.modules:
    from smallvit import model as model


def __getattr__(name: str) -> Any:
    if name not in ("load_model", "train"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    environment.require_backend()
    from smallvit import api

    return getattr(api, name)
