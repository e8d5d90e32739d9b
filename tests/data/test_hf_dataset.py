"""Data sets of the Hub through the real client, which talks to a stand-in of the Hub."""

import io
import json
import os
import subprocess
import sys

import datasets
import numpy as np
import pytest

from smallvit.data import Source, hf_dataset, load_dataset
from smallvit.data.labelled import load_labelled
from smallvit.errors import UserError
from tests.hub_server import hub_server
from tests.image_corpus import save
from tests.server import ROOT

COUNT = 40
LABELS = [number % 2 for number in range(COUNT)]
NAMES = datasets.ClassLabel(names=["night", "day"])  # dark images and bright ones

LOAD = """
import json, sys
from smallvit.data import Source, load_dataset
from smallvit.errors import UserError
for line in sys.stdin:
    try:
        dataset = load_dataset(Source(**json.loads(line)))
        brightness = [float(dataset.test.images[dataset.test.labels == label].mean()) for label in (0, 1)]
        found = {"classes": dataset.class_names, "train": len(dataset.train.labels), "brightness": brightness}
    except UserError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
"""


def images(dark=40, bright=200):
    """A content for each of `LABELS`."""
    rng = np.random.default_rng(1)
    levels = [(dark, bright)[label] for label in LABELS]
    pixels = [rng.integers(level - 9, level + 9, (20, 20, 3)).astype(np.uint8) for level in levels]
    return [{"bytes": save(image, "PNG"), "path": None} for image in pixels]


def parquet(**columns):
    """A Parquet file of {name: (feature, values)}."""
    features = datasets.Features({name: feature for name, (feature, _) in columns.items()})
    file = io.BytesIO()
    datasets.Dataset.from_dict({name: values for name, (_, values) in columns.items()}, features).to_parquet(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def hub():
    image, text = (datasets.Image(), images()), datasets.Value("string")
    plain = parquet(image=image, label=(NAMES, LABELS))
    swapped = parquet(image=image, label=(NAMES, [1 - label for label in LABELS]))
    mask, weather = (datasets.Image(), images(120, 130)), (text, ["sun"] * COUNT)
    of = {
        "several": parquet(mask=mask, photo=image, weather=weather, daytime=(NAMES, LABELS)),
        "tags": parquet(image=image, tags=(datasets.List(text), [["moon", "star"]] * COUNT)),
        "numbers": parquet(image=image, label=(datasets.Value("int64"), [(2, 10)[label] for label in LABELS])),
    }
    configurations = [f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("plain", "other")]
    card = f"---\nconfigs:\n{''.join(configurations)}---\n"
    with hub_server() as hub:
        for name, content in of.items():
            hub.put_files(f"datasets/ada/{name}", {"data/train.parquet": content})
        hub.first = hub.put_files("datasets/ada/sky", {"data/train-00000-of-00001.parquet": plain})
        hub.put_files("datasets/ada/sky", {"data/train.parquet": swapped})
        hub.put_files("datasets/ada/private", {"data/train.parquet": plain}, private=True)
        files = {"README.md": card.encode(), "plain/a.parquet": plain, "other/a.parquet": swapped}
        hub.put_files("datasets/ada/two", files)
        yield hub


def load(hub, home, *sources, token=None):
    """What a process of its own finds in each source."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        input="\n".join(json.dumps(source) for source in sources),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **hub.environment(home, token), "HF_DATASETS_CACHE": str(home / "datasets")},
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_data_sets_of_the_hub_are_read_and_refused_through_its_client(hub, tmp_path):
    sources = {
        "latest": {"path": "ada/sky"},
        "revision": {"path": f"ada/sky@{hub.first}"},
        "no such revision": {"path": "ada/sky@v7"},
        "columns": {"path": "ada/several", "image_column": "photo", "label_column": "daytime"},
        "which column": {"path": "ada/several"},
        "numbers": {"path": "ada/numbers"},
        "configuration": {"path": "ada/two:plain"},
        "which configuration": {"path": "ada/two"},
        "tags": {"path": "ada/tags"},
        "private": {"path": "ada/private"},
        "none": {"path": "ada/none"},
    }
    found = dict(zip(sources, load(hub, tmp_path, *sources.values()), strict=True))
    bright = pytest.approx([40, 200], abs=3)
    for name in ("revision", "columns", "configuration"):
        assert found[name] == {"classes": ["night", "day"], "train": 32, "brightness": bright}, name
    assert found["latest"]["brightness"] == pytest.approx([200, 40], abs=3)
    assert found["numbers"] == {"classes": ["2", "10"], "train": 32, "brightness": bright}
    for name, sentence in {
        "no such revision": "Revision 'v7' doesn't exist for dataset 'ada/sky' on the Hub",
        "which column": "ada/several has the columns mask, photo, weather, daytime; name the one with the class with",
        "which configuration": "Please pick one among the available configs: ['plain', 'other']",
        "tags": "ada/tags: the column tags has several classes for each image, and a model here knows one",
        "private": "'ada/private' doesn't exist on the Hub or cannot be accessed; one that is private or gated needs",
        "none": "ada/none: there is no such file or folder here, and the Hub says: Dataset 'ada/none' doesn't exist",
    }.items():
        assert sentence in found[name]["error"], name
        assert found[name]["error"].isprintable()


def test_a_private_data_set_is_read_with_a_token(hub, tmp_path):
    (found,) = load(hub, tmp_path, {"path": "ada/private"}, token=hub.add_user("ada", role="read"))
    assert found == {"classes": ["night", "day"], "train": 32, "brightness": pytest.approx([40, 200], abs=3)}


def test_parquet_on_this_machine_has_its_splits_and_the_order_of_its_classes(tmp_path):
    (tmp_path / "ada/sky").mkdir(parents=True)
    for split, count in (("train", COUNT), ("test", 10)):
        content = parquet(image=(datasets.Image(), images()[:count]), label=(NAMES, LABELS[:count]))
        (tmp_path / f"ada/sky/{split}-00000-of-00001.parquet").write_bytes(content)
    source = Source(str(tmp_path / "ada/sky"))
    assert source.find_kind() == "hf_dataset"
    dataset = load_dataset(source)
    assert dataset.class_names == ["night", "day"]
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == (LABELS, LABELS[:10])
    test, _ = load_labelled(source, ["day", "night"])
    assert [round(test.images[test.labels == label].mean(), -1) for label in (0, 1)] == [200, 40]
    named = Source("ada/sky:small@v1.0")
    assert (named.find_kind(), named.name, named.folder_name) == ("hf_dataset", "ada/sky:small@v1.0", "sky_small@v1.0")


@pytest.mark.parametrize("feature", [NAMES, datasets.Value("string")])
def test_a_row_without_class_or_group_is_told(tmp_path, feature):
    path = tmp_path / "sky.parquet"
    of_row = [*LABELS[:-3], None, None, None]
    names = of_row if feature is NAMES else [None if label is None else NAMES.names[label] for label in of_row]
    path.write_bytes(parquet(image=(datasets.Image(), images()), label=(feature, names)))
    with pytest.raises(UserError, match="3 rows have no class in the column label; give each row its class"):
        load_dataset(Source(str(path)))
    who = (datasets.Value("string"), [None, *"ab" * 19, "c"])
    path.write_bytes(parquet(image=(datasets.Image(), images()), label=(NAMES, LABELS), who=who))
    with pytest.raises(UserError, match="1 row has no group in the column who"):
        load_dataset(Source(str(path), group_by="who"))


def test_a_test_split_without_classes_is_left_out_and_two_splits_of_one_meaning_are_refused(tmp_path):
    labelled = parquet(image=(datasets.Image(), images()), label=(NAMES, LABELS))
    (tmp_path / "train-00000.parquet").write_bytes(labelled)
    unknown = parquet(image=(datasets.Image(), images()[:10]), label=(NAMES, [-1] * 10))
    (tmp_path / "test-00000.parquet").write_bytes(unknown)
    dataset = load_dataset(Source(str(tmp_path)))
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (32, 8)  # drawn
    loaded = datasets.DatasetDict({name: datasets.Dataset.from_dict({"a": [1]}) for name in ("train", "val", "valid")})
    with pytest.raises(UserError, match="sky has the splits val and valid, which mean the same"):
        hf_dataset._splits(loaded, "sky")


def test_a_full_disk_is_a_sentence_that_names_the_cache(tmp_path, monkeypatch, almost_full):
    (tmp_path / "sky.parquet").write_bytes(parquet(image=(datasets.Image(), images()), label=(NAMES, LABELS)))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with almost_full(), pytest.raises(UserError, match=r"sky.parquet cannot be kept in \S+/cache .*; make room"):
        load_dataset(Source(str(tmp_path / "sky.parquet")))
    assert len(load_dataset(Source(str(tmp_path / "sky.parquet"))).train.labels) == 32
