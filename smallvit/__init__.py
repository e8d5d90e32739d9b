"""Vision Transformers for small data sets: Shifted Patch Tokenization and Locality Self-Attention.

Both ideas are those of Lee, Lee and Song, "Vision Transformer for Small-Size Datasets", 2021, arXiv 2112.13492.

Axis letters in every docstring: B batch, H W C picture height, width, channels, P patch size, N tokens, D `embed_dim`,
h heads, d `head_dim`, L layers (`depth`), K classes. Pictures are uint8 RGB, 0-255, at every public boundary.

`import smallvit` registers the layers and the model with Keras, so that `keras.saving.load_model` opens a model folder.
It downloads nothing and starts nothing.
"""

__version__ = "0.1.0"

from smallvit import backend as backend  # first: it sets the environment that Keras's backend reads when imported
from smallvit import model as model
