"""Other libraries in environments of their own, each driven by one process: ready, then a round when told.

In: a library's name and the work (`write_work`). Out: a `Peer`, whose `round()` gives seconds. Environments are made
once, in $RECOMMENDER_PEERS or .venv-peers/, with the versions below.

    python -m bench.peers                 # make every environment, and say what cannot be had
    pytest --benchmark-only --peers bench/test_peers.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.peers.peer import ENVIRONMENTS, environment
from infer.cli import option, parse, run
from infer.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PeersConfig:
    """Options of `python -m bench.peers`."""

    only: str | None = option(None, f"one of {', '.join(ENVIRONMENTS)}")


def main(argv: Sequence[str]) -> None:
    """Parse, install, print."""
    config = parse(PeersConfig, argv, __doc__)
    if config.only is not None and config.only not in ENVIRONMENTS:
        raise InputError(f"--only is one of {', '.join(ENVIRONMENTS)}; found '{config.only}'")
    failed = []
    for name in [config.only] if config.only else ENVIRONMENTS:
        try:
            print(f"{name}: {environment(name)}")
        except InputError as error:
            failed.append(str(error))
    if failed:
        raise InputError("; ".join(failed))


if __name__ == "__main__":
    raise SystemExit(run(main))
