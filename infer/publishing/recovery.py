"""What any process may do to an output that another has left: lock it, complete what was decided, clear up.

In: publications. Out: a lock, or publications without anything unfinished.

    with lock(publications, STORE): recover(publications)
"""

import contextlib
import shutil

from infer.errors import InputError, first_line
from infer.publishing.publication import MANIFEST, NUMBER
from infer.publishing.publications import WORK, Publications
from infer.system.locks import is_locked, locked

STORE = "store"  # the lock of whoever changes what others may see or use


def lock(publications: Publications, name: str, wait: bool = True) -> contextlib.AbstractContextManager[None]:
    """Hold a lock of an output; see `infer.system.locks.locked`."""
    return locked(publications.store / "locks" / f"{name}.lock", wait)


def busy(publications: Publications, except_lock: str = "", of: str = "share-*") -> str:
    """The name of a lock that some process holds just now, by default of a share; empty if there is none."""
    locks = publications.store / "locks"
    names = sorted(path.stem for path in locks.glob(f"{of}.lock"))
    return next((name for name in names if name != except_lock and is_locked(locks / f"{name}.lock")), "")


def abandon(publications: Publications, work: bool) -> None:
    """Leave nothing of a run that came to nothing, unless others work on it; work: drop what is there of it, too."""
    if not publications.store.exists():
        return
    folder = publications.store / WORK
    with contextlib.suppress(InputError), lock(publications, STORE):  # what was raised before says more
        if not busy(publications, except_lock=STORE, of="*"):
            if (work or not (folder / "plan.json").exists()) and not (folder / "number").exists():  # else it is decided
                discard(publications)
            publications.remove_if_empty()


def discard(publications: Publications) -> None:
    """Remove the work folder; the plan first, without which nobody goes on with what is left of it."""
    with contextlib.suppress(OSError):
        (publications.store / WORK / "plan.json").unlink(missing_ok=True)
    shutil.rmtree(publications.store / WORK, ignore_errors=True)


def recover(publications: Publications, keep: int | None = None) -> bool:
    """Finish a publication that was decided and not completed; returns whether there was one.

    keep: how many publications, None for all.  Whoever calls holds the lock `store`.
    """
    work = publications.store / WORK
    if not (work / "number").exists():
        return False
    name = (work / "number").read_text(encoding="utf-8")
    made, place = work / "publication", publications.store / name
    before = (made / MANIFEST).exists() and not place.exists()
    after = (place / MANIFEST).exists() and not made.exists()
    if not NUMBER.fullmatch(name) or not (before or after):  # nothing that `publish` leaves: not decided
        (work / "number").unlink()
        return False
    try:
        if before:
            made.rename(place)
        publications.switch(name)
        if keep is not None:
            publications.prune(keep)
    except OSError as error:
        raise InputError(
            f"cannot write {publications.lists}: {first_line(error)}; {publications.lists} is as it was, the next run "
            "completes it"
        ) from None
    discard(publications)
    return True
