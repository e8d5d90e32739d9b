"""Where a result comes from: the commit of the code and the versions of what computed it."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from smallvit import __version__
from smallvit.device.backend import backend_version


def git_commit() -> str | None:
    """The commit of the running code, with "-dirty" if files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if status else commit


def versions() -> dict[str, str]:
    """The versions for `Record.versions`."""
    return {
        "smallvit": __version__,
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend": backend_version(),
        "numpy": version("numpy"),
    }
