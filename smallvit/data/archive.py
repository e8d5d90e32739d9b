"""A zip or tar archive of a folder of images, or of images and a table, which is unpacked into a temporary folder.

Only regular files that stay in that folder are written: no link, no device, no path that leads out of it.
"""

import contextlib
import json
import logging
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from smallvit.data.checks import LoadedSplits
from smallvit.data.columns import NamedColumns, refuse_columns
from smallvit.data.decode_cache import ReadOptions, find_decoded, read_listing
from smallvit.data.listing import Listing, file_state, is_hidden, list_class_folders, walk
from smallvit.data.table import TABLE_SUFFIXES, list_table
from smallvit.errors import UserError, escape_name, format_list, write_error_as_user_error
from smallvit.limits import MAX_ARCHIVE_BYTES

log = logging.getLogger(__name__)

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def is_archive(name: str) -> bool:
    """Whether a file is an archive by its name."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def read_archive(file: Path, shown_name: str, named_columns: NamedColumns, read_options: ReadOptions) -> LoadedSplits:
    """Read the images of an archive with class folders (see `listing`); one folder may wrap them all.

    If it has none, or if a column is named, its only table names images and classes. Nothing is unpacked if the images
    are decoded already.

    Args:
        file: the archive.
        shown_name: the archive, as messages name it.
        named_columns: the columns that the user named.
        read_options: how.

    Raises:
        UserError: the archive is damaged, encrypted or too large, or has neither class folders nor a table.
        OSError: it cannot be read.
    """
    key = json.dumps(
        [os.path.realpath(file), *file_state(str(file)), named_columns.image, named_columns.label, named_columns.group]
    )
    if listing := find_decoded(key, read_options):
        return read_listing(shown_name, listing, read_options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.realpath(temporary)
        with write_error_as_user_error(
            f"{shown_name}, unpacked in {tempfile.gettempdir()},", "make room, or set TMPDIR to another folder"
        ):
            _unpack(file, folder, shown_name)
        listing = _list(folder, shown_name, named_columns, read_options)
        return read_listing(shown_name, listing._replace(cache_key=key, file_states=[]), read_options)


def _unpack(file: Path, folder: str, shown_name: str) -> None:
    total = ignored = 0
    try:
        with zipfile.ZipFile(file) if zipfile.is_zipfile(file) else tarfile.open(file) as archive:
            for name, size, open_member in _members(archive, shown_name):
                path = os.path.abspath(os.path.join(folder, name.replace("\\", "/")))  # PowerShell writes "\"
                if open_member is None or not path.startswith(folder + os.sep):
                    ignored += 1
                    continue
                total += size
                if total > MAX_ARCHIVE_BYTES:
                    raise UserError(
                        f"{shown_name} unpacks to more than {MAX_ARCHIVE_BYTES / 2**30:,.0f} GB; unpack it and name "
                        "the folder."
                    )
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open_member() as content, open(path, "wb") as unpacked:
                    shutil.copyfileobj(content, unpacked)
    except UserError:
        raise
    except Exception as error:  # the libraries raise nearly anything for damage, but only the system has error numbers
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{shown_name} is no zip or tar archive, or is damaged ({escape_name(str(error))}).") from error
    if ignored:
        log.warning("%s: ignored %d links and files that would lie outside of it", shown_name, ignored)


def _members(
    archive: zipfile.ZipFile | tarfile.TarFile, shown_name: str
) -> Iterator[tuple[str, int, Callable[[], Any] | None]]:
    """(path, size, what opens it) of all that is no folder; None opens links and devices."""
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            if not info.is_dir():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield _zip_name(info, shown_name), info.file_size, None if is_link else partial(archive.open, info)
    else:
        for member in archive:
            if not member.isdir():
                yield member.name, member.size, partial(archive.extractfile, member) if member.isreg() else None


def _zip_name(info: zipfile.ZipInfo, shown_name: str) -> str:
    """The path of a member. Raises `UserError` if its encoding is not known."""
    if info.flag_bits & 0x800:
        return info.filename  # UTF-8
    # Without the flag Python reads the code page of the first PCs. But many programs write UTF-8, and Windows its own
    # code page: letters of Korean, Chinese or Japanese then look like lines and blocks.
    with contextlib.suppress(UnicodeError):
        return info.filename.encode("cp437").decode("utf-8")
    if any("\u2500" <= character <= "\u259f" for character in info.filename):
        raise UserError(f"{shown_name} has names that are not encoded in UTF-8; unpack it and name the folder.")
    return info.filename


def _list(folder: str, shown_name: str, named_columns: NamedColumns, read_options: ReadOptions) -> Listing:
    """List the images of the class folders, or of the only table."""
    tables = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in TABLE_SUFFIXES and not is_hidden(p.name))
    if not tables:
        refuse_columns(named_columns, f"{shown_name} has no CSV, TSV or Parquet file")
    if not (tables and (named_columns.image or named_columns.label or named_columns.group)):
        try:
            # One folder beside a table has the images of all classes.
            return list_class_folders(_top(folder), shown_name, read_options.for_training or bool(tables))
        except UserError:
            if not tables:
                raise
    names = [path.relative_to(folder).as_posix() for path in tables]
    if len(tables) > 1:
        raise UserError(
            f"{shown_name} has {len(tables)} tables ({format_list(names)}), and only one can name the images; unpack "
            "it and give --data the table."
        )
    table = f"{shown_name}/{escape_name(names[0])}"
    listing = list_table(tables[0], table, named_columns, read_options)
    paths = map(str, listing.contents)
    outside = [path for path in paths if not os.path.abspath(path).startswith(folder + os.sep)]
    if outside:
        raise UserError(f"{table} names {format_list(outside)}, outside of the archive; name only what is in it.")
    return listing


def _top(folder: str) -> str:
    """The folder that holds the class folders, below any single wrapping folders."""
    for here, folders, files in walk(folder):
        if files or len(folders) != 1:
            return here if folders or here == folder else os.path.dirname(here)  # the last may be a class of images
    return folder
