"""A zip or tar archive of a folder of images, or of images and a table.

Nothing is unpacked: each image is read from the archive. So no path in it can lead anywhere, links lead nowhere, and an
image that expands to more than a photo can have is refused like any other file that is too large. A compressed tar
archive, which cannot be read in any order, is expanded into a nameless temporary file first.
"""

import logging
import os
import posixpath
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from smallvit.data.checks import MIN_CLASSES, format_list
from smallvit.data.decoded import Reading
from smallvit.data.listing import FolderListing, Listing, is_hidden, is_ignored
from smallvit.data.rows import refuse_columns
from smallvit.data.table import TABLE_SUFFIXES, find_images, list_content
from smallvit.errors import UserError, escape_name, os_error_as_user_error, write_error_as_user_error
from smallvit.images import ImageError
from smallvit.limits import MAX_ARCHIVE_BYTES, MAX_ARCHIVE_FILES, MAX_IMAGE_BYTES, MAX_TABLE_BYTES

log = logging.getLogger(__name__)

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_COPIED_AT_ONCE = 2**20


def is_archive(name: str) -> bool:
    """Whether a file is an archive by its name."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def list_archive(
    path: str, image_column: str | None, label_column: str | None, group_by: str | None, reading: Reading
) -> Listing:
    """List the images of an archive, which has the folders that `listing` knows, also within one folder.

    If it has none, or if a column is named, its only table names images and classes.

    Args:
        path: the file.
        image_column, label_column, group_by: see `list_table`.
        reading: whether it is for training.

    Raises:
        UserError: the archive is missing, damaged, encrypted or too large, or has neither class folders nor a table.
    """
    file = Path(os.path.expanduser(path))
    source = escape_name(str(file))
    with os_error_as_user_error(file):
        if not file.is_file():
            raise UserError(f"There is no file {source}; --data takes a zip or tar archive of a folder of images.")
        status = file.stat()
        try:
            archive = (_Zip if zipfile.is_zipfile(file) else _Tar)(file)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, ValueError) as error:
            raise UserError(f"{source} is no zip or tar archive, or is damaged ({escape_name(str(error))}).") from error
    if archive.ignored:
        log.warning("%s: ignored %d links and files that would lie outside of it", source, archive.ignored)
    key = f"{os.path.realpath(file)} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    tables = [name for name in archive.sizes if name.lower().endswith(TABLE_SUFFIXES) and not _is_hidden(name)]
    names_column = image_column or label_column or (group_by and "(" not in group_by)
    if not tables:
        refuse_columns(image_column, label_column, f"{source} has no CSV, TSV or Parquet file")
    if not (tables and names_column):
        try:
            folder = _ArchiveListing(source, archive)
            listing = folder.list(MIN_CLASSES if reading.for_training else 1)
            names = [f"{folder.top}{name}" for of_split in listing.files.values() for name in of_split]
            return listing._replace(key=key, contents=_Contents(archive, names))
        except UserError:
            if not tables:
                raise
    if len(tables) > 1:
        raise UserError(
            f"{source} has {len(tables)} tables ({format_list(tables)}), and only one can name the images; unpack it "
            "and give --data the table."
        )
    columns = (image_column, label_column, group_by)
    return _list_table(f"{source}/{escape_name(tables[0])}", archive, tables[0], columns, key, reading)


def _list_table(source, archive, table, columns, key, reading):
    """List the images that a table in an archive names."""
    if archive.sizes[table] > MAX_TABLE_BYTES:
        raise UserError(f"{source} has more than {MAX_TABLE_BYTES / 2**20:,.0f} MB; unpack the archive.")
    content = _Contents(archive, [table], MAX_TABLE_BYTES)[0]
    if isinstance(content, ImageError):
        raise UserError(f"{source}: {content}")

    def member(path: str) -> str:
        return posixpath.normpath(path.replace("\\", "/"))

    def find(names: Sequence[str]) -> tuple[Sequence[Any], list[object]]:
        def is_file(path):
            return member(path) in archive.sizes

        def files_below():
            return (name for name in archive.sizes if not _is_hidden(name))

        paths = [member(path) for path in find_images(names, posixpath.dirname(table), is_file, files_below, source)]
        return _Contents(archive, paths), [(path, archive.sizes[path]) for path in paths]

    return list_content(source, table, content, columns, find, key, reading)


def _is_hidden(path: str) -> bool:
    return any(map(is_hidden, path.split("/")))


class _Zip:
    """A zip archive. `sizes` has the size of each file by its path, `ignored` counts what is left out."""

    def __init__(self, file: Path) -> None:
        self._archive = zipfile.ZipFile(file)
        infos = self._archive.infolist()
        _require_few(len(infos))
        self._infos, self.ignored = {}, 0
        for info in infos:
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            if info.is_dir():
                continue
            if is_link or (name := _safe(info.filename)) is None:
                self.ignored += 1
            else:
                self._infos[name] = info
        self.sizes = {name: info.file_size for name, info in self._infos.items()}

    def read(self, name: str, most: int) -> bytes:
        with self._archive.open(self._infos[name]) as member:
            return member.read(most)


class _Tar:
    """A tar archive, with the attributes of `_Zip`."""

    def __init__(self, file: Path) -> None:
        self._file = _expanded(file)
        self._places: dict[str, tuple[int, int]] = {}
        self.ignored = 0
        with tarfile.open(fileobj=self._file, mode="r:") as archive:
            number = 0
            while (info := archive.next()) is not None:
                number += 1
                _require_few(number)
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them in memory
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse() or (name := _safe(info.name)) is None:
                    self.ignored += 1
                else:
                    self._places[name] = info.offset_data, info.size
        self.sizes = {name: size for name, (_, size) in self._places.items()}

    def read(self, name: str, most: int) -> bytes:
        offset, size = self._places[name]
        self._file.seek(offset)
        return self._file.read(min(size, most))


def _expanded(file: Path) -> IO[bytes]:
    """The tar archive without its compression."""
    try:
        with tarfile.open(file, "r:"):
            return open(file, "rb")
    except tarfile.ReadError:
        pass  # compressed, or no archive
    with tarfile.open(file) as archive:  # knows the compression
        stream: Any = archive.fileobj
        expanded = tempfile.TemporaryFile()  # noqa: SIM115  it stays open for the images
        stream.seek(0)
        while part := stream.read(_COPIED_AT_ONCE):
            with write_error_as_user_error(
                f"{escape_name(str(file))}, expanded in {tempfile.gettempdir()},",
                "make room, or set TMPDIR to another folder",
            ):
                expanded.write(part)
                expanded.flush()
            if expanded.tell() > MAX_ARCHIVE_BYTES:
                raise UserError(
                    f"{escape_name(str(file))} expands to more than {MAX_ARCHIVE_BYTES / 2**30:,.0f} GB; unpack it and "
                    "name the folder."
                )
        expanded.seek(0)
        return expanded


def _require_few(count: int) -> None:
    if count > MAX_ARCHIVE_FILES:
        raise UserError(f"The archive has more than {MAX_ARCHIVE_FILES:,} files.")


def _safe(name: str) -> str | None:
    """The path of a member with "/"; None if it would lie outside of the archive."""
    parts = name.replace("\\", "/").split("/")
    kept = [part for part in parts if part not in ("", ".")]
    return None if name.startswith(("/", "\\")) or ".." in kept or not kept else "/".join(kept)


class _Contents(Sequence[Any]):
    """The contents of the listed files, read when they are asked for; an `ImageError` for one that is damaged."""

    def __init__(self, archive: _Zip | _Tar, names: list[str], most: int = MAX_IMAGE_BYTES + 1) -> None:
        self._archive, self._names, self._most = archive, names, most

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index):
        try:
            return self._archive.read(self._names[index], self._most)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
            return ImageError("damaged")
        except (RuntimeError, NotImplementedError):  # as zipfile says it
            return ImageError("unreadable", reason="it is encrypted, or compressed by a method that is not known")


class _Entry:
    """A file or folder in an archive, with the methods of `os.DirEntry` that a listing uses."""

    def __init__(self, size: int = 0) -> None:
        self._size = size

    def is_symlink(self) -> bool:
        return False

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(st_size=self._size, st_mtime_ns=0, st_ctime_ns=0)


class _ArchiveListing(FolderListing):
    """Lists the members of an archive. `top` is the only folder that all are in, such as the archive's name, or ""."""

    def __init__(self, source: str, archive: _Zip | _Tar) -> None:
        super().__init__(source)
        self.top = ""
        self._folders: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {"": ({}, {})}
        for path, size in archive.sizes.items():
            *parents, name = path.split("/")
            here = ""
            for parent in parents:
                self._folders[here][0].setdefault(parent, _Entry())
                here += f"{parent}/"
                self._folders.setdefault(here, ({}, {}))
            self._folders[here][1][name] = _Entry(size)
        while (only := self._only_folder()) is not None:
            self.top += f"{only}/"

    def _only_folder(self) -> str | None:
        folders, files = self.scan("")
        is_only = len(folders) == 1 and not files and self.scan(f"{next(iter(folders))}/")[0]
        return next(iter(folders)) if is_only else None

    def scan(self, path):
        folders, files = self._folders[f"{self.top}{path}"]
        return (
            {name: folders[name] for name in sorted(folders) if not is_hidden(name)},
            {name: files[name] for name in sorted(files) if not is_ignored(name)},
        )
