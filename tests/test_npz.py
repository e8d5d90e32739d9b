"""Images in an `.npz` file: what is read, and what is refused, of files that anyone made."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from smallvit.data import npz
from smallvit.data.npz import read_npz
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
    return {
        name: array for name, array in {"x_train": IMAGES, "y_train": LABELS, **changes}.items() if array is not None
    }


def write(path, **changes):
    np.savez(path, **arrays(**changes))
    return path


def write_zip(path, compression, **changes):
    """The same, each array compressed in one of the four ways."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in arrays(**changes).items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)
    return path


def refused(path):
    """The sentence by which a file is refused, without its path."""
    with pytest.raises(UserError) as caught:
        read_npz(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert str(path) in sentence
    return sentence.replace(str(path), "FILE")


class Evil:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


# What is read


def test_images_labels_and_names_are_read(path):
    found = read_npz(write(path, class_names=["ant", "벌", "🐈"]))
    assert found.class_names == ["ant", "벌", "🐈"]
    assert found.unreadable == []
    assert list(found.splits) == ["train"]
    train = found.splits["train"]
    np.testing.assert_array_equal(train.images, IMAGES)
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int32)
    assert train.labels.tolist() == LABELS.tolist()
    assert train.files is None
    assert not train.images.flags.writeable


def test_given_splits_are_kept_and_nothing_else_is_looked_at(path, tmp_path):
    others = {"x_extra": np.array([Evil(tmp_path / "written")]), "notes": np.array("a note")}
    write(path, x_test=IMAGES[:5], y_test=LABELS[:5], x_val=IMAGES[5:7], y_val=LABELS[5:7], **others)
    found = read_npz(path)
    assert found.class_names == ["class 0", "class 1", "class 2"]
    assert {split: images.labels.tolist() for split, images in found.splits.items()} == {
        "train": LABELS.tolist(),
        "validation": [2, 0],
        "test": [0, 1, 2, 0, 1],
    }
    np.testing.assert_array_equal(found.splits["validation"].images, IMAGES[5:7])
    np.testing.assert_array_equal(found.splits["test"].images, IMAGES[:5])
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"x_train": GREY}, np.stack([GREY] * 3, -1)),
        ({"x_train": GREY[..., None]}, np.stack([GREY] * 3, -1)),
        ({"x_train": np.asfortranarray(IMAGES)}, IMAGES),
        ({"x_train": IMAGES[::-1], "y_train": LABELS[::-1]}, IMAGES[::-1]),
        ({"y_train": LABELS[:, None]}, IMAGES),
        ({"y_train": LABELS.astype(">u8")}, IMAGES),
        ({"y_train": LABELS.astype(np.int8)}, IMAGES),
    ],
    ids=["[n, S, S]", "[n, S, S, 1]", "column by column", "backwards", "labels [n, 1]", "labels >u8", "labels int8"],
)
def test_arrays_of_other_kinds_are_the_same_images(path, changes, expected):
    train = read_npz(write(path, **changes)).splits["train"]
    np.testing.assert_array_equal(train.images, expected)
    assert train.images.flags.c_contiguous
    assert train.labels.tolist() == arrays(**changes)["y_train"].reshape(-1).tolist()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_arrays_are_read(path, compression):
    train = read_npz(write_zip(path, compression)).splits["train"]
    np.testing.assert_array_equal(train.images, IMAGES)


def test_names_may_be_bytes_and_no_text(path):
    assert read_npz(write(path, class_names=[b"ant", "벌".encode(), b"\xff"])).class_names == ["ant", "벌", "\\xff"]
    assert read_npz(write(path, class_names=["ant", "a\nb", "\ud800"])).class_names == ["ant", "a\nb", "\\ud800"]


def test_the_least_and_the_most_that_are_taken(path):
    found = read_npz(write(path, x_train=IMAGES[:30], y_train=np.arange(30) % 2))
    assert (len(found.splits["train"].labels), len(found.class_names)) == (30, 2)
    pixels = np.full((1000, 1, 1), 255, np.uint8)
    parts = {f"{axis}_{part}": array[:1] for axis, array in (("x", pixels), ("y", LABELS)) for part in ("val", "test")}
    found = read_npz(write(path, x_train=pixels, y_train=np.arange(1000), **parts))
    assert found.class_names == [f"class {label}" for label in range(1000)]


# What is refused


def test_no_file_and_a_foreign_file(path, tmp_path):
    for place, said in ((path, path), (tmp_path, tmp_path), (tmp_path / "a\nb.npz", f"{tmp_path}/a\\nb.npz")):
        with pytest.raises(UserError) as caught:
            read_npz(place)
        assert str(caught.value) == f"There is no file {said}; an .npz with x_train and y_train would be right."
    for content in (b"", b"\xff\xd8\xff no archive", pickle.dumps(Evil(tmp_path / "written"))):
        path.write_bytes(content)
        assert refused(path) == (
            "FILE is no .npz file, or is cut off; np.savez(file, x_train=..., y_train=...) makes one."
        )
    np.save(tmp_path / "one.npy", IMAGES)
    assert "is no .npz file" in refused(tmp_path / "one.npy")
    assert "(File name too long)" in refused(tmp_path / ("n" * 300))
    assert not (tmp_path / "written").exists()


SCALE = 'pixels have to be uint8 from 0 to 255: scale them to that range, then x_train.astype("uint8") would be right.'
LAYOUT = "uint8 [n, S, S, 3], or [n, S, S] where they are grey, would be right."
INTEGERS = "labels have to be integers [n] from 0 on:"
NUMBERS = "labels have to go from 0 to K-1 for K classes, of which there may be 1,000."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "FILE has no x_train; it holds y_train."),
        ({"x_train": None, "y_train": None}, "FILE has no x_train; it holds no arrays."),
        ({"y_train": None, "labels": LABELS}, "FILE has no y_train; it holds x_train, labels."),
        ({"x_val": IMAGES}, "FILE has no y_val; it holds x_train, y_train, x_val."),
        ({"y_test": LABELS}, "FILE has no x_test; it holds x_train, y_train, y_test."),
        ({"x_train": IMAGES / 255}, f"FILE: x_train is float64 [40, 6, 6, 3], from 0 to 1; {SCALE}"),
        ({"x_train": IMAGES.astype(np.int16) - 3}, f"FILE: x_train is int16 [40, 6, 6, 3], from -3 to 252; {SCALE}"),
        ({"x_train": IMAGES > 99}, f"FILE: x_train is bool [40, 6, 6, 3], from 0 to 1; {SCALE}"),
        ({"x_train": IMAGES.astype(str)}, f"FILE: x_train is <U3 [40, 6, 6, 3]; {SCALE}"),
        (
            {"x_train": IMAGES // 16},
            "FILE: x_train is uint8 [40, 6, 6, 3] and has no value above 15; pixels go from 0 to 255: scale them to "
            "that range.",
        ),
        (
            {"x_train": IMAGES.transpose(0, 3, 1, 2)},
            "FILE: x_train is uint8 [40, 3, 6, 6]; the channels have to come last: x_train.transpose(0, 2, 3, 1) would "
            "be right.",
        ),
        (
            {"x_train": GREY[:, None]},
            "FILE: x_train is uint8 [40, 1, 6, 6]; the channels have to come last: x_train.transpose(0, 2, 3, 1) would "
            "be right.",
        ),
        ({"x_train": IMAGES.reshape(40, -1)}, f"FILE: x_train is uint8 [40, 108]; {LAYOUT}"),
        ({"x_train": np.repeat(IMAGES, 2, 3)[..., :4]}, f"FILE: x_train is uint8 [40, 6, 6, 4]; {LAYOUT}"),
        ({"x_train": np.uint8(7)}, f"FILE: x_train is uint8 []; {LAYOUT}"),
        (
            {"x_train": IMAGES[:, :5]},
            "FILE: x_train is uint8 [40, 5, 6, 3], images 5 high and 6 wide; square ones are needed.",
        ),
        (
            {"x_train": IMAGES[:, :0, :0]},
            "FILE: x_train is uint8 [40, 0, 0, 3], images 0 high and 0 wide; square ones are needed.",
        ),
        (
            {"x_val": IMAGES[:0], "y_val": LABELS[:0]},
            "FILE: x_val is uint8 [0, 6, 6, 3], no images; give it some, or leave it out.",
        ),
        (
            {"x_test": IMAGES[:3, :4, :4], "y_test": LABELS[:3]},
            "FILE: the test images have 4 x 4 pixels and those to train on 6 x 6; all need the same size.",
        ),
        ({"y_train": LABELS[:39]}, "FILE: x_train has 40 images and y_train 39 labels; it needs one each."),
        ({"y_train": LABELS / 1}, f'FILE: y_train is float64 [40]; {INTEGERS} y_train.astype("int32") would be right.'),
        ({"y_train": LABELS > 1}, f'FILE: y_train is bool [40]; {INTEGERS} y_train.astype("int32") would be right.'),
        (
            {"y_train": np.eye(3)[LABELS]},
            f"FILE: y_train is float64 [40, 3]; {INTEGERS} y_train.argmax(1) would be right.",
        ),
        ({"y_train": np.array([*"abc"])[LABELS]}, f"FILE: y_train is <U1 [40]; {INTEGERS} int32 [n] would be right."),
        ({"y_train": LABELS - 1}, f"FILE: y_train has labels from -1 to 1; {NUMBERS}"),
        ({"y_train": LABELS + 998}, f"FILE: y_train has labels from 998 to 1000; {NUMBERS}"),
        ({"y_train": LABELS.astype("u8") << 63}, f"FILE: y_train has labels from 0 to {2**63}; {NUMBERS}"),
        (
            {"y_train": LABELS + 1},
            "FILE: y_train has labels from 1 to 3 and no 0; each of 0 to K-1 has to occur.",
        ),
        (
            {"y_train": LABELS * 2},
            "FILE: y_train has labels from 0 to 4 and no 1; each of 0 to K-1 has to occur.",
        ),
        (
            {"x_val": IMAGES, "y_val": LABELS + 1},
            "FILE: y_val has the label 3, and there are 3 classes; labels from 0 to 2 would be right.",
        ),
        (
            {"class_names": ["ant", "bee"]},
            "FILE has 2 class_names, and y_train labels up to 2; a name for each of its 3 classes would be right.",
        ),
        (
            {"class_names": ["ant", "bee", "cat", "dog"]},
            "FILE: the class dog has no image; it needs at least three, to train on, to validate and to test.",
        ),
        ({"class_names": ["ant", "bee", "ant"]}, "FILE has two classes named ant; each needs a name of its own."),
        (
            {"class_names": [f"class {label}" for label in range(1001)]},
            "FILE has 1,001 classes; at most 1,000 are trained on.",
        ),
        (
            {"class_names": [1, 2, 3]},
            "FILE: class_names is int64 [3]; one string for each class, [K], would be right.",
        ),
        ({"class_names": "ant"}, "FILE: class_names is <U3 []; one string for each class, [K], would be right."),
        ({"class_names": ["n" * 2**21] * 3}, "FILE: class_names takes 25,165,824 bytes; names are short."),
        (
            {"y_train": LABELS * 0},
            "FILE has one class, class 0; at least 2 classes are needed, to tell one from another.",
        ),
        (
            {"y_train": np.minimum(np.arange(40), 1)},
            "FILE: the class class 0 has 1 image; it needs at least three, to train on, to validate and to test.",
        ),
        ({"x_train": IMAGES[:29], "y_train": LABELS[:29]}, "FILE has 29 images; at least 30 are needed."),
    ],
)
def test_what_is_wrong_is_named(path, changes, message):
    assert refused(write(path, **changes)) == message


# Pickles


@pytest.mark.parametrize(
    ("name", "right"),
    [("x_train", "numbers of one shape"), ("y_train", "numbers of one shape"), ("class_names", "strings")],
)
def test_arrays_of_objects_are_refused_and_not_run(path, tmp_path, name, right):
    write(path, **{name: np.array([Evil(tmp_path / "written")] * 40)})
    assert refused(path) == (
        f"FILE: {name} holds Python objects, which are not loaded, for they can run any code; an array of {right} "
        "would be right."
    )
    assert not (tmp_path / "written").exists()


def test_a_pickle_under_the_name_of_an_array_is_not_run(path, tmp_path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Evil(tmp_path / "written")))
        archive.writestr("y_train.npy", pickle.dumps(Evil(tmp_path / "written")))
    assert refused(path).startswith("FILE: x_train is damaged and cannot be read (the magic string is not correct")
    assert not (tmp_path / "written").exists()


# Damage


def test_a_file_cut_off_anywhere_is_refused(path):
    whole = write(path).read_bytes()
    for length in [*range(0, len(whole), 97), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:length])
        assert "is no .npz file, or is cut off" in refused(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_refused_or_the_same(path, compression):
    """Some bytes of an archive, such as its times, matter to nobody."""
    images = np.repeat(IMAGES, 4, axis=1).repeat(4, axis=2)  # more than is decompressed at once, so that headers come
    whole = write_zip(path, compression, x_train=images).read_bytes()  # before the checksum is looked at
    rng = np.random.default_rng(2)
    refusals = 0
    for place in [*rng.integers(0, len(whole), 60), *rng.integers(0, 200, 60), *rng.integers(-250, 0, 60)]:
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            train = read_npz(path).splits["train"]
        except UserError as error:
            assert str(error).isprintable()
            refusals += 1
        else:
            np.testing.assert_array_equal(train.images, images)
            assert train.labels.tolist() == LABELS.tolist()
    assert refusals > 90


def test_every_byte_of_an_array_s_header_counts(path):
    images = np.repeat(IMAGES, 4, axis=1).repeat(4, axis=2)
    whole = write(path, x_train=images).read_bytes()
    start = whole.index(b"\x93NUMPY")
    for place in range(start, start + 128):
        for change in (1, 8, 128):
            damaged = bytearray(whole)
            damaged[place] ^= change
            path.write_bytes(damaged)
            assert "x_train" in refused(path)


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ({6: b"\1\0", 8: b"\1\0"}, "is encrypted, password required for extraction"),  # flags
        ({8: b"\x63\0", 10: b"\x63\0"}, "compression method is not supported"),
        ({18: b"\0\0\0\1", 24: b"\xff\xff\xff\1"}, "is said to have the shape [40, 6, 6, 3] and has 33"),
    ],
    ids=["encrypted", "another compression", "another size"],
)
def test_what_an_archive_says_of_an_array_is_not_believed(path, patches, message):
    """The places are within the headers of a member: the first before its content, the second in the directory."""
    content = bytearray(write(path).read_bytes())
    for (place, patch), start in zip(
        patches.items(), (content.index(b"PK\3\4"), content.index(b"PK\1\2")), strict=True
    ):
        content[start + place : start + place + len(patch)] = patch
    path.write_bytes(content)
    sentence = refused(path)
    assert sentence.startswith("FILE: x_train is damaged and cannot be read (")
    assert message in sentence
    assert sentence.endswith("); make it again with np.savez.")


def header(shape, descr="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(10**12, 6, 6, 3), (40, 6, 6, 4), (-40, 6, -6, 3), (39, 6, 6, 3), (2**64, 6, 0, 3)])
def test_an_array_has_to_be_as_large_as_it_says(path, shape):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header(shape) + IMAGES.tobytes())
        archive.writestr("y_train.npy", header((40,)) + LABELS.astype(np.uint8).tobytes())
    assert refused(path).startswith(
        f"FILE: x_train is damaged and cannot be read (it is said to have the shape {list(shape)} and has 4,320 bytes)"
    )


# Memory


@pytest.mark.parametrize(
    ("images", "needed"),
    [
        (IMAGES, 40 * 108 + 40),
        (GREY, 40 * 36 + 40 * 108 + 40),  # as they are, and as RGB
        (GREY[..., None], 40 * 36 + 40 * 108 + 40),
    ],
    ids=["RGB", "[n, S, S]", "[n, S, S, 1]"],
)
def test_more_than_fits_into_memory_is_refused_unread(path, monkeypatch, images, needed):
    write(path, x_train=images, y_train=LABELS.astype(np.uint8))
    monkeypatch.setattr(npz, "dataset_memory_limit_bytes", lambda: needed)
    read_npz(path)
    for room, most in ((needed - 1, needed), (needed, needed - 1), (None, needed - 1)):
        with monkeypatch.context() as patched:
            patched.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("read"))
            patched.setattr(npz, "dataset_memory_limit_bytes", lambda room=room: room)
            patched.setattr(npz, "MAX_BYTES", most)
            assert refused(path) == (
                "FILE would take 0.0 GB of memory; at most 0.0 GB are read; a folder of image files, which is read "
                "part by part, would be right."
            )


def test_every_given_split_counts(path, monkeypatch):
    write(path, x_val=IMAGES, y_val=LABELS, x_test=IMAGES, y_test=LABELS)
    needed = 3 * 40 * (108 + 8)
    monkeypatch.setattr(npz, "dataset_memory_limit_bytes", lambda: needed)
    read_npz(path)
    monkeypatch.setattr(npz, "dataset_memory_limit_bytes", lambda: needed - 1)
    assert "would take" in refused(path)


def test_memory_that_runs_out_all_the_same_is_no_damage(path, monkeypatch):
    def read_array(*_, **__):
        raise MemoryError("Unable to allocate 4 GiB")

    write(path)
    monkeypatch.setattr(np.lib.format, "read_array", read_array)
    assert refused(path) == "FILE: y_train does not fit into memory (Unable to allocate 4 GiB)."
