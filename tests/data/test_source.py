"""What `--data` names: which reader it goes to, what is held out, and what the model learns of it."""

import numpy as np
import pytest

from smallvit.config import CIFAR100_MEAN, PRESETS, with_data_image_size
from smallvit.data import Source, load_dataset
from smallvit.data.dataset import pixel_statistics
from smallvit.errors import UserError
from studies.write_data_sets import write_part_of_cifar100
from tests import tiny


def test_a_release_of_cifar100_is_known_by_its_files(tmp_path):
    release = tiny.write_release(tmp_path)
    for path in (release, tmp_path):
        source = Source(str(path))
        assert (source.find_kind(), source.name) == ("cifar100", "CIFAR-100")
        dataset = load_dataset(source)
        assert dataset.name == "CIFAR-100"
        assert dataset.pixel_mean == CIFAR100_MEAN
        assert dataset.validation is None


def test_a_folder_without_splits_gets_a_test_split_that_no_seed_changes(tmp_path):
    folder = tiny.write_images(tmp_path / "내 사진", {"ant": 20, "bee": 15, "cat": 5})
    source = Source(str(folder), image_size=48, test_split=0.2)
    assert (source.find_kind(), source.name) == ("folder", "내 사진")
    first, second = load_dataset(source), load_dataset(source)
    assert first.class_names == ["ant", "bee", "cat"]
    assert first.train.images.shape == (32, 48, 48, 3)
    assert np.bincount(first.test.labels).tolist() == [4, 3, 1]
    np.testing.assert_array_equal(first.test.images, second.test.images)
    # No image is on both sides.
    pixels = [image.tobytes() for split in (first.train, first.test) for image in split.images]
    assert len(set(pixels)) == 40


def test_an_npz_file_is_resized_like_other_images(tmp_path):
    rng = np.random.default_rng(5)
    images, labels = rng.integers(0, 256, (50, 24, 24, 3), np.uint8), np.arange(50) % 3
    np.savez(tmp_path / "shapes.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    source = Source(str(tmp_path / "shapes.npz"))
    assert (source.find_kind(), source.name) == ("npz", "shapes")
    assert Source("SHAPES.NPZ").find_kind() == "npz"
    dataset = load_dataset(source._replace(image_size=24))
    np.testing.assert_array_equal(dataset.train.images, images[:40])
    np.testing.assert_allclose(dataset.pixel_mean, (images[:40] / 255).mean(axis=(0, 1, 2)), atol=6e-5)
    np.testing.assert_allclose(dataset.pixel_std, (images[:40] / 255).std(axis=(0, 1, 2)), atol=6e-5)


def test_a_limit_takes_images_of_all_classes(tmp_path):
    folder = tiny.write_images(tmp_path / "p", {"ant": 30, "bee": 30, "cat": 30})
    dataset = load_dataset(Source(str(folder), limit=9))
    assert dataset.name == "p, 9 images of each split"
    assert np.bincount(dataset.train.labels).tolist() == [3, 3, 3]
    assert len(dataset.test.labels) == 9


def test_a_channel_that_never_changes_can_be_divided_by():
    images = np.zeros((4, 2, 3, 3), np.uint8)
    images[..., 1] = 255
    images[:2, ..., 2] = 51
    mean, std = pixel_statistics(images)
    assert mean == (1e-4, 1.0, 0.1)
    assert std == (1.0, 1.0, 0.1)


def test_a_missing_file_of_a_folder_that_is_here_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert [Source(name).find_kind() for name in ("data/flowers", "ada/flowers")] == ["unknown", "hf_dataset"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "--limit is 0; it must be at least 1"),
        ({"path": None, "test_split": 0.3}, "--test-split is for your own images; CIFAR-100 has its own test images"),
        ({"path": None, "label_column": "fine"}, "--label-column is for tables and .*; CIFAR-100 has no columns"),
        ({"test_split": 1.0}, "--test-split is 1; it must be more than 0 and less than 1"),
        ({"path": "no\nwhere"}, r"There is no no\\nwhere; --data takes a folder of images"),
        ({"path": "~nobody of this name/p.npz"}, r"There is no ~nobody of this name/p\.npz; --data takes a folder"),
        ({"path": f"{'n' * 300}.npz"}, r"There is no n+\.npz; "),
    ],
)
def test_what_cannot_be_is_a_sentence(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load_dataset(Source(**{"path": str(tmp_path), **options}))


def test_presets_grow_with_the_images():
    for side, patch_size in ((32, 4), (48, 6), (96, 12)):
        model = with_data_image_size(PRESETS["modern"], side).model
        assert (model.image_size, model.patch_size, model.grid_size) == (side, patch_size, 8)
        example = with_data_image_size(PRESETS["keras-example"], side).model
        assert (example.image_size, example.grid_size) == (72 * side // 32, 12)
    with pytest.raises(ValueError, match="--image-size is 40; it must be one of 32, 48, 64, 96, 128, 224"):
        with_data_image_size(PRESETS["modern"], 40)


def test_a_part_of_cifar100_is_read_as_images_of_ones_own(tmp_path):
    release = tiny.write_release(tmp_path)
    write_part_of_cifar100(tmp_path / "part.npz", 3, str(release))
    whole, part = load_dataset(Source(str(release))), load_dataset(Source(str(tmp_path / "part.npz")))
    assert part.is_own
    assert part.class_names == whole.class_names
    assert np.bincount(part.train.labels).tolist() == [3] * 7
    np.testing.assert_array_equal(part.test.images, whole.test.images)
    of_whole = {image.tobytes(): label for image, label in zip(whole.train.images, whole.train.labels, strict=True)}
    assert [of_whole[image.tobytes()] for image in part.train.images] == part.train.labels.tolist()
