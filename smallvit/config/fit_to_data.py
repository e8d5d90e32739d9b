"""How a preset is fitted to a data set: to the size of the images, and to how many there are."""

from dataclasses import replace

from smallvit.config.presets import Preset

DATA_IMAGE_SIZES = (32, 48, 64, 96, 128, 224)
"""Sides of the stored images in pixels. Presets are written for the first; `with_data_image_size` scales them."""


def with_data_image_size(preset: Preset, data_image_size: int) -> Preset:
    """Scale a preset to larger images: `image_size` and `patch_size` grow alike, so the number of patches stays.

    Args:
        preset: a preset as it is in `PRESETS`.
        data_image_size: side of the stored images in pixels, one of `DATA_IMAGE_SIZES`.

    Raises:
        ValueError: `data_image_size` is not one of `DATA_IMAGE_SIZES`.
    """
    if data_image_size not in DATA_IMAGE_SIZES:
        raise ValueError(
            f"--image-size is {data_image_size}; it must be one of {', '.join(map(str, DATA_IMAGE_SIZES))}"
        )
    sides = ("image_size", "patch_size")
    grown = {name: getattr(preset.model, name) * data_image_size // DATA_IMAGE_SIZES[0] for name in sides}
    return replace(preset, model=replace(preset.model, **grown))


def overrides_for_num_images(preset: Preset, num_images: int) -> dict[str, object]:
    """The overrides of a preset for this many training images: values by name of the field of model or recipe."""
    return next((overrides for largest, overrides in preset.overrides_by_num_images if num_images <= largest), {})
