"""What a command opens must be a file or a folder: a pipe without a writer would keep it waiting for ever.

In: a path that somebody named. Out: nothing, or InputError.

    python -c "from pathlib import Path; from infer.system.inputs import check_input; \
print(check_input(Path('ratings.csv')))"
"""

from pathlib import Path

from infer.errors import InputError


def check_input(path: Path) -> None:
    """Raises InputError if `path` is absent, or neither a regular file nor a folder (links are followed)."""
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is a pipe or device; expected a file: write what it gives into one first")
