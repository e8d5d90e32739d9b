"""`--group-by` and `--folds`: which images stay together, and which image tests which model."""

import numpy as np
import pytest

from smallvit.data import Source, load_dataset
from smallvit.data.groups import merge_groups
from smallvit.errors import UserError
from tests import tiny


@pytest.fixture
def folder(tmp_path):
    """Images 0.png to 29.png of two classes, ten patients with three images of each class."""
    folder = tiny.write_images(tmp_path / "scans", {"ant": 30, "bee": 30})
    for file in list(folder.rglob("*.png")):
        file.rename(file.with_name(f"patient{int(file.stem) % 10}_{file.name}"))
    return folder


def patients(split):
    return {file.split("/")[1].split("_")[0] for file in split.names}


def test_names_that_are_linked_are_one_group():
    assert merge_groups(["a", "b", "a", "c"]).tolist() == [0, 1, 0, 3]
    # 0 and 2 by the first naming, 2 and 3 by the second; 1 is alone.
    linked = merge_groups(["a", "b", "a", "c"], [7, 8, 9, 9])
    assert len(set(linked[[0, 2, 3]])) == 1
    assert linked[1] != linked[0]


def test_a_patient_is_in_one_split(folder):
    dataset = load_dataset(Source(str(folder), group_by=r"(patient\d+)_"))
    assert patients(dataset.train) & patients(dataset.test) == set()
    assert (len(patients(dataset.test)), len(dataset.test.labels)) == (2, 12)
    assert dataset.findings.divided_groups == ()


def test_patients_that_the_data_has_in_two_splits_are_told_of(tmp_path):
    for split, count in (("train", 18), ("test", 6)):
        tiny.write_images(tmp_path / "given" / split, {"ant": count, "bee": count}, seed=count)
    findings = load_dataset(Source(str(tmp_path / "given"), group_by=r"/(\d+)\.png")).findings
    assert findings.has_leak
    assert findings.sentences()[-1].startswith(
        "6 groups of --group-by have images in more than one split: 0, 1, 2 and 3 more."
    )


def test_each_image_is_tested_once_and_no_patient_tests_what_it_trained(folder):
    dataset = load_dataset(Source(str(folder), group_by=r"(patient\d+)_", folds=5))
    assert (dataset.num_folds, dataset.num_train_and_validation, len(dataset.test.labels)) == (5, 48, 0)
    tested = []
    for fold in range(5):
        of_fold = dataset.of_fold(fold)
        assert patients(of_fold.train) & patients(of_fold.test) == set()
        assert np.bincount(of_fold.test.labels).tolist() == [6, 6]
        tested += of_fold.test.names.tolist()
    assert sorted(tested) == sorted(dataset.train.names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "("}, r"--group-by \( is no regular expression"),
        ({"group_by": "patient"}, "--group-by patient has 0 pairs of parentheses; it needs one"),
        ({"group_by": "patient([2-9])_"}, r"finds no group in ant/patient0_0\.png and 11 more"),
        ({"folds": 1}, "--folds is 1; it must be from 2 to 20"),
        ({"folds": 2, "group_by": "(ant|bee)"}, "--folds 2: all images of the class ant are equal or in one group"),
    ],
)
def test_what_cannot_be_is_a_sentence(folder, options, message):
    with pytest.raises(UserError, match=message):
        load_dataset(Source(str(folder), **options))


def test_folds_are_for_data_without_a_test_split(tmp_path):
    for split in ("train", "test"):
        tiny.write_images(tmp_path / split, {"ant": 18, "bee": 18}, seed=len(split))
    with pytest.raises(UserError, match=r"--folds draws the test images itself, but .* has test images"):
        load_dataset(Source(str(tmp_path), folds=3))
    with pytest.raises(UserError, match=r"--folds is for your own images; CIFAR-100 has"):
        load_dataset(Source(folds=3))
