"""Reading CIFAR-100 from disk and from the network, holding out images, and the superclasses."""

import hashlib
import json
import pickle
import subprocess
import sys
import tarfile
import urllib.request

import numpy as np
import pytest

from smallvit.data import cifar100, hold_out, load_cifar100
from smallvit.data.cifar100_superclasses import SUPERCLASSES, by_superclass
from smallvit.errors import UserError
from tests import tiny
from tests.server import ROOT


def same(left, right):
    """Images and labels; the binary release alone has class names of its own."""
    for a, b in ((left.train, right.train), (left.test, right.test)):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)


@pytest.fixture
def python_release(tmp_path, monkeypatch):
    """A small python release in a folder that holds it, the published one as far as its digests go."""
    contents = tiny.release_contents()
    files = {"meta": pickle.dumps({b"fine_label_names": contents["fine_label_names.txt"].split()})}
    for name in ("train", "test"):
        records = np.frombuffer(contents[f"{name}.bin"], np.uint8).reshape(-1, 3074)
        files[name] = pickle.dumps({b"data": records[:, 2:], b"fine_labels": records[:, 1].tolist()})
    folder = tmp_path / "python/cifar-100-python"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.md5(files[name]).hexdigest() for name in ("train", "test")}
    monkeypatch.setattr(cifar100, "_PYTHON_MD5", digests)
    return folder


@pytest.fixture
def tarball(python_release, monkeypatch):
    """The same release as a tarball."""
    path = python_release.parent.parent / "cifar-100-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(python_release, "cifar-100-python")
    monkeypatch.setattr(cifar100, "CIFAR100_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_looking_at_data_needs_no_keras():
    """And no `datasets`, which takes seconds to import and which only data sets of the Hub and Parquet files need."""
    code = "import sys, smallvit.data, smallvit.images; print({'keras', 'datasets', 'pyarrow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_release_becomes_images_labels_and_names(tmp_path):
    contents = tiny.release_contents(num_train=21, num_test=14)
    dataset = load_cifar100(tiny.write_release(tmp_path, contents))
    assert (dataset.train.images.shape, len(dataset.test.images)) == ((21, 32, 32, 3), 14)
    assert (dataset.train.images.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)
    assert dataset.class_names == tiny.CLASS_NAMES
    # A record has a coarse label, a fine label, then 1024 reds, 1024 greens and 1024 blues, row by row.
    assert dataset.train.labels.tolist() == list(contents["train.bin"][1::3074])
    record = contents["train.bin"][5 * 3074 :]
    for channel, y, x in ((0, 0, 0), (1, 3, 30), (2, 31, 7)):
        assert dataset.train.images[5, y, x, channel] == record[2 + 1024 * channel + 32 * y + x]


def test_the_folders_their_parents_and_the_tarball_are_the_same(tmp_path, python_release, tarball):
    expected = load_cifar100(tiny.write_release(tmp_path / "binary"))
    for path in (tmp_path / "binary", python_release, python_release.parent, str(tarball)):
        same(load_cifar100(path), expected)
    record = json.loads((ROOT / "assets/models/laptop-vit/smallvit.json").read_text())
    assert load_cifar100(python_release).class_names == record["class_names"]


def test_only_the_published_pickles_are_opened(python_release, tarball, evil):
    for path, file in ((python_release, python_release / "test"), (tarball, tarball)):
        file.write_bytes(pickle.dumps(evil))
        with pytest.raises(UserError) as caught:
            load_cifar100(path)
        assert f"{file} is not the published file of CIFAR-100: its" in str(caught.value)
        assert "cifar-100-binary.tar.gz, which has the same images without pickles" in str(caught.value)
    binary = load_cifar100(tiny.write_release(python_release.parent))
    same(load_cifar100(python_release.parent), binary)  # the binary release comes first


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train.bin", lambda content: content[:-1], "train.bin is damaged: it must have 3,074 bytes for each image"),
        ("test.bin", lambda content: b"\0\7" + content[2:], "labels below 7, the number of names in fine_label_names"),
        ("train.bin", None, "is not CIFAR-100; the binary release has the files train.bin, test.bin, fine_label_names"),
    ],
)
def test_a_damaged_release_is_a_sentence(tmp_path, name, change, message):
    contents = tiny.release_contents()
    content = contents.pop(name)
    folder = tiny.write_release(tmp_path, contents | ({name: change(content)} if change else {}))
    with pytest.raises(UserError, match=message):
        load_cifar100(folder)


def test_a_foreign_file(tmp_path):
    foreign = tmp_path / "cat.jpg"
    foreign.write_bytes(b"\xff\xd8\xff not a tarball")
    with pytest.raises(UserError, match=r"cat\.jpg is not the published file of CIFAR-100"):
        load_cifar100(foreign)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Keras has an empty cache, and its downloads go to a port where nobody listens."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    refused = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9"})
    # `urllib` reads the environment once in a process, so a variable would come too late.
    monkeypatch.setattr("urllib.request._opener", urllib.request.build_opener(refused))


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_sentence_names_data(tmp_path):
    with pytest.raises(UserError, match=r"CIFAR-100 could not be downloaded \(.*refused.*--data\.$") as caught:
        load_cifar100()
    assert str(caught.value).isprintable()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)], ids=["channels last", "channels first"])
def test_what_keras_downloads_is_the_same(python_release, monkeypatch, axes):
    expected = load_cifar100(python_release)
    found = [(split.images.transpose(axes), split.labels[:, None]) for split in (expected.train, expected.test)]
    monkeypatch.setattr("keras.datasets.cifar100.load_data", {"fine": tuple(found)}.get)
    downloaded = load_cifar100()
    same(downloaded, expected)
    assert downloaded.class_names == expected.class_names
    assert (downloaded.train.labels.dtype, downloaded.train.images.flags.c_contiguous) == (np.int32, True)


@pytest.mark.usefixtures("offline")
def test_keras_refuses_what_is_not_the_published_file(tmp_path, tarball):
    """Also in its cache, before any of it is unpickled."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/cifar-100-python-target_archive").write_bytes(tarball.read_bytes())
    with pytest.raises(UserError, match="CIFAR-100 could not be downloaded"):
        load_cifar100()


@pytest.mark.parametrize("method", ["tail", "stratified"])
@pytest.mark.parametrize(("count", "fraction", "held_out"), [(50, 0.1, 5), (37, 0.3, 11), (10, 0.05, 0), (3, 0.9, 3)])
def test_sizes_of_the_split(method, count, fraction, held_out):
    labels = np.arange(count) % 4
    if not 0 < held_out < count:
        with pytest.raises(
            UserError,
            match=f"A share of {fraction} of {count} images holds out {held_out} and leaves {count - held_out};",
        ):
            hold_out(labels, fraction, method, seed=0)
        return
    training, validation = hold_out(labels, fraction, method, seed=0)
    assert len(validation) == held_out
    assert sorted([*training, *validation]) == list(range(count))
    if method == "tail":  # the last images
        assert validation.tolist() == list(range(count - held_out, count))


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


def test_the_superclasses_hold_each_class_of_cifar100_once_and_group_no_others():
    record = json.loads((ROOT / "assets/models/laptop-vit/smallvit.json").read_text())
    assert [len(names) for names in SUPERCLASSES.values()] == [5] * 20
    names = [name for names in SUPERCLASSES.values() for name in names]
    assert sorted(names) == record["class_names"]
    assert by_superclass(names[::-1])["people"] == ["baby", "boy", "girl", "man", "woman"]
    for others in (names[1:], [*names, "apple"], ["apple", *names[1:]], [*names[1:], "unicorn"]):
        assert by_superclass(others) is None
