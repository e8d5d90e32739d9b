"""All random augmentation of a recipe, in its order."""

from keras import ops

from smallvit.augment.erasing import random_erasing
from smallvit.augment.geometry import random_crop, random_flip, random_rotation, random_zoom
from smallvit.augment.mixing import mix
from smallvit.augment.policies import autoaugment, randaugment


class Augmentation:
    """What happens to a batch before the model sees it: moves, a policy, erasing, mixing; smoothed labels.

    Args:
        model_config: a `ModelConfig`: the number of classes, the size and mean colour of its images.
        train_config: a `TrainConfig`: see the fields under "Augmentation".
    """

    def __init__(self, model_config, train_config):
        self.num_classes = model_config.num_classes
        self.image_size = model_config.image_size
        self.mean_color = [255 * mean for mean in model_config.pixel_mean]
        self.config = train_config

    def __call__(self, images, labels, seed, mixing=1.0):
        """Augment a batch.

        Args:
            images: uint8 [B, H, W, 3].
            labels: int [B].
            seed: a `keras.random.SeedGenerator`.
            mixing: 1, or 0 for the epochs without Mixup and CutMix; may be a scalar tensor.

        Returns:
            Images, uint8 or float32 [B, H', W', 3] of pixels 0-255, and targets, float32 [B, K], whose rows sum to 1.
        """
        config = self.config
        moves = {"flip_crop": flip_crop, "crop": crop, "keras_example": self._keras_example}
        images = moves[config.augmentation](images, seed)
        if config.policy == "randaugment":
            images = randaugment(images, config.randaugment_num_ops, config.randaugment_magnitude, seed)
        elif config.policy == "autoaugment":
            images = autoaugment(images, seed)
        if config.erasing_probability:
            images = ops.cast(images, "float32")
            images = random_erasing(images, config.erasing_probability, self.mean_color, seed)
        smoothing = config.label_smoothing
        targets = ops.one_hot(labels, self.num_classes) * (1 - smoothing) + smoothing / self.num_classes
        if config.mixup_alpha or config.cutmix_alpha:
            images, targets = mix(
                ops.cast(images, "float32"),
                targets,
                config.mixup_alpha,
                config.cutmix_alpha,
                config.mix_probability * mixing,
                config.cutmix_probability,
                seed,
            )
        return images, targets

    def _keras_example(self, images, seed):
        return keras_example(images, seed, self.image_size)


def flip_crop(images, seed):
    """Mirror half of the images, then `crop` them.

    Reference: the usual CIFAR augmentation, He et al. 2016, arXiv 1512.03385, section 4.2.
    """
    return crop(random_flip(images, seed), seed)


def crop(images, seed):
    """Move each image along each axis by up to an eighth of its side, 4 pixels of 32; what comes in is black.

    Without mirroring, it is for images that mean something else the other way round, such as digits.
    """
    return random_crop(images, padding=images.shape[1] // 8, seed=seed)


def keras_example(images, seed, image_size):
    """The augmentation of the Keras example: resize, flip, rotate by up to 7.2 degrees, zoom each axis by up to 20 %.

    Resizing comes first, as there: rotating 32 x 32 pixels and then enlarging them would blur the image twice.

    Args:
        image_size: side to which the images are resized, bilinear.
    """
    images = ops.image.resize(
        ops.cast(images, "float32"), (image_size, image_size), interpolation="bilinear", data_format="channels_last"
    )
    images = random_flip(images, seed)
    images = random_rotation(images, max_turn=0.02, seed=seed)
    return random_zoom(images, max_zoom=0.2, seed=seed)
