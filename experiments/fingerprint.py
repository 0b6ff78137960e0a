"""The fingerprint of the code that makes the numbers: equal fingerprints mean equal bits on one machine."""

import ast
import hashlib
import importlib.util
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("agents", "ecosystem")
LIBRARIES = ("numpy", "scipy", "mesa", "networkx")


@cache
def fingerprint() -> str:
    """SHA-256 over the model's code, its data files and the versions it computes with, as 64 hex digits.

    Comments, docstrings and layout do not count. Computed once a process, without importing the model.
    """
    stamp()
    digest = hashlib.sha256()
    for name, folder in _folders():
        digest.update(folder_digest(folder, name).encode())
    for line in _versions():
        digest.update(line.encode())
    return digest.hexdigest()


@cache
def stamp() -> str:
    """Digest of where the model's files are, of their sizes and times, and of the versions: known in milliseconds.

    Taken once a process, no later than the fingerprint: processes of equal stamps have equal fingerprints.
    """
    digest = hashlib.sha256()
    for _, folder in _folders():
        for path in sorted(_files(folder)):
            status = path.stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    for line in _versions():
        digest.update(line.encode())
    return digest.hexdigest()


def _folders() -> Iterator[tuple[str, Path]]:
    """The packages of the model and where they are."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"the package {name} is not installed")
        yield name, Path(next(iter(spec.submodule_search_locations)))


def _versions() -> Iterator[str]:
    """The versions that the model computes with."""
    yield f"python {platform.python_version()}"
    for library in LIBRARIES:
        yield f"{library} {version(library)}"


def folder_digest(folder: Path, name: str) -> str:
    """Digest of all files below a folder: syntax trees of Python files, bytes of the others."""
    return files_digest(folder, name, _files(folder))


def files_digest(folder: Path, name: str, files: Iterable[Path]) -> str:
    """Digest of some files below a folder: syntax trees of Python files, bytes of the others."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        content = syntax_digest(path) if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}/{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def syntax_digest(path: Path) -> str:
    """Digest of a Python file's syntax tree without docstrings."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    _drop_docstrings(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All files that belong to the code: neither hidden nor compiled."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _drop_docstrings(node: ast.AST) -> None:
    """Replace the docstring of a module, class or function, and of all inside it, by nothing."""
    for child in getattr(node, "body", ()):
        if isinstance(child, ast.stmt):
            _drop_docstrings(child)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        match node.body:
            case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                node.body = rest
