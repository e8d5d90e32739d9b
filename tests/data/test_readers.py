"""Archives, tables, Parquet files and data sets of the Hub become the same images as the folder they hold."""

import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from smallvit.data import Source, archive, load_dataset
from smallvit.errors import UserError
from tests import tiny

CLASSES = {"ant": 20, "bee": 14, "cow": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("data") / "pets", CLASSES)


@pytest.fixture(scope="module")
def expected(folder):
    return load_dataset(Source(str(folder)))


def assert_same(dataset, expected):
    assert dataset.class_names == expected.class_names
    for name in ("train", "test"):
        np.testing.assert_array_equal(getattr(dataset, name).labels, getattr(expected, name).labels)
        np.testing.assert_array_equal(getattr(dataset, name).images, getattr(expected, name).images)


def files(folder):
    return sorted(folder.rglob("*.png"))


def contents(folder, top=""):
    """The images of a folder as {path in an archive: content}."""
    return {f"{top}{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files(folder)}


def pack(path, contents):
    """Write an archive of {path: content}; return its path as text."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for name, content in contents.items():
                zipped.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if path.suffix.endswith("gz") else "w") as tar:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize(("kind", "top"), [("zip", "old/pets/"), ("tar", ""), ("tar.gz", "./pets/"), ("tgz", "./")])
def test_an_archive_is_the_folder_in_it(folder, expected, tmp_path, kind, top):
    packed = dict(reversed(contents(folder, top).items())) | {"__MACOSX/ant/._0.png": b"left behind"}
    source = Source(pack(tmp_path / f"pets.{kind}", packed))
    assert (source.find_kind(), source.name, source.folder_name) == ("archive", "pets", "pets")
    dataset = load_dataset(source)
    assert_same(dataset, expected)
    assert dataset.train.names.tolist() == expected.train.names.tolist()


def test_nothing_leaves_an_archive_and_no_link_is_followed(folder, tmp_path, caplog, monkeypatch):
    secret = tmp_path / "secret.png"
    secret.write_bytes(files(folder)[0].read_bytes())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    outside = dict.fromkeys(("../ant/out.png", "/ant/out.png", "ant/../../out.png", "..\\ant\\out.png"), b"out")
    pack(tmp_path / "a.tar", contents(folder) | outside)
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)):
            link = tarfile.TarInfo(f"ant/link {number}.png")
            link.type, link.linkname = kind, str(secret)
            tar.addfile(link)
    pack(tmp_path / "a.zip", contents(folder) | outside)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as zipped:
        info = zipfile.ZipInfo("ant/link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(info, str(secret))
    for name, ignored in (("a.tar", 7), ("a.zip", 5)):
        caplog.clear()
        dataset = load_dataset(Source(str(tmp_path / name)))
        assert len(dataset.train.labels) + len(dataset.test.labels) == 40
        assert f"ignored {ignored} links and files that would lie outside of it" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.zip", "secret.png", "temporary"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_names_as_powershell_and_people_write_them(folder, expected, tmp_path):
    named = {name.replace("/", "\\").replace(".", ".."): content for name, content in contents(folder, "pets/").items()}
    assert_same(load_dataset(Source(pack(tmp_path / "pets.zip", named))), expected)


def test_names_in_a_zip_are_utf_8_with_or_without_its_flag(folder, tmp_path, monkeypatch):
    korean = {"ant": "개미", "bee": "꿀벌", "cow": "소"}
    named = {f"{korean[name[:3]]}{name[3:]}": content for name, content in contents(folder).items()}

    def pack_in(encoding):
        """As programs do that write names in an encoding of their own, without a flag."""
        with monkeypatch.context() as patched:
            patched.setattr(zipfile.ZipInfo, "_encodeFilenameFlags", lambda info: (info.filename.encode(encoding), 0))
            return pack(tmp_path / f"{encoding}.zip", named)

    assert load_dataset(Source(pack_in("utf-8"))).class_names == ["개미", "꿀벌", "소"]
    with pytest.raises(UserError, match=r"cp949\.zip has names that are not encoded in UTF-8; unpack it and name"):
        load_dataset(Source(pack_in("cp949")))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_unpacked_only_if_it_has_changed(folder, tmp_path, kind, monkeypatch):
    packed = contents(folder, "train/")
    packed["test/bee/one.png"] = packed["train/bee/0.png"]
    path = pack(tmp_path / f"pets.{kind}", packed)
    first = load_dataset(Source(path))
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryDirectory", lambda *_, **__: pytest.fail("unpacked"))
        again = load_dataset(Source(path))
        assert_same(again, first)
        assert again.train.names.tolist() == first.train.names.tolist()
        assert again.test.names.tolist() == ["test/bee/one.png"]
    pack(tmp_path / f"pets.{kind}", packed | {"train/cow/new.png": packed["test/bee/one.png"]})
    assert len(load_dataset(Source(path)).train.labels) == 41


def test_a_full_disk_for_an_archive_is_a_sentence(folder, tmp_path, almost_full):
    for kind in ("zip", "tar.gz"):
        path = pack(tmp_path / f"a.{kind}", contents(folder))
        with almost_full(), pytest.raises(UserError, match=r"a\.\S+, unpacked in /\S+, could not be .* set TMPDIR to"):
            load_dataset(Source(path))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 10_000)
    monkeypatch.setattr(shutil, "copyfileobj", lambda *_: None)
    path = pack(tmp_path / f"bomb.{kind}", {f"ant/{number}.png": bytes(4000) for number in range(3)})
    with pytest.raises(UserError, match=r"bomb\.\S+ unpacks to more than 0 GB; unpack it and name the folder"):
        load_dataset(Source(path))


def test_what_is_wrong_with_an_archive_is_a_sentence(folder, tmp_path):
    damaged = tmp_path / "damaged.zip"
    pack(damaged, contents(folder))
    content = bytearray(damaged.read_bytes())
    content[content.index(b"ant/3.png") + 200] ^= 255
    damaged.write_bytes(content)
    whole = Path(pack(tmp_path / "whole.tar.gz", {"ant/0.png": files(folder)[0].read_bytes() * 20})).read_bytes()
    cut = {f"cut.{kind}": whole[:-200] for kind in ("tar.gz", "zip", "TGZ")}
    for name, content in {"none.tar.gz": b"nothing", "empty.zip": b"", **cut}.items():
        (tmp_path / name).write_bytes(content)
    for name in ("damaged.zip", "none.tar.gz", "empty.zip", *cut):
        with pytest.raises(UserError, match=rf"{name} is no zip or tar archive, or is damaged \(.+\)\.") as caught:
            load_dataset(Source(str(tmp_path / name)))
        assert str(caught.value).isprintable()
    with pytest.raises(UserError, match=r"There is no no\.zip; --data takes a folder of images, a zip"):
        load_dataset(Source("no.zip"))


def table(folder, **columns):
    """A table of the images of a folder; the images lie beside the table."""
    listed = files(folder)
    rows = {"image": [file.relative_to(folder).as_posix() for file in listed], "label": [f.parent.name for f in listed]}
    return pandas.DataFrame({**rows, **columns})


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_table_is_the_folder_it_names(folder, expected, suffix, tmp_path):
    path = shutil.copytree(folder, tmp_path / "pets") / f"list.{suffix}"
    rows = table(folder, age=range(40))
    separator = "\t" if suffix == "tsv" else ";"
    rows.to_parquet(path) if suffix == "parquet" else rows.to_csv(path, index=False, sep=separator)
    assert Source(str(path)).find_kind() == "table"
    assert_same(load_dataset(Source(str(path))), expected)


def test_columns_splits_groups_and_names_without_folder_or_suffix(folder, tmp_path):
    rows = table(folder, split=["train", "Validation", "TEST", "train"] * 10, patient=[f"p{i // 8}" for i in range(40)])
    (tmp_path / "images").mkdir()
    for index, file in enumerate(files(folder)):
        (tmp_path / f"images/scan {index}.png").write_bytes(file.read_bytes())
    rows["name of scan"] = [f"scan {index}" for index in range(40)]
    rows = rows.drop(columns="image").rename(columns={"label": "finding"})
    source = Source(str(tmp_path / "list.csv"), image_column="name of scan", label_column="finding", group_by="patient")
    rows.to_csv(source.path, index=False)
    dataset = load_dataset(source)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [20, 10, 10]
    assert dataset.findings.divided_groups == ("p0", "p1", "p2", "p3", "p4")
    rows.drop(columns="split").to_csv(source.path, index=False)
    dataset = load_dataset(source)
    patients = [{int(name.split()[1]) // 8 for name in split.names} for split in (dataset.train, dataset.test)]
    assert patients[0] & patients[1] == set()


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path):
    tiny.write_images(tmp_path / "images", {"ant": 20, "bee": 14})  # 0.png ... in both
    named = [f"{file.parent.name}/{file.stem}" for file in files(tmp_path / "images")]
    rows = pandas.DataFrame({"image": named, "label": [name[:3] for name in named]})
    rows.to_csv(tmp_path / "list.csv", index=False)
    dataset = load_dataset(Source(str(tmp_path / "list.csv")))
    paths = [*dataset.train.paths, *dataset.test.paths]
    assert len(set(paths)) == 34
    names = [*dataset.train.names, *dataset.test.names]
    assert all(f"images/{name}.png" in path for name, path in zip(names, paths, strict=True))
    rows.assign(image=[Path(name).name for name in named]).to_csv(tmp_path / "list.csv", index=False)
    message = r"list\.csv names 0, which may be images/ant/0\.png, images/bee/0\.png; name each image by its path"
    with pytest.raises(UserError, match=message):
        load_dataset(Source(str(tmp_path / "list.csv")))


def test_a_table_is_in_utf_8_or_utf_16(folder):
    rows, path = table(folder), folder / "encoded.csv"
    rows["label"] = rows["label"].map({"ant": "개미", "bee": "꿀벌", "cow": "소"})
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        rows.to_csv(path, index=False, encoding=encoding)
        assert load_dataset(Source(str(path))).class_names == ["개미", "꿀벌", "소"]
    rows.to_csv(path, index=False, encoding="cp949")
    with pytest.raises(UserError, match=r"encoded\.csv is not encoded in UTF-8; save it again in UTF-8 \(in Excel, as"):
        load_dataset(Source(str(path)))


def test_a_column_for_each_class_is_read_if_each_image_has_one(folder):
    rows = table(folder)
    for name in ("cow", "ant", "bee"):
        rows[name] = (rows["label"] == name).astype(float)
    rows = rows.drop(columns="label")
    path = folder / "indicators.csv"
    rows.to_csv(path, index=False)
    dataset = load_dataset(Source(str(path)))
    assert dataset.class_names == ["cow", "ant", "bee"]
    assert np.bincount([*dataset.train.labels, *dataset.test.labels]).tolist() == [6, 20, 14]
    rows.loc[4, "cow"] = 1.0
    rows.to_csv(path, index=False)
    with pytest.raises(UserError, match=r"row 5 has 2 classes; a model here knows one class for each image"):
        load_dataset(Source(str(path)))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"label": ["ant|bee", "bee"] * 20}, {}, r"the column label has several classes in one row \(ant\|bee\)"),
        ({"label": ["ant", ""] * 20}, {}, "20 rows have no class in the column label; give each row its class"),
        ({"label": ["ant", None] * 20}, {}, "20 rows have no class in the column label; give each row its class"),
        ({"who": ["a", None] * 20}, {"group_by": "who"}, "20 rows have no group in the column who; give each row its"),
        ({}, {"label_column": "species"}, "--label-column species: .* has no such column; it has image, label"),
        ({}, {"image_column": "photo"}, "--image-column photo: .* has no such column; it has image, label"),
        ({}, {"group_by": "patient"}, "--group-by patient: .* has no such column; it has image, label"),
        (
            {"image": [f"{i}.jpg" for i in range(40)]},
            {},
            r": 40 of its 40 images are not in its folder: 0\.jpg, 1",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_wrong_with_a_table_is_a_sentence(folder, columns, options, message, suffix):
    path, rows = folder / f"wrong.{suffix}", table(folder, **columns)
    rows.to_parquet(path) if suffix == "parquet" else rows.to_csv(path, index=False)
    with pytest.raises(UserError, match=message):
        load_dataset(Source(str(path), **options))


@pytest.mark.parametrize(
    ("kind", "table_at", "images_at"),
    [("zip", "", "images/"), ("tar.gz", "old/", "old/images/"), ("zip", "", "")],
)
def test_a_table_in_an_archive_names_its_images(folder, expected, tmp_path, kind, table_at, images_at):
    """Once by paths relative to the table, once by names alone, without suffix."""
    listed = files(folder)
    packed = {f"{images_at}{file.parent.name}{file.name}": file.read_bytes() for file in listed}
    packed["__MACOSX/._list.csv"] = b"left behind"
    for names in (
        [f"{images_at.removeprefix(table_at)}{file.parent.name}{file.name}" for file in listed],
        [f"{file.parent.name}{file.stem}" for file in listed],
    ):
        packed[f"{table_at}list.csv"] = table(folder, image=names).to_csv(index=False).encode()
        assert_same(load_dataset(Source(pack(tmp_path / f"pets.{kind}", packed))), expected)


def test_class_folders_in_an_archive_come_before_its_table_unless_a_column_is_named(folder, tmp_path):
    rows = table(folder, color=["red", "green"] * 20)
    path = pack(tmp_path / "pets.zip", contents(folder) | {"list.csv": rows.to_csv(index=False).encode()})
    assert load_dataset(Source(path)).class_names == ["ant", "bee", "cow"]
    dataset = load_dataset(Source(path, label_column="color"))
    assert dataset.class_names == ["green", "red"]
    color = dict(zip(rows["image"], rows["color"], strict=True))
    named = [dataset.class_names[label] for label in dataset.test.labels]
    assert named == [color[name] for name in dataset.test.names]


def test_what_is_wrong_with_a_table_in_an_archive_is_a_sentence(folder, tmp_path):
    packed = {f"images/{file.parent.name}{file.name}": file.read_bytes() for file in files(folder)}
    text = table(folder, image=list(packed)).to_csv(index=False).encode()
    missing, outside = (text.replace(b"images/ant3.png", name) for name in (b"../no.png", bytes(files(folder)[0])))
    color = {"label_column": "color"}
    for more, options, message in (
        ({"a.csv": text, "b.tsv": text}, {}, r"pets\.zip has 2 tables \(a\.csv, b\.tsv\), and only one can name"),
        ({"a.csv": missing}, {}, r"pets\.zip/a\.csv: 1 of its 40 images is not in its folder"),
        ({"a.csv": outside}, {}, r"names /\S+/0\.png, outside of the archive; name only what is in it"),
        ({"a.csv": text}, color, r"pets\.zip/a\.csv has no such column; it has image, label"),
        ({}, color, r"pets\.zip has no CSV, TSV or Parquet file"),
        ({}, {}, r"pets\.zip has only one class, images"),
    ):
        with pytest.raises(UserError, match=message):
            load_dataset(Source(pack(tmp_path / "pets.zip", packed | more), **options))


def test_medmnist_keys_are_known_and_several_classes_are_refused(tmp_path):
    rng = np.random.default_rng(3)
    images, labels = rng.integers(0, 256, (60, 28, 28), np.uint8), np.arange(60)[:, None] % 3
    arrays = {}
    for name, part in (("train", slice(0, 36)), ("val", slice(36, 48)), ("test", slice(48, 60))):
        arrays |= {f"{name}_images": images[part], f"{name}_labels": labels[part]}
    np.savez(tmp_path / "m.npz", **arrays)
    dataset = load_dataset(Source(str(tmp_path / "m.npz")))
    assert dataset.train.images.shape == (36, 32, 32, 3)
    assert dataset.validation.labels.tolist() == [0, 1, 2] * 4
    np.savez(tmp_path / "m.npz", **arrays | {"train_labels": rng.integers(0, 2, (36, 14))})
    with pytest.raises(UserError, match="with several classes, or none, for an image"):
        load_dataset(Source(str(tmp_path / "m.npz")))


def test_any_other_file_is_named_with_what_data_may_be(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    with pytest.raises(UserError, match=r"photo\.png is no data set that can be read; --data takes a folder of images"):
        load_dataset(Source(str(tmp_path / "photo.png")))
