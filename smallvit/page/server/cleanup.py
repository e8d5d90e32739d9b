"""Uploads are deleted within the hour: an own folder for uploads, and a thread that deletes old files there.

Gradio's `delete_cache` deletes only what this process received. It misses the files of a process that was killed.
"""

import os
import stat
import tempfile
import threading
import time
from pathlib import Path

import gradio as gr

from smallvit.limits import MAX_UPLOAD_AGE_SECONDS, MAX_UPLOAD_PAUSE_SECONDS, UPLOAD_CLEANUP_SECONDS


def use_own_upload_folder() -> Path:
    """Make Gradio store uploads in a folder that holds nothing else, because old files in it are deleted.

    The folder is made inside GRADIO_TEMP_DIR, or inside the system's folder for temporary files.

    Returns:
        The path of the folder.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    folder = parent / f"smallvit-{user}"
    parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_foreign = not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid())
    except FileExistsError:  # a file, or a link to nowhere
        is_foreign = True
    if is_foreign:  # another user's folder, or a link to files that must not be deleted
        folder = Path(tempfile.mkdtemp(prefix="smallvit-", dir=parent))
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def delete_old_files(folder: Path) -> None:
    """Delete old files in a folder and its subfolders, then the subfolders that are empty.

    A file is old after `MAX_UPLOAD_AGE_SECONDS` by its ctime, which counts from when the file came to this folder.

    Gradio writes an upload into the folder itself, and moves it to a subfolder when it is complete. One that broke off
    stays where it is, so it is deleted after a pause of `MAX_UPLOAD_PAUSE_SECONDS`.
    """
    for path in sorted(folder.rglob("*"), reverse=True):  # the content of a folder before the folder
        try:
            if path.is_dir():
                # An upload may just have made a young folder.
                if time.time() - path.stat().st_ctime > MAX_UPLOAD_AGE_SECONDS:
                    path.rmdir()
                continue
            most = MAX_UPLOAD_PAUSE_SECONDS if path.parent == folder else MAX_UPLOAD_AGE_SECONDS
            if time.time() - path.lstat().st_ctime > most:
                path.unlink()
        except OSError:
            pass  # another process was faster, or the folder is not empty


def delete_old_files_regularly(blocks: gr.Blocks, folder: Path) -> None:
    """Delete old uploads now and every `UPLOAD_CLEANUP_SECONDS`, in a thread."""

    def run() -> None:
        while True:
            delete_old_files(folder)
            for paths in blocks.temp_file_sets:  # Gradio forgets only the files that it deleted itself
                paths -= {path for path in list(paths) if not os.path.exists(path)}
            time.sleep(UPLOAD_CLEANUP_SECONDS)

    threading.Thread(target=run, name="cleanup", daemon=True).start()
