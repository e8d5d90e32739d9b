"""The sets of docs/own-images.md: what a reader trains on is what the table there says."""

import numpy as np
import pytest
from PIL import Image

from smallvit.data import Dataset, Source, Split, load_dataset
from studies import write_data_sets

NAMES = ["apple", "bicycle", "cattle", "orange", "pear", "rocket", "sea"]


@pytest.fixture(scope="module")
def cifar100():
    """Smooth images that no two look alike, of the classes that the sets are drawn from."""
    rng = np.random.default_rng(3)

    def split(count):
        small = map(Image.fromarray, rng.integers(0, 256, (count * len(NAMES), 6, 6, 3), np.uint8))
        images = np.stack([image.resize((32, 32), Image.Resampling.BICUBIC) for image in small])
        return Split(images, np.tile(np.arange(len(NAMES), dtype=np.int32), count))

    return Dataset("CIFAR-100", split(200), split(100), NAMES, (0.5,) * 3, (0.25,) * 3)


def count(folder):
    return {part.name: len(list(part.iterdir())) for part in folder.iterdir()}


def test_four_sources_of_the_same_images_give_the_same_splits(cifar100, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data_sets.write_five(tmp_path / "five", cifar100)
    assert count(tmp_path / "five-new") == dict.fromkeys(write_data_sets.FIVE, 100)
    digests = set()
    for source in ("five", "five.zip", "five.csv", "five.npz"):
        dataset = load_dataset(Source(source))
        assert (dataset.class_names, len(dataset.train.labels)) == (sorted(write_data_sets.FIVE), 800)
        digests.add((dataset.train.sha256(), dataset.test.sha256()))
    assert len(digests) == 1


def test_the_copies_are_found_and_so_are_the_wrong_labels(cifar100, tmp_path):
    write_data_sets.write_copies(tmp_path / "copies", cifar100)
    findings = load_dataset(Source(str(tmp_path / "copies"))).findings
    counts = findings.counts()
    assert (counts["equal"], counts["contradicting"], counts["equal_in_two_splits"]) == (25, 5, 0)
    again = {place.image for pair in findings.similar for place in pair if "again" in place.image}
    assert len(again) == 10


def test_the_views_of_a_photo_are_a_group(cifar100, tmp_path, caplog):
    caplog.set_level("INFO")
    write_data_sets.write_views(tmp_path / "views", cifar100)
    dataset = load_dataset(Source(str(tmp_path / "views"), group_by=r"(photo\d+)_"))
    assert "--group-by: 200 groups" in caplog.text
    assert [len(split.labels) for split in (dataset.train, dataset.test)] == [800, 200]
    photos = [{name.split("_")[0] for name in split.names} for split in (dataset.train, dataset.test)]
    assert not photos[0] & photos[1]


def test_the_fruit_are_unequal(cifar100, tmp_path):
    write_data_sets.write_fruit(tmp_path / "fruit", cifar100)
    assert count(tmp_path / "fruit") == write_data_sets.FRUIT
    assert count(tmp_path / "fruit-new") == dict.fromkeys(write_data_sets.FRUIT, 100)


def test_scans_have_12_bits_and_new_ones_are_apart(tmp_path):
    pytest.importorskip("sklearn")
    assert write_data_sets.main(["scans", str(tmp_path / "scans")]) == 0
    assert load_dataset(Source(str(tmp_path / "scans"))).value_range == (0, 4095)
    assert sum(count(tmp_path / "scans").values()) == 1597
    assert sum(count(tmp_path / "scans-new").values()) == 200


def test_faces_and_background_are_written(tmp_path):
    pytest.importorskip("skimage")
    assert write_data_sets.main(["faces", str(tmp_path / "faces")]) == 0
    assert count(tmp_path / "faces") == {"face": 90, "background": 90}
    assert count(tmp_path / "faces-new") == {"face": 10, "background": 10}
