"""Reading CIFAR-100 from disk, in every state it may be in, and choosing images, also of those that stay on disk."""

import json
import pickle

import numpy as np
import pytest

from smallvit.data import Split, cifar100, hold_out, load_cifar100
from smallvit.data.dataset import Rows, pixel_statistics
from smallvit.data.superclasses import SUPERCLASSES, by_superclass
from smallvit.errors import UserError
from tests import tiny
from tests.server import ROOT


class Evil:
    """Unpickled by `pickle.load`, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def same(left, right):
    for a, b in ((left.train, right.train), (left.test, right.test)):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert left.class_names == right.class_names


def test_a_release_becomes_images_labels_and_names(tmp_path):
    contents = tiny.release_contents(num_train=21, num_test=14)
    dataset = load_cifar100(tiny.write_release(tmp_path, contents))
    assert dataset.train.images.shape == (21, 32, 32, 3)
    assert dataset.test.images.shape == (14, 32, 32, 3)
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.tolist() == contents["train"][b"fine_labels"]
    assert dataset.class_names == tiny.CLASS_NAMES
    # The release stores 1024 reds, 1024 greens, 1024 blues, row by row.
    row = contents["train"][b"data"][5]
    for channel, y, x in ((0, 0, 0), (1, 3, 30), (2, 31, 7)):
        assert dataset.train.images[5, y, x, channel] == row[1024 * channel + 32 * y + x]


def test_the_folder_its_parent_and_the_tarball_are_the_same(tmp_path):
    expected = load_cifar100(tiny.write_release(tmp_path))
    same(load_cifar100(tmp_path), expected)
    same(load_cifar100(str(tiny.write_tarball(tmp_path))), expected)


def test_arrays_pickled_by_numpy_1_are_read(tmp_path):
    folder = tiny.write_release(tmp_path)
    expected = load_cifar100(folder)
    for name in ("train", "test"):
        content = (folder / name).read_bytes()
        assert b"numpy._core.multiarray" in content
        (folder / name).write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    same(load_cifar100(folder), expected)


def test_a_pickle_that_asks_for_code_is_refused_and_not_run(tmp_path):
    folder = tiny.write_release(tmp_path)
    (folder / "meta").write_bytes(pickle.dumps(Evil(tmp_path / "written")))
    with pytest.raises(UserError, match=r"meta is damaged or is no file of CIFAR-100 \(it asks for (io|_io)\.open\)"):
        load_cifar100(folder)
    assert not (tmp_path / "written").exists()


def test_a_malicious_tarball_is_refused_too(tmp_path):
    path = tiny.write_tarball(tmp_path, {**tiny.release_contents(), "test": Evil(tmp_path / "written")})
    with pytest.raises(UserError, match="it asks for"):
        load_cifar100(path)
    assert not (tmp_path / "written").exists()


def test_an_object_array_is_refused(tmp_path):
    """NumPy rebuilds object arrays from any pickled objects; theirs must be refused as well."""
    contents = tiny.release_contents()
    contents["train"][b"data"] = np.array([Evil(tmp_path / "written")], dtype=object)
    with pytest.raises(UserError, match="it asks for"):
        load_cifar100(tiny.write_release(tmp_path, contents))
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 5000])
def test_truncated_files_are_refused(tmp_path, keep):
    folder, tarball = tiny.write_release(tmp_path), tiny.write_tarball(tmp_path)
    for path in (folder / "train", tarball):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(UserError, match=f"{path.name}"):
            load_cifar100(folder if path.name == "train" else tarball)


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_missing_file_is_named(tmp_path, name):
    contents = tiny.release_contents()
    del contents[name]
    folder = tiny.write_release(tmp_path, contents)
    with pytest.raises(UserError, match=f"has no file {name}"):
        load_cifar100(folder)
    with pytest.raises(UserError, match=f"has no cifar-100-python/{name}"):
        load_cifar100(tiny.write_tarball(tmp_path, contents))


def test_one_wrong_bit_anywhere_in_the_tarball_is_refused(tmp_path):
    """The images would be others, or zlib would fail: the checksum tells at the latest."""
    path = tiny.write_tarball(tmp_path)
    content = path.read_bytes()
    for position in np.random.default_rng(5).integers(10, len(content) - 8, 40):  # between gzip's header and trailer
        damaged = bytearray(content)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cifar-100-python"):
            load_cifar100(path)


def test_a_name_that_the_system_refuses_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(File name too long\)"):
        load_cifar100(tmp_path / ("n" * 300))


def test_no_file_and_a_foreign_file(tmp_path):
    with pytest.raises(UserError, match=r"There is no .*nowhere; --data takes"):
        load_cifar100(tmp_path / "nowhere")
    foreign = tmp_path / "cat.jpg"
    foreign.write_bytes(b"\xff\xd8\xff not a tarball")
    with pytest.raises(UserError, match=r"cat\.jpg cannot be read to its end as a tarball"):
        load_cifar100(foreign)
    with pytest.raises(UserError, match="has no file train or test or meta"):
        load_cifar100(tmp_path)


def changed(part, **fields):
    contents = tiny.release_contents()
    for name, value in fields.items():
        contents[part][name.encode()] = value
    return contents


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (changed("train", data=np.zeros((60, 100), np.uint8)), r"data of the file train is uint8 \[60, 100\]"),
        (changed("test", data=np.zeros((30, 3072))), r"data of the file test is float64 \[30, 3072\]"),
        (changed("test", data=None), "data of the file test is NoneType"),
        (changed("train", fine_labels=[0, 1]), "the file train has 60 images and 2 fine_labels"),
        (changed("train", fine_labels=None), "the file train has 60 images and no fine_labels"),
        (changed("train", fine_labels=[7] * 60), "labels that are not integers from 0 to 6"),
        (changed("train", fine_labels=[-1] * 60), "labels that are not integers from 0 to 6"),
        (changed("train", fine_labels=[0.5] * 60), "labels that are not integers from 0 to 6"),
        (changed("train", fine_labels=[[1, 2]] * 60), "labels that are not integers from 0 to 6"),
        (
            changed("train", fine_labels=[], data=np.zeros((0, 3072), np.uint8)),
            "the file train has no images",
        ),
        (changed("meta", fine_label_names=None), "has no list fine_label_names"),
        (changed("meta", fine_label_names=[]), "has no list fine_label_names"),
        ({**tiny.release_contents(), "train": [1, 2]}, "train holds a list; a file of CIFAR-100 holds a dict"),
    ],
)
def test_foreign_contents_are_named(tmp_path, contents, message):
    with pytest.raises(UserError, match=message):
        load_cifar100(tiny.write_release(tmp_path, contents))


def test_without_a_network_the_sentence_names_data(tmp_path, monkeypatch):
    import keras

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cifar100, "CIFAR100_URL", "http://127.0.0.1:9/cifar-100-python.tar.gz")  # nobody listens there
    monkeypatch.setattr(keras.utils, "get_file", _with_cache(keras.utils.get_file, tmp_path))
    with pytest.raises(UserError, match=r"(?s)CIFAR-100 could not be downloaded.*--data"):
        load_cifar100()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_keras_downloads_what_is_not_there(tmp_path, monkeypatch):
    import keras

    served = tiny.write_tarball(tmp_path)
    monkeypatch.setattr(cifar100, "CIFAR100_URL", served.as_uri())
    monkeypatch.setattr(cifar100, "CIFAR100_SHA256", keras.src.utils.file_utils.hash_file(str(served)))
    monkeypatch.setattr(keras.utils, "get_file", _with_cache(keras.utils.get_file, tmp_path / "cache"))
    same(load_cifar100(), load_cifar100(served))
    assert (tmp_path / "cache/datasets/cifar-100-python.tar.gz").is_file()


def _with_cache(get_file, folder):
    folder.mkdir(exist_ok=True)  # Keras takes /tmp where the folder is not there
    return lambda **arguments: get_file(cache_dir=str(folder), **arguments)


@pytest.mark.parametrize("how", ["tail", "stratified"])
@pytest.mark.parametrize(("count", "share", "held_out"), [(50, 0.1, 5), (37, 0.3, 11), (10, 0.05, 0), (3, 0.9, 3)])
def test_sizes_of_the_split(how, count, share, held_out):
    labels = np.arange(count) % 4
    if 0 < held_out < count:
        training, validation = hold_out(labels, share, how, seed=0)
        assert len(validation) == held_out
        assert sorted([*training, *validation]) == list(range(count))
    else:
        with pytest.raises(UserError, match=f"A split of {share} leaves {count - held_out} of {count}"):
            hold_out(labels, share, how, seed=0)


def test_tail_is_the_last_images():
    training, validation = hold_out(np.zeros(20, int), 0.1, "tail", seed=5)
    assert validation.tolist() == [18, 19]
    assert training.tolist() == list(range(18))


def test_stratified_takes_the_same_share_of_each_class_by_seed():
    labels = np.repeat(np.arange(5), [40, 10, 20, 30, 100])
    chosen = [hold_out(labels, 0.1, "stratified", seed)[1] for seed in (1, 1, 2)]
    for validation in chosen:
        assert np.bincount(labels[validation]).tolist() == [4, 1, 2, 3, 10]
    assert chosen[0].tolist() == chosen[1].tolist() != chosen[2].tolist()


SIZES = [2, 3, 30, 50, 1]  # of five classes, 86 images


@pytest.mark.parametrize(
    ("share", "counts"),
    [
        # The first image of each class of several has rank 0, the i-th of n (i + 0.5) / n: so the 9 lowest are those
        # four, then 1.5 / 50, 1.5 / 30, 2.5 / 50, 3.5 / 50 and 2.5 / 30.
        (0.1, [[1, 1, 3, 4, 0]]),
        (0.5, [[1, 1, 15, 25, 1], [1, 2, 15, 25, 0]]),  # 42 are below 0.5 and two at it, of which one is drawn
        (0.02, [[1, 1, 1, 1, 0]]),  # 2 of 86 would leave out two classes
        (0.98, [[1, 2, 29, 49, 1]]),  # 84 of 86 would take two classes whole
    ],
)
def test_each_class_of_several_images_is_on_both_sides(share, counts):
    labels = np.random.default_rng(4).permutation(np.repeat(np.arange(5), SIZES))
    found = []
    for seed in range(12):
        kept, held_out = hold_out(labels, share, "stratified", seed)
        assert sorted([*kept, *held_out]) == list(range(86))
        found.append(np.bincount(labels[held_out], minlength=5).tolist())
    assert sorted(map(tuple, counts)) == sorted(set(map(tuple, found)))


def on_disk(images, path):
    images.tofile(path)
    return np.memmap(path, np.uint8, "r", shape=images.shape)


def test_rows_are_those_of_the_array(rng):
    array = rng.integers(0, 256, (9, 2, 3), np.uint8)
    rows = Rows(array, np.array([7, 2, 2, 0]))
    expected = np.stack([array[7], array[2], array[2], array[0]])
    assert (len(rows), rows.shape, rows.nbytes) == (4, (4, 2, 3), 24)
    np.testing.assert_array_equal(rows[0], array[7])
    np.testing.assert_array_equal(rows[-1], array[0])
    np.testing.assert_array_equal(rows[1:], expected[1:])
    np.testing.assert_array_equal(rows[np.array([3, 0])], expected[[3, 0]])
    np.testing.assert_array_equal(np.stack(list(rows)), expected)
    np.testing.assert_array_equal(np.asarray(rows), expected)
    assert np.asarray(rows, np.float32).dtype == np.float32
    np.testing.assert_array_equal(rows.take(np.array([3, 1])), expected[[3, 1]])
    np.testing.assert_array_equal(rows.take(slice(1, 3)).take(slice(1, None)), expected[2:3])
    assert Rows(array[:0], np.array([], int)).nbytes == 0
    with pytest.raises(IndexError):
        rows[4]


def test_taking_images_on_disk_reads_none_of_them(tmp_path, rng, monkeypatch):
    images = rng.integers(0, 256, (20, 4, 4, 3), np.uint8)
    files = np.array([f"{number}.png" for number in range(20)], object)
    split = Split(on_disk(images, tmp_path / "images"), np.arange(20, dtype=np.int32), files)
    reads = []
    get = np.memmap.__getitem__

    def watched(self, rows):
        if not isinstance(rows, slice):  # which gives a map, and reads nothing
            reads.append(rows)
        return get(self, rows)

    monkeypatch.setattr(np.memmap, "__getitem__", watched)
    chosen = np.array([17, 3, 3, 11, 0])
    once = split.take(chosen)
    twice = once.take(np.array([4, 0, 2]))
    part = split.take(slice(5, 15)).take(slice(2, 4))
    assert reads == []
    for taken, indices in ((once, chosen), (twice, [0, 17, 3]), (part, [7, 8])):
        assert taken.is_on_disk
        assert taken.images.shape == (len(indices), 4, 4, 3)
        assert taken.images.nbytes == len(indices) * 48
        np.testing.assert_array_equal(taken.images, images[indices])
        assert taken.labels.tolist() == list(indices)
        assert taken.files.tolist() == [f"{number}.png" for number in indices]
    assert [len(rows) for rows in reads] == [5, 3, 2]  # only those that were asked for


def test_images_that_were_read_are_in_memory(tmp_path, rng):
    images = rng.integers(0, 256, (6, 2, 2, 3), np.uint8)
    split = Split(on_disk(images, tmp_path / "images"), np.arange(6, dtype=np.int32))
    for taken, indices in ((split, [0, 1, 2, 3, 4, 5]), (split.take(np.array([5, 1])), [5, 1])):
        read = taken.read()
        assert taken.is_on_disk
        assert not read.is_on_disk
        assert type(read.images) is np.ndarray
        np.testing.assert_array_equal(read.images, images[indices])
        assert read.labels.tolist() == indices
        assert read.read() is read
        assert not read.take(slice(1)).is_on_disk


def test_statistics_of_images_on_disk_are_those_in_memory(tmp_path, rng):
    images = rng.integers(0, 256, (30, 4, 4, 3), np.uint8)
    rows = Rows(on_disk(images, tmp_path / "images"), np.arange(0, 30, 2))
    mean, std = pixel_statistics(rows)
    np.testing.assert_allclose(mean, (images[::2] / 255).mean(axis=(0, 1, 2)), atol=6e-5)
    np.testing.assert_allclose(std, (images[::2] / 255).std(axis=(0, 1, 2)), atol=6e-5)


def test_take_keeps_images_and_labels_together(tmp_path):
    split = load_cifar100(tiny.write_release(tmp_path)).train
    taken = split.take(np.array([7, 2]))
    np.testing.assert_array_equal(taken.images, split.images[[7, 2]])
    np.testing.assert_array_equal(taken.labels, split.labels[[7, 2]])


def test_the_superclasses_hold_each_class_of_cifar100_once():
    record = json.loads((ROOT / "assets/models/laptop-vit/smallvit.json").read_text())
    assert len(SUPERCLASSES) == 20
    assert list(SUPERCLASSES) == sorted(SUPERCLASSES)
    assert {len(names) for names in SUPERCLASSES.values()} == {5}
    assert sorted(name for names in SUPERCLASSES.values() for name in names) == record["class_names"]
    for name, superclass in {
        "lawn_mower": "vehicles_2",
        "mushroom": "fruit_and_vegetables",
        "ray": "fish",
        "seal": "aquatic_mammals",
        "skunk": "medium_mammals",
        "spider": "non-insect_invertebrates",
        "train": "vehicles_1",
    }.items():
        assert name in SUPERCLASSES[superclass]


def test_only_the_classes_of_cifar100_are_grouped_by_superclass():
    names = [name for group in SUPERCLASSES.values() for name in group]
    assert by_superclass(names[::-1])["people"] == ["baby", "boy", "girl", "man", "woman"]
    assert list(by_superclass(names)) == list(SUPERCLASSES)
    for others in (tiny.CLASS_NAMES, names[1:], [*names, "apple"], ["apple", *names[1:]], [*names[1:], "unicorn"]):
        assert by_superclass(others) is None
