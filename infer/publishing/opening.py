"""Where lists are published: beside a path, or at an address in the cloud.

In: what was given as `--output` or `--lists`. Out: its publications, and what a run writes into.

    publications_at(place("s3://shop/lists/hybrid.topk.parquet")).current()
"""

from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from infer.publishing.cloud import CloudPublications
from infer.publishing.cloud_output import CloudOutput
from infer.publishing.output import Output
from infer.publishing.publications import Publications
from infer.system.addresses import Address

# Whoever opens an address a second time finds what was fetched for the first.
_OPEN: WeakValueDictionary[str, CloudPublications] = WeakValueDictionary()


def publications_at(output: Path) -> Publications:
    """Raises InputError if there can be none."""
    if not isinstance(output, Address):
        return Publications(output)
    found = _OPEN.get(output.text)
    if found is None:
        found = _OPEN[output.text] = CloudPublications(output)
    return found


def output_of(publications: Publications, plan: dict[str, Any]) -> Output:
    """What a run of this plan writes into."""
    if isinstance(publications, CloudPublications):
        return CloudOutput(publications, plan)
    return Output(publications, plan)
