"""How the page names paths: visitors must not see where files lie on the server."""

from pathlib import Path

from smallvit.errors import UserError

ROOT = Path(__file__).parents[3]


def shown_path(path: Path) -> str:
    """Return the path of a model folder within the project, else its name only."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def hide_folder(error: UserError, path: str | Path) -> str:
    """Return the message of an error about `path` with the path's last part only."""
    path = Path(path)
    return str(error).replace(str(path), path.name) if len(path.parts) > 1 else str(error)
