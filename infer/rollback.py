"""Go back to earlier lists of an output, in one step: lists, manifest and metrics together.

In: an output of `python -m infer.batch`. Out: its publications, and readers who find another of them.

    python -m infer.rollback --output artifacts/hybrid.topk.parquet            to the one before
    python -m infer.rollback --output artifacts/hybrid.topk.parquet --to 12
    python -m infer.rollback --output artifacts/hybrid.topk.parquet --list     change nothing

The one before is what readers found when the current one was published, whatever has been gone back from since.
How many publications are kept is an option of `python -m infer.batch` (--keep). Going back removes none, so that
--to leads forward again; the next run is compared with the lists that readers find then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.publishing import gate
from infer.publishing.opening import publications_at
from infer.publishing.publication import Publication
from infer.publishing.publications import Publications
from infer.publishing.recovery import STORE, lock, recover


@dataclass(frozen=True, kw_only=True)
class RollbackConfig:
    """Options of `python -m infer.rollback`."""

    output: Path = option(MISSING, "the lists, as --output of infer.batch", address=True)
    to: int | None = option(
        None, "number of the publication (default: what readers found before the current one)", minimum=1
    )
    list: bool = option(False, "show the publications, change nothing")


def main(argv: Sequence[str]) -> None:
    """Parse, switch, print."""
    config = parse(RollbackConfig, argv, __doc__)
    publications = publications_at(config.output)
    publications.check()
    if publications.current() is None:
        raise InputError(f"{config.output} has no publications: score with `python -m infer.batch` first")
    if not config.list:
        go_back(publications, config.to)
    say("\n".join(told(publications)))


def go_back(publications: Publications, to: int | None) -> Publication:
    """Let readers find an earlier publication, by default what they found before the current one; returns it.

    Raises InputError if it is not there.
    """
    with lock(publications, STORE):
        recover(publications)
        current = publications.current()
        if to is None:
            before = publications.before(current)
            if not before:
                raise InputError(f"{publications.lists} has no publication before {current and current.name}")
            found = before[-1]
        else:
            found = publications.get(str(to))
        if found.damage is not None:
            raise InputError(found.damage)
        publications.switch(found.name)
        return found


def told(publications: Publications) -> Iterator[str]:
    """A line for each publication, the current one marked."""
    current = publications.current()
    for publication in publications.all():
        mark = "*" if current is not None and publication.name == current.name else " "
        yield f"{mark} {publication.name}  {publication.damage or gate.told(publication.manifest['figures'])}"


if __name__ == "__main__":
    raise SystemExit(run(main))
