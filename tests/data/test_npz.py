"""Images in an `.npz` file: what is read and what is refused."""

import os
import pickle
import unicodedata
import zipfile

import numpy as np
import pytest

from smallvit.data import Source, npz
from smallvit.data.source import read_splits
from smallvit.errors import UserError

SIDE = 6
IMAGES = np.random.default_rng(1).integers(0, 256, (40, SIDE, SIDE, 3), np.uint8)
LABELS = np.arange(40) % 3
GREY = IMAGES[..., 0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def arrays(**changes):
    """What a good file holds, with changes; None leaves an array out."""
    named = {"x_train": IMAGES, "y_train": LABELS, **changes}
    return {name: array for name, array in named.items() if array is not None}


def write(path, **changes):
    np.savez(path, **arrays(**changes))
    return path


def refused(path):
    """The sentence by which a file is refused, without its path."""
    with pytest.raises(UserError) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert str(path) in sentence
    return sentence.replace(str(path), "FILE")


def read(path, image_size=SIDE, for_training=True, **options):
    """The images in their own size."""
    return read_splits(Source(str(path), image_size, **options), for_training)


# What is read


def test_images_labels_and_names_are_read(path):
    found = read(write(path, class_names=["ant", unicodedata.normalize("NFD", "벌"), "🐈"]))
    assert found.class_names == ["ant", "벌", "🐈"]
    assert found.damaged == []
    assert list(found.splits) == ["train"]
    train = found.splits["train"]
    np.testing.assert_array_equal(train.images, IMAGES)
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int32)
    assert train.labels.tolist() == LABELS.tolist()
    assert train.names[[0, 39]].tolist() == ["x_train[0]", "x_train[39]"]
    assert not train.images.flags.writeable


def test_given_splits_are_kept_and_nothing_else_is_looked_at(path, evil):
    others = {"x_extra": np.array([evil]), "notes": np.array("a note")}
    write(path, x_test=IMAGES[:5], y_test=LABELS[:5], x_val=IMAGES[5:7], y_val=LABELS[5:7], **others)
    found = read(path)
    assert found.class_names == ["class 0", "class 1", "class 2"]
    labels = {split: images.labels.tolist() for split, images in found.splits.items()}
    assert labels == {"train": LABELS.tolist(), "validation": [2, 0], "test": [0, 1, 2, 0, 1]}
    np.testing.assert_array_equal(found.splits["validation"].images, IMAGES[5:7])
    np.testing.assert_array_equal(found.splits["test"].images, IMAGES[:5])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"x_train": GREY}, np.stack([GREY] * 3, -1)),
        ({"x_train": GREY[..., None]}, np.stack([GREY] * 3, -1)),
        ({"x_train": np.asfortranarray(IMAGES)}, IMAGES),
        ({"y_train": LABELS.astype(">u8")[:, None]}, IMAGES),
    ],
    ids=["[n, S, S]", "[n, S, S, 1]", "column by column", "labels >u8 [n, 1]"],
)
def test_arrays_of_other_kinds_are_the_same_images(path, changes, expected):
    train = read(write(path, **changes)).splits["train"]
    np.testing.assert_array_equal(train.images, expected)
    assert train.images.flags.c_contiguous
    assert train.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_images_of_16_bits_get_one_range_for_all_splits(path, dtype):
    """12-bit images with a hot pixel: the range is that of the percentiles, as for image files."""
    values = np.random.default_rng(2).integers(100, 4000, (60, SIDE, SIDE)).astype(dtype)
    values[0, 0, 0] = 65535
    write(path, x_train=values[:40], x_test=values[40:, ..., None] // 2, y_test=LABELS[:20])
    found = read(path)
    low, high = found.value_range
    assert (low, high) == pytest.approx(np.percentile(np.append(values[:40], values[40:] // 2), [0.1, 99.9]))
    assert 50 <= low < 150
    assert 3900 < high < 4000
    expected = ((values[:40] - low) / (high - low)).clip(0, 1) * 255
    images = found.splits["train"].images
    assert (images.shape, images.dtype, images.flags.writeable) == ((40, SIDE, SIDE, 3), np.uint8, False)
    assert np.abs(images - expected[..., None]).max() <= 0.5 + 1e-9
    assert found.splits["test"].images.max() <= 129  # in the same range

    given = read(path, for_training=False, value_range=(0.0, 4095.0))
    assert given.value_range == (0.0, 4095.0)
    assert abs(int(given.splits["train"].images[1, 0, 0, 0]) - values[1, 0, 0] / 4095 * 255) <= 0.5


def test_compressed_arrays_are_read(path):
    np.savez_compressed(path, **arrays())
    np.testing.assert_array_equal(read(path).splits["train"].images, IMAGES)


def test_images_of_another_size_become_squares_of_one_size(path):
    """The centre square, reduced by averaging or enlarged by repeating, as of files; each split may have its own."""
    wide = np.random.default_rng(4).integers(0, 256, (30, 8, 10, 3), np.uint8)
    write(path, x_train=wide, y_train=LABELS[:30], x_test=IMAGES[:9, :2, :2], y_test=LABELS[:9])
    found = read(path, 4).splits
    averages = wide[:, :, 1:9].reshape(30, 4, 2, 4, 2, 3).mean((2, 4))
    assert np.abs(found["train"].images - averages).max() <= 1  # rounded once for rows and once for columns
    np.testing.assert_array_equal(found["test"].images, IMAGES[:9, :2, :2].repeat(2, 1).repeat(2, 2))


def test_a_file_is_read_once(path, monkeypatch):
    first = read(write(path, class_names=["ant", "벌", "🐈"]))
    with monkeypatch.context() as patched:
        patched.setattr(np, "load", lambda *_, **__: pytest.fail("read"))
        again = read(path)
    assert again.class_names == first.class_names
    np.testing.assert_array_equal(again.splits["train"].images, first.splits["train"].images)
    assert again.splits["train"].labels.tolist() == first.splits["train"].labels.tolist()
    assert read(write(path, y_train=LABELS[::-1])).splits["train"].labels.tolist() == LABELS[::-1].tolist()


# What is refused


def test_no_file_and_a_foreign_file(path, tmp_path, evil):
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a\nb.npz")
    assert str(caught.value).startswith(f"There is no {tmp_path}/a\\nb.npz; --data takes a folder of images, ")
    for content in (b"", b"\xff\xd8\xff no archive", pickle.dumps(evil)):
        path.write_bytes(content)
        sentence = "FILE is not an .npz file, or is cut off; np.savez(file, x_train=..., y_train=...) makes one."
        assert refused(path) == sentence


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "FILE has no x_train; every split needs images x_... and labels y_...."),
        ({"x_val": IMAGES}, "FILE has no y_val;"),
        ({"x_train": IMAGES / 255}, "FILE: x_train is float64 [40, 6, 6, 3]; images must be uint8 [n, H, W, 3], or"),
        ({"x_train": IMAGES // 16}, " is uint8 [40, 6, 6, 3] with no value above 15; scale the pixels to 0-255."),
        ({"x_train": IMAGES.transpose(0, 3, 1, 2)}, "FILE: x_train is uint8 [40, 3, 6, 6]; images must be"),
        ({"x_train": IMAGES.astype(np.uint16)}, "FILE: x_train is uint16 [40, 6, 6, 3]; images must be"),
        ({"x_val": IMAGES[:0], "y_val": LABELS[:0]}, "FILE: x_val is uint8 [0, 6, 6, 3]; images must be"),
        ({"y_train": LABELS[:39]}, "FILE: x_train has 40 images, but y_train has 39 labels."),
        ({"y_train": LABELS / 1}, "FILE: y_train is float64 [40]; they must be integers [n] from 0 to K-1."),
        ({"y_train": np.eye(3)[LABELS]}, "FILE: y_train is float64 [40, 3]; use y_train.argmax(1)."),
        ({"y_train": LABELS - 1}, "FILE: y_train has labels from -1 to 1; they must go from 0 to K-1 for K classes,"),
        ({"y_train": LABELS.astype("u8") << 63}, f"FILE: y_train has labels from 0 to {2**63}; they must go"),
        ({"y_train": LABELS * 2}, "FILE: the class class 1 has too few training images: 0 found, at least 3 needed,"),
        ({"class_names": ["ant", "bee"]}, "FILE has labels up to 2, but only 2 classes."),
        ({"class_names": ["ant", "bee", "ant"]}, "FILE has two classes named ant; give each class its own name."),
        ({"class_names": [1, 2, 3]}, "FILE: class_names is int64 [3]; it must be K strings, [K]."),
    ],
)
def test_what_is_wrong_is_named(path, changes, message):
    assert message in refused(write(path, **changes))


def test_arrays_of_objects_and_pickles_are_refused_and_not_run(path, evil):
    for name in ("x_train", "y_train", "class_names"):
        write(path, **{name: np.array([evil] * 40)})
        assert refused(path).startswith(f"FILE: {name} cannot be read (Object arrays cannot be loaded")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(evil))
        archive.writestr("y_train.npy", pickle.dumps(evil))
    assert refused(path).startswith("FILE: x_train is ")


def test_a_damaged_file_is_refused_or_the_same(path):
    """Some bytes of an archive, such as its times, matter to nobody."""
    np.savez_compressed(path, **arrays())
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    refusals = 0
    for place in [*rng.integers(0, len(whole), 60), *rng.integers(0, 200, 60), *rng.integers(-250, 0, 60)]:
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            train = read(path).splits["train"]
        except UserError as error:
            assert str(error).isprintable()
            refusals += 1
        else:
            np.testing.assert_array_equal(train.images, IMAGES)
            assert train.labels.tolist() == LABELS.tolist()
    assert refusals > 90


def test_a_file_that_is_too_large_is_not_read(path, monkeypatch):
    size = sum(info.file_size for info in zipfile.ZipFile(write(path)).infolist())
    monkeypatch.setattr(npz, "MAX_NPZ_BYTES", size)
    read(path)
    monkeypatch.setattr(npz, "MAX_NPZ_BYTES", size - 1)
    os.utime(path)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("read"))
    assert refused(path) == "FILE would take 0.0 GB of memory, more than 0 GB; use a folder of image files instead."
