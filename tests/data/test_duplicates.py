"""Equal and similar images: found, kept in one split, and told of."""

import io

import numpy as np
import pytest
from PIL import Image

from smallvit.data import Source, Split, hold_out, load_dataset
from smallvit.data.duplicates import equal_image_ids, find_similar_images
from smallvit.data.findings import find_duplicates
from smallvit.data.hold_out import divide
from smallvit.errors import UserError
from tests import tiny
from tests.image_corpus import save


def split(*values, labels=None):
    """Images of 2 x 2, each of one value all over."""
    images = np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    return Split(images, np.zeros(len(values), np.int32) if labels is None else np.array(labels, np.int32))


def blobs(count, side, rng):
    """Images that look different from each other: uint8 [n, S, S, 3]."""
    small = rng.integers(0, 256, (count, 6, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small])


def as_jpeg(image, quality):
    return np.asarray(Image.open(io.BytesIO(save(image, "JPEG", quality=quality))))


def test_equal_pixels_are_one_number_and_one_pixel_makes_another_image():
    first, second = split(5, 1, 5), split(1, 2, 2, 5)
    second.images[2, 1, 1, 2] += 1
    found = equal_image_ids([first, split(), second])
    assert [part.tolist() for part in found] == [[0, 1, 0], [], [1, 2, 3, 0]]


def test_copies_and_contradicting_labels_are_named_with_their_splits():
    training, test = split(5, 1, 5, 7, 9, labels=[0, 1, 0, 1, 0]), split(8, 7, 1, labels=[0, 0, 1])
    found = find_duplicates({"training": training, "test": test}, ["ant", "bee"])
    assert [[(place.split, place.number) for place in group] for group in found.equal] == [
        [("training", 0), ("training", 2)],  # 5
        [("training", 1), ("test", 2)],  # 1
        [("training", 3), ("test", 1)],  # 7, a bee in training and an ant in test
    ]
    counts = {"equal": 3, "contradicting": 1, "equal_in_two_splits": 2}  # without features, nothing is similar
    assert found.counts() == counts | {"similar": 0, "similar_in_two_splits": 0, "divided_groups": 0}
    assert found.has_leak
    assert found.sentences() == [
        "3 images are equal to another one, pixel by pixel.",
        "2 images have copies in more than one split, such as image 1 (training) and image 2 (test). The measured "
        "accuracy may be too high.",
        "1 image has copies of another class: image 3 (bee) and image 1 (ant). Correct the labels: no model can be "
        "right on both.",
    ]
    nothing = find_duplicates({"training": split(1, 2), "test": split(3)}, ["ant"])
    assert (nothing.has_leak, nothing.sentences()) == (False, ["No two images are equal or look nearly the same."])


def test_photos_saved_again_are_similar_and_others_are_not(rng, tmp_path):
    images = blobs(300, 36, rng)
    darker = (images[40:60] * 0.9).astype(np.uint8)
    copies = np.concatenate([np.stack([as_jpeg(image, 80) for image in images[:40]]), darker])
    parts = [Split(images, np.zeros(300, np.int32)), Split(copies, np.zeros(60, np.int32))]
    found = find_similar_images(parts, np.arange(360))
    assert set(found) <= {(index, 300 + index) for index in range(60)}
    assert len(found) >= 57
    findings = find_duplicates({"training": parts[0], "test": parts[1]}, ["ant"])
    assert len(findings.similar_in_two_splits) == len(found)
    said, advice = findings.sentences()
    assert f"{len(found)} pairs of images look nearly the same, {len(found)} of them in two splits, such as" in said
    assert "--group-by keeps" in advice
    within = find_duplicates({"training": Split(np.stack([images[0], copies[0]]), np.zeros(2, np.int32))}, ["ant"])
    assert "1 pair of images looks nearly the same, in one split: image 0 (training) and" in within.sentences()[0]
    findings.write_csv(tmp_path / "all.csv")
    rows = (tmp_path / "all.csv").read_text().splitlines()
    assert rows[:3] == ["kind,number,split,image,class", "similar,1,training,image 0,ant", "similar,1,test,image 0,ant"]
    assert len(rows) == 1 + 2 * len(found)


def test_a_group_is_never_divided_and_classes_keep_their_shares(rng):
    groups = rng.integers(0, 120, 1000)
    labels = rng.choice(3, 1000, p=[0.7, 0.2, 0.1])
    for seed in (0, 1):
        kept, held_out = hold_out(labels, 0.2, "stratified", seed, groups)
        assert not set(groups[kept]) & set(groups[held_out])
        assert sorted([*kept, *held_out]) == list(range(1000))
        shares = np.bincount(labels[held_out]) / np.bincount(labels)
        np.testing.assert_allclose(shares, 0.2, atol=0.03)
    # Without any group of two, the choice is the one that published results depend on.
    alone = hold_out(labels, 0.2, "stratified", 1, np.arange(1000))
    np.testing.assert_array_equal(alone[1], hold_out(labels, 0.2, "stratified", 1)[1])


def test_parts_are_dealt_by_hand_computed_shares():
    # Six ants one by one, and a group of two ants and two bees, dealt first: into the larger part.
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    groups = np.array([9, 9, 9, 9, 1, 2, 3, 4, 5, 6])
    parts = divide(labels, [0.75, 0.25], 0, groups)
    assert parts[:4].tolist() == [0, 0, 0, 0]
    assert np.bincount(parts[4:]).tolist() == [4, 2]  # 6 of 8 ants, and 2 of 8
    # A class with two groups is in both parts, although a tenth of three images is none.
    parts = divide(np.array([0, 0, 0]), [0.9, 0.1], 0, np.array([7, 7, 8]))
    assert parts.tolist() == [0, 0, 1]
    with pytest.raises(UserError, match=r"cannot be divided into 3 parts.* count as 2; add"):
        divide(np.array([0, 0, 0]), [1 / 3] * 3, 0, np.array([7, 7, 8]))


def test_copies_in_a_folder_stay_in_one_split(tmp_path):
    folder = tiny.write_images(tmp_path / "pets", {"ant": 40, "bee": 30})
    for number in range(12):
        (folder / "ant" / f"copy of {number}.png").write_bytes((folder / "ant" / f"{number}.png").read_bytes())
    dataset = load_dataset(Source(str(folder)))
    assert dataset.findings.counts()["equal"] == 12
    assert dataset.findings.in_two_splits == []
    assert "Equal images are always in the same split." in dataset.findings.sentences()
    kept, held_out = hold_out(dataset.train.labels, 0.3, "stratified", 5, dataset.train.group_ids)
    pixels = [{image.tobytes() for image in dataset.train.images[part]} for part in (kept, held_out)]
    assert not pixels[0] & pixels[1]


def test_similar_images_in_two_folds_are_a_leak(rng, tmp_path):
    for number, image in enumerate(blobs(40, 36, rng)):
        folder = tmp_path / ("ant" if number % 2 else "bee")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
        Image.fromarray(image).save(folder / f"{number} again.jpg", quality=90)
    findings = load_dataset(Source(str(tmp_path), folds=5)).findings
    assert len(findings.similar) > len(findings.similar_in_two_splits) > 20
    assert {place.split for pair in findings.similar for place in pair} == {f"fold {fold}" for fold in range(1, 6)}
