"""Places that results go to: looked at before the work, so that none is lost to a place that cannot take it."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.errors import RunFailure, UserError

RESULT, PAGE = "result.json", "report.html"
OURS = ("control", "claims", "shock", "faults")
"""Keys of which every result of an experiment has one."""


def named_after(name: str, changes: Mapping[str, Any]) -> Path:
    """Return the folder `results/<name>`, with a digest of overrides: what they change does not replace the plain."""
    if changes:
        name += f"-{hashlib.sha256(json.dumps(changes, sort_keys=True, default=str).encode()).hexdigest()[:6]}"
    return Path("results") / name


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a result as JSON, atomically; RunFailure where the disk refuses."""
    from experiments.parts import write_text

    target = Path(path)
    write_text(target, json.dumps(content, indent=1, allow_nan=False))
    return target


def check_folder(folder: Path) -> None:
    """Refuse a folder for the result of an experiment: UserError if it would overwrite something else.

    RunFailure if nothing can be written there. A folder that is not there yet is not there afterwards.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name another place with --out")
    if (folder / RESULT).exists() and not _is_ours(folder / RESULT):
        raise UserError(f"{folder / RESULT} is not the result of an experiment; name another place with --out")
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_to_write(folder)
    except OSError as error:
        raise RunFailure(f"cannot write results to {folder}: {error.strerror}") from error
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()


def check_file(path: Path) -> None:
    """Refuse a file for a result whose folder takes none, or that is a folder; its folder is made."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file with --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _try_to_write(path.parent)
    except OSError as error:
        raise RunFailure(f"cannot write {path}: {error.strerror}") from error


def _try_to_write(folder: Path) -> None:
    trial = folder / f".trial-{os.getpid()}.tmp"
    trial.touch()
    trial.unlink()


def _is_ours(path: Path) -> bool:
    """Whether a file is a result that an experiment wrote."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and any(key in content for key in OURS)
