"""What a command opens must be a file or a folder: a pipe without a writer would keep it waiting for ever. Its path, as
that of what it writes, must be UTF-8, as which Polars takes it.

In: a path that somebody named. Out: nothing, or InputError.

    python -c "from pathlib import Path; from infer.system.inputs import check_input; \
print(check_input(Path('ratings.csv')))"
"""

from pathlib import Path

from infer.errors import InputError


def check_input(path: Path) -> None:
    """Raises InputError if `path` is absent, neither a regular file nor a folder (links are followed), or not UTF-8."""
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is a pipe or device; expected a file: write what it gives into one first")
    check_path(path)


def check_path(path: Path) -> None:
    """Raises InputError if `path`, or the current folder that it stands in, is not UTF-8."""
    whole = str(path.absolute())
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise InputError(f"{whole} is no UTF-8 path in this locale: rename it, or set LC_ALL=C.UTF-8") from None
