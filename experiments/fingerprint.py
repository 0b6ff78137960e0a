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
    digest = hashlib.sha256()
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"the package {name} is not installed")
        folder = Path(next(iter(spec.submodule_search_locations)))
        digest.update(folder_digest(folder, name).encode())
    digest.update(f"python {platform.python_version()}".encode())
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()


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
