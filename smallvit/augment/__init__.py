"""Random augmentation of whole batches, drawn for each image. It runs inside the compiled training step.

- `color`: operations that take a batch and a strength for every image.
- `geometry`: flip, crop, rotation and zoom, which draw for themselves, and the affine maps of the policies.
- `policies`: RandAugment and AutoAugment, which draw operations and strengths.
- `erasing`: random erasing. `mixing`: Mixup and CutMix.
- `pipeline`: the augmentation of a recipe, in its order.
- `patch_sampling`: which patches of an image a step sees.

Images are [B, H, W, C] of pixels 0-255, uint8 or float32. A `seed` is a `keras.random.SeedGenerator`. All functions use
`keras.ops` and `keras.random` alone.
"""

from smallvit.augment.patch_sampling import sample_patches
from smallvit.augment.pipeline import Augmentation
