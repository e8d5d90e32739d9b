"""A folder of images of one's own: what counts as one, what is refused, and what is decoded only once."""

import errno
import logging
import os
import subprocess
import sys
import unicodedata
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smallvit.data import Source, decode_cache, load_dataset
from smallvit.data.listing import list_class_folders
from smallvit.data.source import read_splits
from smallvit.errors import UserError
from smallvit.images import FORMATS, DecodingPool, ImageError, load_square, resize_square
from smallvit.limits import TRUSTED_DECODING
from tests.image_corpus import BLUE, RED, photo, save

SIDE = 2


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def image(color):
    return save(Image.new("RGB", (SIDE, SIDE), color), "BMP")


def write(root, tree):
    """Write {path of a folder: count} images below `root`, the i-th of the k-th folder in (k, i, 7); return it.

    They are alike in size and time.
    """
    root.mkdir(exist_ok=True)
    for index, (path, count) in enumerate(tree.items()):
        (root / path).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            file = root / path / f"{number:03}.png"
            file.write_bytes(image((index, number, 7)))
            os.utime(file, ns=(10**18, 10**18))
    return root


@pytest.fixture
def images(tmp_path):
    """Two classes of 16: ant in (0, i, 7), bee in (1, i, 7)."""
    return write(tmp_path / "images", {"ant": 16, "bee": 16})


def read(path, image_size=SIDE, **options):
    return read_splits(Source(str(path), image_size, **options))


def colors(split):
    """The colour of each image, which has to be the same all over it: [(red, green, blue)]."""
    images = np.asarray(split.images)
    assert images.dtype == np.uint8
    assert images.shape[1:] == (SIDE, SIDE, 3)
    assert np.all(images == images[:, :1, :1])
    return [tuple(image) for image in images[:, 0, 0].tolist()]


def refused(path, **options):
    """The sentence by which a folder is refused."""
    with pytest.raises(UserError) as caught:
        read(path, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    return sentence


@pytest.fixture(scope="module")
def pool():
    with DecodingPool(2, TRUSTED_DECODING) as pool:
        yield pool


@pytest.fixture(autouse=True)
def one_pool(monkeypatch, pool):
    """All tests share the decoding processes, because a start takes a moment."""
    monkeypatch.setattr(decode_cache, "pool_for_trusted_images", lambda _: nullcontext(pool))


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from now on."""
    names = []
    squares = DecodingPool.squares

    def listed(pool, sources, *others):
        names.extend(Path(file).name for file in sources)
        return squares(pool, sources, *others)

    monkeypatch.setattr(DecodingPool, "squares", listed)
    return names


# What belongs to which class


def test_each_subfolder_is_a_class_in_sorted_order(tmp_path):
    found = read(write(tmp_path / "p", {"zebra": 12, "ant": 3, "Bee": 20}))
    assert found.class_names == ["Bee", "ant", "zebra"]
    assert list(found.splits) == ["train"]
    train = found.splits["train"]
    assert train.labels.dtype == np.int32
    assert train.labels.tolist() == [0] * 20 + [1] * 3 + [2] * 12
    assert colors(train) == [(folder, i, 7) for folder, count in ((2, 20), (1, 3), (0, 12)) for i in range(count)]
    assert train.names[19:24].tolist() == ["Bee/019.png", "ant/000.png", "ant/001.png", "ant/002.png", "zebra/000.png"]
    assert found.damaged == []


@pytest.mark.parametrize(("train", "val", "test"), [("train", "val", "test"), ("Training", "VALID", "testing")])
def test_parts_are_known_by_their_names(tmp_path, train, val, test):
    tree = {f"{train}/ant": 20, f"{train}/bee": 9, f"{val}/bee": 2, f"{test}/ant": 1, f"{test}/bee": 3}
    found = read(write(tmp_path / "p", tree))
    assert found.class_names == ["ant", "bee"]
    labels = {split: images.labels.tolist() for split, images in found.splits.items()}
    assert labels == {"train": [0] * 20 + [1] * 9, "validation": [1, 1], "test": [0, 1, 1, 1]}
    assert colors(found.splits["validation"]) == [(2, 0, 7), (2, 1, 7)]
    assert found.splits["test"].names[0] == f"{test}/ant/000.png"


def test_train_is_a_split_or_a_thing_to_take_images_of(tmp_path):
    root = write(tmp_path / "split", {"train/ant": 20, "train/bee": 10})
    assert (read(root).class_names, list(read(root).splits)) == (["ant", "bee"], ["train"])
    (root / "test").symlink_to(root / "train")
    assert read(root).splits["test"].labels.tolist() == [0] * 20 + [1] * 10
    assert read(write(tmp_path / "class", {"train": 20, "tram": 10})).class_names == ["train", "tram"]


def test_what_lies_deeper_belongs_to_the_class(tmp_path):
    found = read(write(tmp_path / "p", {"ant": 9, "ant/red/large": 3, "ant/red": 2, "ant/00": 1, "bee": 15}))
    assert found.class_names == ["ant", "bee"]
    train = found.splits["train"]
    assert train.labels.tolist() == [0] * 15 + [1] * 15
    assert train.names[[0, 1, 10, 12]].tolist() == [
        *("ant/00/000.png", "ant/000.png", "ant/red/000.png", "ant/red/large/000.png"),
    ]
    assert [color[0] for color in colors(train)] == [3] + [0] * 9 + [2] * 2 + [1] * 3 + [4] * 15


def test_notes_and_what_systems_leave_behind_are_passed_over(images):
    for path in (".DS_Store", "README.md", "labels.CSV", "LICENSE", "ant/.hidden.png", "ant/Thumbs.db", "bee/list.txt"):
        (images / path).write_bytes(b"no image")
    write(images, {".thumbnails": 1, "__MACOSX/ant": 1, "ant/.cache": 1})
    found = read(images, strict=True)
    assert (found.class_names, len(found.splits["train"].labels)) == (["ant", "bee"], 32)


@pytest.fixture
def any_names(tmp_path):
    """Skip the test where the file system takes only UTF-8 as names."""
    try:
        (tmp_path / os.fsdecode(b"\xff")).touch()
    except OSError:
        pytest.skip("the file system takes no such names")


def test_names_are_in_any_script(tmp_path, caplog, any_names):
    root = tmp_path / os.fsdecode(b"\xffroot")
    names = ["한국어", "نملة", "🐝", os.fsdecode(b"caf\xe9"), "two words", "line\nbreak"]
    write(root, dict.fromkeys(names, 6))
    for name in names:
        (root / name / os.fsdecode(b"\xfe.png")).write_bytes(b"no image")
        (root / name / "away").symlink_to(tmp_path)
    # The letters stand for 63 61 66, 6c, 74, 646, d55c and 1f41d.
    expected = ["caf\\xe9", "line\nbreak", "two words", "نملة", "한국어", "🐝"]
    found = read(root)
    assert found.class_names == expected
    order = [3, 5, 4, 1, 0, 2]
    assert colors(found.splits["train"]) == [(index, i, 7) for index in order for i in range(6)]
    # And all that is said of it can be printed.
    caplog.set_level(logging.INFO)
    load_dataset(Source(str(root)))
    assert r"caf\udce9/\udcfe.png is left out: " in caplog.text
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert refused(root, strict=True).startswith(
        rf"{tmp_path}/\udcffroot: 6 files cannot be read (caf\udce9/\udcfe.png"
    )


def test_a_name_of_letters_in_parts_is_the_name_of_whole_letters(tmp_path):
    write(tmp_path / "p", {unicodedata.normalize("NFD", "강아지"): 16, "개미": 16})
    assert read(tmp_path / "p").class_names == ["강아지", "개미"]


def test_only_a_training_needs_training_images(tmp_path):
    write(tmp_path / "p", {"test/ant": 3, "test/bee": 2})
    found = read_splits(Source(str(tmp_path / "p"), SIDE), for_training=False)
    assert colors(found.splits["test"]) == [(0, 0, 7), (0, 1, 7), (0, 2, 7), (1, 0, 7), (1, 1, 7)]
    rows = [f"p/test/{name}/{number:03}.png,{name},test" for name in ("ant", "bee") for number in (0, 1)]
    (tmp_path / "list.csv").write_text("\n".join(["image,label,split", *rows]))
    found = read_splits(Source(str(tmp_path / "list.csv"), SIDE), for_training=False)
    assert colors(found.splits["test"]) == [(0, 0, 7), (0, 1, 7), (1, 0, 7), (1, 1, 7)]


def test_links_are_followed_but_never_in_a_circle(images, tmp_path, decoded):
    outside = write(tmp_path / "elsewhere", {"deep": 4})
    write(images, {"ant/red": 2})
    links = {
        "ant/outside": outside,
        "ant/outside.png": outside / "deep/000.png",
        "ant/gone.png": images / "nothing",
        "ant/itself.png": images / "ant/itself.png",
        "ant/red/up": images / "ant",
        "cat": outside / "deep",
        "dog": images,
        "bee/016.png": images / "ant/003.png",
        "bee/other": images / "cat/other",
    }
    for link, target in links.items():
        (images / link).symlink_to(target)
    (outside / "deep/other").symlink_to(images / "bee")  # bee/other and cat/other lead to each other
    found = read(images)
    assert found.class_names == ["ant", "bee", "cat"]
    listed = found.splits["train"].names.tolist()
    of_bee = {f"{i:03}.png" for i in range(17)}
    assert {f"ant/outside/deep/{i:03}.png" for i in range(4)} | {f"cat/{i:03}.png" for i in range(4)} <= set(listed)
    assert {f"{folder}/{name}" for folder in ("bee", "cat/other") for name in of_bee} <= set(listed)
    assert {"ant/red/001.png", "ant/outside.png"} <= set(listed)
    assert not [name for name in listed if "up" in name or "dog" in name]
    assert colors(found.splits["train"])[listed.index("bee/016.png")] == (0, 3, 7)
    assert [name for name, _ in found.damaged] == ["ant/gone.png", "ant/itself.png"]
    decoded.clear()  # nothing changed, and no other try would read the broken links
    assert (len(read(images).splits["train"].labels), decoded) == (len(listed), [])


# What is refused


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"": 40}, " has images (000.png, 001.png, 002.png and 37 more) but no folders;"),
        ({"ant": 20, "bee": 20, "": 2}, " has images beside the class folders: 000.png, 001.png;"),
        (
            {"train/ant": 20, "test": 0},
            ": test/ has no folders; put the images of each class into a folder of its own.",
        ),
        ({"train/ant": 20, "train/bee": 20, "test/ant": 0}, " has no test images; add images or leave the split out."),
        ({"a\nb": 40}, " has only one class, a\\nb; at least 2 classes are needed."),
        ({"ant": 40, "bee": 0}, ": the class bee has too few training images: 0 found, at least 3 needed, since "),
        ({"train/ant": 40, "train/bee": 1, "val/bee": 9}, "1 found, at least 2 needed, since test images are drawn"),
        ({"ant": 14, "bee": 15}, " has 29 images; at least 30 are needed."),
        ({"train/ant": 20, "val/ant": 5, "val/cat": 5}, " has classes in val/ that are not in train/: cat."),
        ({"train/flowers/ant": 20, "train/flowers/bee": 20}, "; if they are the classes, use {root}/train/flowers."),
        ({"Train/ant": 20, "training/bee": 20}, " has Train/ and training/ for the same split; keep one of them."),
        ({"train/ant": 20, "test/bee": 20, "extra": 5}, " has test/, train/ and also extra/; use either only train/,"),
        ({"val/ant": 20, "test/ant": 20}, " has test/, val/ but no train/; add train/, or use only class folders."),
        ({f"class {number}": 0 for number in range(1001)}, " has 1,001 classes; at most 1,000 are possible."),
    ],
)
def test_what_cannot_be_trained_on_is_a_sentence(tmp_path, tree, message, decoded):
    root = write(tmp_path / "p", tree)
    sentence = refused(root)
    assert sentence.startswith(str(root))
    assert message.replace("{root}", str(root)) in sentence
    assert decoded == []


def test_an_archive_s_own_folder_is_known_with_its_licence(tmp_path):
    root = write(tmp_path / "p", {"flowers/ant": 20, "flowers/bee": 20})
    (root / "flowers/LICENSE").write_text("Do as you like.")
    assert f"use {root}/flowers." in refused(root)
    (root / "flowers/000.png").write_bytes(image(RED))
    assert "has only one class, flowers;" in refused(root)


def test_two_names_that_look_the_same_are_refused(tmp_path, any_names):
    root = write(tmp_path / "p", dict.fromkeys([os.fsdecode(b"caf\xe9"), "caf\\xe9"], 20))
    assert refused(root) == f"{root} has two classes named caf\\xe9; give each class its own name."


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a\nfile").write_bytes(b"")
    expected = f"{tmp_path}/a\\nfile is no data set that can be read; --data takes a folder of images, "
    assert refused(tmp_path / "a\nfile").startswith(expected)


def test_a_folder_that_may_not_be_looked_into_is_named(images, monkeypatch):
    write(images, {"ant/private": 1})
    scandir = os.scandir

    def guarded(path):
        if str(path).rstrip("/").endswith("private"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert refused(images) == f"{images}/ant/private cannot be read (Permission denied)."


def test_the_least_and_the_most_that_are_taken(tmp_path):
    assert len(read(write(tmp_path / "least", {"ant": 27, "bee": 3})).splits["train"].labels) == 30
    most = write(tmp_path / "most", {f"train/{number}": 0 for number in range(1000)})
    assert len(list_class_folders(most, "most").class_names) == 1000


# Through the page's decoder


def test_every_format_of_the_page_is_read_whatever_its_suffix(tmp_path):
    root = write(tmp_path / "p", {"ant": 30})
    (root / "bee").mkdir()
    for format in FORMATS:
        (root / "bee" / f"{format}.jpg").write_bytes(save(photo(31, 40), format))
    (root / "bee/none").write_bytes(save(photo(31, 40), "PNG"))
    found = read(root, 16)
    train = found.splits["train"]
    assert found.damaged == []
    assert sorted(train.names[30:]) == sorted([*(f"bee/{format}.jpg" for format in FORMATS), "bee/none"])
    for image, file in zip(train.images[30:], train.names[30:], strict=True):
        np.testing.assert_array_equal(image, resize_square(load_square(root / file), 16))


# Files that cannot be read


@pytest.fixture
def partly_damaged(tmp_path):
    """19 ants, 18 bees, 1 bee to validate and 1 ant to test, with files that cannot be read between all of them."""
    tree = {"train/ant": 20, "train/bee": 20, "test/ant": 2, "val/bee": 2}
    root = write(tmp_path / "p", tree)
    (root / "train/ant/000.png").write_bytes(b"")
    (root / "train/bee/005.png").write_bytes(image(RED)[:60])
    (root / "train/bee/019.png").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "val/bee/001.png").write_bytes(b"")
    (root / "test/ant/000.png").write_bytes(b"a note")
    return root


def test_damaged_files_are_listed_and_skipped_and_strict_refuses_them(partly_damaged, decoded):
    names = ["train/ant/000.png", "train/bee/005.png", "train/bee/019.png", "val/bee/001.png", "test/ant/000.png"]
    for decodes in (True, False):  # the second time from the cache
        decoded.clear()
        found = read(partly_damaged)
        assert [file for file, _ in found.damaged] == names
        train, validation, test = (found.splits[name] for name in ("train", "validation", "test"))
        kept = [(0, i) for i in range(1, 20)] + [(1, i) for i in range(19) if i != 5]
        assert colors(train) == [(label, i, 7) for label, i in kept]
        assert train.labels.tolist() == [label for label, _ in kept]
        assert train.names[24] == "train/bee/006.png"
        assert (colors(validation), validation.labels.tolist()) == ([(3, 0, 7)], [1])
        assert (colors(test), test.labels.tolist(), test.names.tolist()) == ([(2, 1, 7)], [0], ["test/ant/001.png"])
        assert bool(decoded) == decodes
        decoded.clear()
        assert refused(partly_damaged, strict=True) == (
            f"{partly_damaged}: 5 files cannot be read (train/ant/000.png: The file is empty; choose another one; "
            "train/bee/005.png: The file is damaged or cut off; save or download it again; "
            "train/bee/019.png: The file is an SVG drawing; save it as a PNG or JPEG photo; and 2 more); without "
            "--strict they are left out."
        )
        assert decoded == []


def test_what_is_too_little_without_the_damaged_files_says_so(tmp_path):
    root = write(tmp_path / "p", {"ant": 40, "bee": 3})
    for name in ("bee/001.png", "ant/001.png"):
        (root / name).write_bytes(b"")
    assert refused(root) == (
        f"{root}: the class bee has too few training images: 2 found, at least 3 needed, since validation and test "
        "images are drawn from them, and 2 files cannot be read (ant/001.png: The file is empty; choose another one; "
        "bee/001.png: The file is empty; choose another one)."
    )


def test_of_many_damaged_files_ten_are_named(tmp_path, caplog):
    root = write(tmp_path / "p", {"ant": 30, "bee": 30})
    for number in range(12):
        (root / f"ant/{number:03}.png").write_bytes(b"")
    load_dataset(Source(str(root)))
    named = [message for message in caplog.messages if "is left out: The file is empty" in message]
    assert (len(named), caplog.messages[-1]) == (10, "2 more files are left out; --strict refuses them")


# Decoded once


def test_an_unchanged_folder_is_not_decoded_again(images, decoded, cache, tmp_path):
    first = read(images).splits["train"]
    (tmp_path / "link").symlink_to(images)
    decoded.clear()
    for path in (f"{images}/", images / "ant/..", tmp_path / "link"):
        again = read(path).splits["train"]
        assert colors(again) == colors(first)
        assert again.labels.tolist() == first.labels.tolist()
    assert decoded == []
    assert [file.suffix for file in cache.rglob("*") if file.is_file()] == [".arrow"]


def test_images_stay_in_the_file_of_the_cache(tmp_path):
    """Splits that the folder has are views of the map; what is taken from them is in memory."""
    root = write(tmp_path / "p", {"train/ant": 20, "train/bee": 20, "val/ant": 3, "test/bee": 3})
    (root / "train/bee/003.png").write_bytes(b"")
    for _ in range(2):
        for split in read(root).splits.values():
            assert not split.images.flags.writeable
            assert not split.images.flags.owndata
            assert split.take(np.array([1, 0])).images.flags.owndata


def change(file, content, time=10**18):
    file.write_bytes(content)
    os.utime(file, ns=(time, time))


def swap(first, second):
    between = first.with_name("between")
    first.rename(between)
    second.rename(first)
    between.rename(second)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (lambda ant: change(ant / "000.png", image(RED), 10**18 + 1), [RED, *((0, i, 7) for i in range(1, 16))]),
        (lambda ant: change(ant / "000.png", image(RED) + b"\0"), [RED, *((0, i, 7) for i in range(1, 16))]),
        (lambda ant: swap(ant / "000.png", ant / "001.png"), [(0, i, 7) for i in [1, 0, *range(2, 16)]]),
        (lambda ant: change(ant / "zzz", image(BLUE)), [*((0, i, 7) for i in range(16)), BLUE]),
        (lambda ant: (ant / "007.png").unlink(), [(0, i, 7) for i in range(16) if i != 7]),
    ],
    ids=["time", "size", "changed places", "added", "removed"],
)
def test_a_changed_folder_is_read_anew(images, decoded, do, expected):
    read(images)
    decoded.clear()
    do(images / "ant")
    found = read(images).splits["train"]
    assert colors(found)[: len(expected)] == expected
    assert len(decoded) == len(found.labels) == len(expected) + 16


def test_every_size_is_kept(images, decoded):
    for size in (SIDE, 3, SIDE, 3):
        assert read(images, size).splits["train"].images.shape == (32, size, size, 3)
    assert len(decoded) == 64


@pytest.mark.parametrize("what", ["smallvit.data.decode_cache.DECODER_VERSION", "PIL.__version__"])
def test_what_another_version_decoded_is_decoded_anew_and_deleted(images, decoded, cache, monkeypatch, what):
    read(images)
    (old,) = cache.rglob("*.arrow")
    old.with_name("note.txt").write_text("no image")
    monkeypatch.setattr(what, "another")
    read(images)
    assert len(decoded) == 64
    (new,) = cache.rglob("*.arrow")
    assert new.name != old.name
    assert old.with_name("note.txt").exists()


def test_an_interrupt_ends_reading_and_leaves_nothing(images, monkeypatch, cache):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(DecodingPool, "squares", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(images)
    assert list(cache.rglob("*.arrow")) == []


def test_reading_a_folder_imports_neither_keras_nor_datasets(images):
    """Both take more memory than tens of thousands of decoded images."""
    code = f"""
import sys
from smallvit.data import Source, load_dataset
load_dataset(Source({str(images)!r}))
print({{"keras", "datasets"}} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_cache_that_cannot_be_written_is_a_sentence_and_a_damaged_one_is_made_anew(images, cache):
    cache.write_bytes(b"a file, in which even root cannot make a folder")
    assert refused(images) == (
        f"The decoded images of {images} cannot be written to {cache}/smallvit (Not a directory); set "
        "HF_DATASETS_CACHE to a folder with enough free space."
    )
    cache.unlink()
    whole = colors(read(images).splits["train"])
    (file,) = cache.rglob("*.arrow")
    for length in (100, file.stat().st_size - 100):
        file.write_bytes(file.read_bytes()[:length])
        assert colors(read(images).splits["train"]) == whole


def test_a_full_disk_leaves_nothing_in_the_cache(images, cache, almost_full):
    with almost_full():
        assert "(File too large); set HF_DATASETS_CACHE" in refused(images)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert len(read(images).splits["train"].labels) == 32
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".arrow"]


def test_a_file_that_the_disk_could_not_read_is_read_again_by_the_next_run(images, monkeypatch):
    squares = DecodingPool.squares

    def fail_once(pool, sources, *others):
        for file, result in zip(sources, squares(pool, sources, *others), strict=True):
            failed = file.endswith("ant/003.png")
            yield ImageError.from_os_error(OSError(errno.EIO, "Input/output error")) if failed else result

    monkeypatch.setattr(DecodingPool, "squares", fail_once)
    assert len(read(images).splits["train"].labels) == 31
    monkeypatch.undo()
    assert len(read(images).splits["train"].labels) == 32
