"""Random augmentation of whole batches, drawn per image, in `keras.ops`: it runs inside the compiled training step.

`geometry` and `color` hold the operations, each on a batch with a strength for every image; `policies` draws them as
RandAugment and AutoAugment do; `erasing` and `mixing` follow; `pipeline` puts together what a recipe asks for;
`patch_sampling` draws which patches of an image a step sees.

Images are [B, H, W, C] of pixels 0-255, uint8 or float32. A `seed` is a `keras.random.SeedGenerator`.
"""

from smallvit.augment.patch_sampling import sample_patches
from smallvit.augment.pipeline import Augmentation

__all__ = ["Augmentation", "sample_patches"]
