"""Nothing of a visitor's stays on the disk: a folder of its own for uploads, which is swept.

Gradio's `delete_cache` deletes what this process was sent. It forgets the states behind deep links, and what a process
that was killed has left.
"""

import os
import stat
import tempfile
import threading
import time
from pathlib import Path

MAX_AGE_SECONDS, SWEEP_SECONDS = 50 * 60, 5 * 60
"""How long a file stays, and how often what is older is looked for: 55 minutes are the most."""


def use_own_upload_folder():
    """Have Gradio keep uploads in a folder that holds nothing else, for what is old in it will be deleted.

    It lies in the folder that GRADIO_TEMP_DIR names, else in that for temporary files.

    Returns:
        Its path.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    folder = parent / f"smallvit-{user}"
    parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        foreign = not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid())
    except FileExistsError:  # a file, or a link to nowhere
        foreign = True
    if foreign:  # somebody else's, or a link to what must not be swept
        folder = Path(tempfile.mkdtemp(prefix="smallvit-", dir=parent))
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def delete_old_files(folder, seconds, spared=()):
    """Delete the files in a folder, and in the folders within it, that are older than `seconds`; then what is empty.

    Args:
        folder: path.
        seconds: age by ctime: since the file came to lie there.
        spared: paths of files that stay; they are made young, so that no other process deletes them either.
    """
    spared = {os.path.abspath(path) for path in spared}
    for path in sorted(Path(folder).rglob("*"), reverse=True):  # what lies within a folder comes before it
        try:
            if path.is_dir():
                if time.time() - path.stat().st_ctime > seconds:  # a young one may be about to be filled
                    path.rmdir()
            elif os.path.abspath(path) in spared:
                os.utime(path)
            elif time.time() - path.lstat().st_ctime > seconds:
                path.unlink()
        except OSError:
            pass  # another process was faster, or the folder is not empty


def sweep_regularly(demo, folder):
    """Sweep the folder now and every `SWEEP_SECONDS`, in the background; the examples of the page stay."""

    def run():
        while True:
            spared = {path for block in list(demo.blocks.values()) for path in getattr(block, "keep_in_cache", ())}
            delete_old_files(folder, MAX_AGE_SECONDS, spared)
            for paths in demo.temp_file_sets:  # Gradio forgets only what it has deleted itself
                paths -= {path for path in list(paths) if not os.path.exists(path)}
            time.sleep(SWEEP_SECONDS)

    threading.Thread(target=run, name="sweeping", daemon=True).start()
