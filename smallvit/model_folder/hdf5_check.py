"""What a weights file may hold, checked before Keras reads it."""

import os
from pathlib import Path

import h5py

from smallvit.limits import MAX_HDF5_OBJECTS


def require_plain_arrays(path: Path) -> None:
    """Check that an HDF5 file is a tree of arrays that lie in the file, as Keras writes them.

    An HDF5 file may also hold links to other files, groups that contain themselves, and compressed arrays of any size.

    Raises:
        ValueError: the file holds something else.
        OSError: the file is not HDF5, or is damaged.
    """
    with h5py.File(path, "r") as file:
        seen, num_bytes = set(), 0
        waiting: list[h5py.Group] = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                where = f"{group.name}/{name}"
                if type(group.get(name, getlink=True)) is not h5py.HardLink:
                    raise ValueError(f"{where} is a link")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise ValueError(f"{where} is in the file twice")
                seen.add(address)
                if len(seen) > MAX_HDF5_OBJECTS:
                    raise ValueError(f"the file holds more than {MAX_HDF5_OBJECTS:,} objects")
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                layout = item.id.get_create_plist()
                if layout.get_nfilters() or layout.get_external_count() or item.is_virtual:
                    raise ValueError(f"{where} is compressed, or lies in another file")
                num_bytes += item.nbytes
        if num_bytes > os.path.getsize(path):
            raise ValueError(f"its arrays have {num_bytes:,} bytes, more than the file")
