"""The augmentation of a recipe, in its order."""

from typing import Any

from keras import ops
from keras.random import SeedGenerator

from smallvit.augment.erasing import random_erasing
from smallvit.augment.geometry import random_crop, random_flip, random_rotation, random_zoom
from smallvit.augment.mixing import mix
from smallvit.augment.policies import autoaugment, randaugment
from smallvit.config import ModelConfig, TrainConfig


class Augmentation:
    """Augments a batch before the model sees it: flips and crops, a policy, erasing, mixing.

    Args:
        model_config: gives the number of classes, the image size and the mean colour.
        train_config: gives the fields under "Augmentation".
    """

    def __init__(self, model_config: ModelConfig, train_config: TrainConfig):
        self.num_classes = model_config.num_classes
        self.image_size = model_config.image_size
        self.mean_color = [255 * mean for mean in model_config.pixel_mean]
        self.config = train_config

    def __call__(self, images: Any, labels: Any, seed: SeedGenerator, mix_enabled: Any = 1.0) -> tuple[Any, Any]:
        """Augment a batch.

        Args:
            images: uint8 [B, H, W, 3].
            labels: int [B].
            seed: the generator to draw from.
            mix_enabled: 1, or 0 in the epochs without Mixup and CutMix; may be a scalar tensor.

        Returns:
            (images, targets): uint8 or float32 [B, H', W', 3] of pixels 0-255, and the share of each class,
            float32 [B, K].
        """
        config = self.config
        base_augmentations = {"flip_crop": flip_crop, "crop": crop, "keras_example": self._keras_example}
        images = base_augmentations[config.augmentation](images, seed)
        if config.policy == "randaugment":
            images = randaugment(images, config.randaugment_num_ops, config.randaugment_magnitude, seed)
        elif config.policy == "autoaugment":
            images = autoaugment(images, seed)
        if config.erasing_probability:
            images = ops.cast(images, "float32")
            images = random_erasing(images, config.erasing_probability, self.mean_color, seed)
        targets = ops.one_hot(labels, self.num_classes)
        if config.mixup_alpha or config.cutmix_alpha:
            images, targets = mix(
                ops.cast(images, "float32"),
                targets,
                config.mixup_alpha,
                config.cutmix_alpha,
                config.mix_probability * mix_enabled,
                config.cutmix_probability,
                seed,
            )
        return images, targets

    def _keras_example(self, images, seed):
        return keras_example_augmentation(images, seed, self.image_size)


def flip_crop(images: Any, seed: SeedGenerator) -> Any:
    """Mirror half of the images left to right, then `crop` them.

    Reference: the usual CIFAR augmentation, He et al. 2016, arXiv 1512.03385, section 4.2.
    """
    return crop(random_flip(images, seed), seed)


def crop(images: Any, seed: SeedGenerator) -> Any:
    """Move each image along each axis by up to an eighth of its side, 4 of 32 pixels; the edge that comes in is black.

    Use this without `flip_crop`'s mirroring for images that must not be mirrored, such as digits.
    """
    return random_crop(images, padding=images.shape[1] // 8, seed=seed)


def keras_example_augmentation(images: Any, seed: SeedGenerator, image_size: int) -> Any:
    """Resize, flip, rotate by up to 7.2 degrees, and zoom each axis by up to 20 %.

    Resizing comes first: rotating 32 x 32 pixels before enlarging them would blur the image twice.

    Args:
        image_size: side to which the images are resized bilinearly, in pixels.

    Reference: `data_augmentation` of the Keras example.
    """
    images = ops.image.resize(
        ops.cast(images, "float32"), (image_size, image_size), interpolation="bilinear", data_format="channels_last"
    )
    images = random_flip(images, seed)
    images = random_rotation(images, factor=0.02, seed=seed)
    return random_zoom(images, max_zoom=0.2, seed=seed)
