"""Whether complete lists are published or held.

In: a run's output with its manifest written. Out: the publication, or HeldError; what the figures were stands in the
manifest either way.

    with output.locked(STORE): decide(output, Settings(accept=True))
"""

from typing import Any

import polars as pl

from infer.candidates.given import other_rules
from infer.errors import HeldError, InputError, first_line
from infer.publishing.figures import compared
from infer.publishing.gate import verdict
from infer.publishing.output import Output
from infer.publishing.publication import FOLLOWS, MANIFEST, Publication, read_json
from infer.scoring.outcome import Outcome
from infer.scoring.plan import Settings


def decide(output: Output, settings: Settings) -> Publication:
    """Publish the complete lists, or raise HeldError; whoever calls holds the lock `store`."""
    about: dict[str, Any] = read_json(output.publication.folder / MANIFEST)
    current, unread = output.publications.current(), None
    if current is not None and current.damage is not None:
        unread = current.damage
        current = None
    # Lists of other users say nothing about these.
    if current is not None and current.manifest["plan"]["users"] != output.plan["users"]:
        current = None
    earlier = None
    if current is not None:
        try:
            about["figures"] |= compared(output.publication, about["parts"], settings.k, current)
            earlier = current.manifest["figures"]
        except (OSError, pl.exceptions.PolarsError) as error:
            unread = f"the earlier lists in {current.folder} cannot be read ({first_line(error)})"
    about["beyond"] = unread or verdict(about["figures"], earlier, settings.limits)
    others = [] if current is None else other_rules(output.plan, current.manifest["plan"])
    if about["beyond"] and others:
        about["beyond"] += f"; the earlier lists are of other rules ({', '.join(others)})"
    about[FOLLOWS] = output.follows
    output.describe(about)
    if about["beyond"] and not settings.accept:
        output.hold()
        raise _held(output, about["beyond"])
    return output.publish(settings.keep)


def done_by_another(output: Output) -> Outcome:
    """What another share decided while this one scored its last part."""
    lists, held = output.publications.lists, output.publications.held()
    if output.is_published():
        return Outcome(lists, already=True, publication=output.publications.current())
    if held is not None and held.manifest["digest"] == output.digest:
        raise _held(output, held.manifest["beyond"])
    raise InputError(f"{output.work} was dropped by another process while this one scored: run again")


def _held(output: Output, reason: str) -> HeldError:
    held = output.publications.held()
    place = output.publications.place / "held" if held is None else held.folder
    return HeldError(
        f"held: {reason}; {output.publications.lists} is as it was, tonight's lists are in {place}/lists; "
        "the same command with --accept publishes them"
    )
