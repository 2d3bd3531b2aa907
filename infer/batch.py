"""Score every user of a table with one ONNX file: top-k lists and metrics.

In: a model written by `python -m export` and interactions (the table the model was trained on, or
--interactions FILE). Out: MODEL.topk.parquet, a folder of Parquet files (user, rank, item, score);
MODEL.topk.json, its manifest; and MODEL.metrics.json. The three change together, in one step.

    python -m infer.batch --model hybrid.onnx
    python -m infer.batch --model hybrid.onnx --interactions tonight.csv --production

If the table carries the leave-one-out split, each history ends just before the held-out item and
the metrics are of that item: lists for measuring. With --production, and where there is no split, whole histories
are used: lists to serve. Items of the history are not recommended, unless --seen says so. Users whom the model cannot
personalise are left out, counted, and count as misses in the metrics, unless --fallback gives them popular items.

Before lists take the place of the earlier ones they are compared with them. If a figure is beyond its limit the
earlier lists stay, tonight's are held beside them, and the exit status is 3. `python -m infer.compare` shows both,
`python -m infer.rollback` goes back to earlier lists.

With --to the published lists are delivered, too, as by `python -m infer.deliver`; if that fails, the lists stay
published, and the same command delivers them.

A run that was stopped can be resumed with the same command, and its output is byte-identical; until it is
complete, the earlier lists stay. Machines with a common folder share the work with --shard 1/2 and --shard 2/2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from infer.cli import option, parse, run, say
from infer.cluster.joining import prepare
from infer.cluster.options import Cluster, ClusterConfig
from infer.delivery.delivering import delivered_after, warn_of_target
from infer.delivery.options import DeliveryConfig
from infer.errors import InputError
from infer.metrics.rendering import accuracy, beyond_lines, render
from infer.model.session import find_model
from infer.publishing import gate
from infer.publishing.gate import Limits
from infer.publishing.opening import publications_at
from infer.publishing.publications import Publications
from infer.publishing.recovery import abandon
from infer.scoring.extras import ExtraTables
from infer.scoring.job import Job, checked_sha256
from infer.scoring.options import FallbackConfig, ScoringConfig
from infer.scoring.outcome import Outcome
from infer.scoring.plan import Settings
from infer.scoring.run import score_table
from infer.scoring.shared import check_once
from infer.scoring.totals import BEFORE, Totals, name_of
from infer.scoring.variety import VarietyConfig
from infer.scoring.work import Engine, in_this_process
from infer.sources.source import PART_USERS
from infer.system.addresses import Address
from infer.system.stages import Stages
from infer.tables.columns import TEST

MEASURED = {"production": (False,), "metrics": (True,)}  # what options of metrics are for


@dataclass(frozen=True, kw_only=True)
class BatchConfig(ClusterConfig, DeliveryConfig, VarietyConfig, FallbackConfig, ScoringConfig):
    """Options of `python -m infer.batch`."""

    model: Path = option(
        MISSING, "model file; looked for as given, then in artifacts/; or its address, as s3://...", address=True
    )
    k: int = option(10, "items in each list", minimum=1)
    batch_size: int = option(256, "users scored at once, at most", minimum=1)
    users: str | None = option(None, "only these: ids separated by commas, or a file with one id a line", files=True)
    merge: bool = option(False, "with --users: keep the earlier lists of all other users")
    output: Path | None = option(
        None,
        "where the lists go, a path or an address, as s3://... (default: MODEL.topk.parquet, with --users "
        "MODEL.users.parquet)",
        address=True,
    )
    split: Literal["validation", "test"] = option(TEST, "which held-out item the metrics are of", only=MEASURED)
    production: bool = option(False, "lists to serve: whole histories, nothing held out or measured")
    metrics: bool = option(True, "measure the held-out items if the table has a split")
    seed: int = option(0, "seed of the random baseline", minimum=0, only=MEASURED)
    shard: str = option("1/1", "I/N: score every N-th part, from the I-th; all machines write into one folder")
    only_changed: bool = option(False, "score users whose history has changed; keep the earlier lists of the others")
    restart: bool = option(False, "drop an unfinished run and begin anew")
    part_users: int = option(PART_USERS, "users in one file of lists, at most", minimum=1)
    max_age: str | None = option(
        None, "refuse a table whose newest event is older, as 12h, 2d or 1w (default: none is)"
    )
    max_left_out: float = option(0.5, "limit: share of users without a list", minimum=0)
    max_unknown: float = option(0.5, "limit: share of interactions with items that the model does not know", minimum=0)
    max_popular: float = option(0.9, "limit: share of lists that equal the popular one", minimum=0)
    max_fallback: float = option(0.5, "limit: share of users with a list that is the fallback's", minimum=0)
    max_rise: float = option(0.2, "limit: rise of each of these four shares above the earlier ones", minimum=0)
    max_growth: float = option(2.0, "limit: users with a list, as a multiple of the earlier ones", minimum=0)
    min_users: float = option(0.8, "limit: share of the earlier lists' users who are listed again", minimum=0)
    min_rows: float = option(
        0.8, "limit: rows of a list, as a share of those of the earlier ones, for the same k", minimum=0
    )
    min_coverage: float = option(0.5, "limit: items in any list, as a share of the earlier ones", minimum=0)
    min_overlap: float = option(0.05, "limit: share of a list's items that were in the earlier list", minimum=0)
    figures: bool = option(True, "say what lists are like beyond accuracy: coverage, Gini, popularity and more")
    user_groups: Path | None = option(
        None, "table of users: figures beyond accuracy for each group of them", address=True
    )
    group_column: str | None = option(None, "its column of groups (default: the only one beside the user)")
    reasons: int = option(
        0, "name so many items of the history for each recommendation, in a column `because`", minimum=0
    )
    accept: bool = option(False, "publish lists although a limit holds them")
    keep: int = option(3, "publications to keep, this one included", minimum=1)

    @property
    def share(self) -> tuple[int, int]:
        """Which part of the work, from 0, and of how many; raises InputError if it is not I/N."""
        first, _, of = self.shard.partition("/")
        if not (first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
            raise InputError(f"--shard is I/N with I from 1 to N; found '{self.shard}'")
        return int(first) - 1, int(of)

    @property
    def has_baselines(self) -> bool:
        """Whether baselines are measured beside the lists, where the table has held-out items."""
        return self.metrics and not self.production

    @property
    def publications(self) -> Publications:
        """Where the lists go."""
        if self.output is not None:
            return publications_at(self.output)
        if isinstance(self.model, Address):
            raise InputError(f"--model {self.model} is an address: say where the lists go with --output")
        model = find_model(self.model)
        return Publications(model.with_suffix(".users.parquet" if self.users and not self.merge else ".topk.parquet"))

    @property
    def limits(self) -> Limits:
        """Beyond which lists are held."""
        return Limits(
            left_out=self.max_left_out,
            unknown=self.max_unknown,
            popular=self.max_popular,
            fallback=self.max_fallback,
            rise=self.max_rise,
            growth=self.max_growth,
            users=self.min_users,
            rows=self.min_rows,
            coverage=self.min_coverage,
            overlap=self.min_overlap,
        )

    @property
    def extras(self) -> ExtraTables | None:
        """What figures beyond accuracy are made with; raises InputError if it is given without them."""
        tables = ExtraTables(self.items, self.user_groups, self.group_column, self.user_column)
        if self.figures:
            return tables
        given = [name for name in ("user_groups", "group_column") if getattr(self, name) is not None]
        if given:
            raise InputError(f"--{given[0].replace('_', '-')} is for figures beyond accuracy: leave out --no-figures")
        return None

    @property
    def settings(self) -> Settings:
        """These options as the library takes them; raises InputError as `share` does."""
        return Settings(
            k=self.k,
            batch_size=self.batch_size,
            users=self.users,
            merge=self.merge,
            seed=self.seed,
            share=self.share,
            only_changed=self.only_changed,
            restart=self.restart,
            part_users=self.part_users,
            limits=self.limits,
            accept=self.accept,
            keep=self.keep,
            max_age=self.max_age,
            fallback=self.fallback_options,
            variety=self.variety,
            reasons=self.reasons,
            options=asdict(self),
            extras=self.extras,
        )


def main(argv: Sequence[str]) -> None:
    """Parse, score, print."""
    config = parse(BatchConfig, argv, __doc__)
    settings, stages, publications = config.settings, Stages(), config.publications
    cluster = config.cluster(config.device, config.threads)
    if cluster is not None and any(isinstance(place, Address) for place in (config.model, config.output)):
        raise InputError(
            "with --engine=ray, model and lists are in folders that all machines see: give paths, not addresses"
        )
    engine = _engine(cluster)
    publications.check()
    _, of = config.share
    beside = None if isinstance(config.model, Address) else find_model(config.model).parent
    delivery = config.delivery(beside, config.table_options)
    if delivery is not None:
        warn_of_target(delivery)
    try:
        with stages("open"):
            check = check_once(publications) if of > 1 else checked_sha256
            # Where workers run the model, this machine only reads what its file says.
            opening = config if cluster is None else replace(config, device="cpu", threads=1)
            job = opening.job(config.has_baselines, check)
    except InputError:
        abandon(publications, work=False)
        raise
    outcome = score_table(job, publications.lists, settings, stages, engine)
    say("\n".join(told(job, config, outcome, stages)))
    if delivery is not None and outcome.publication is not None:
        say("\n".join(delivered_after(publications.lists, delivery).told()))


def _engine(cluster: Cluster | None) -> Engine:
    """Who scores the parts; raises InputError if Ray is not installed."""
    if cluster is None:
        return in_this_process
    prepare(cluster)
    from infer.cluster.engine import on_ray  # which imports Ray

    return on_ray(cluster)


def told(job: Job, config: BatchConfig, found: Outcome, stages: Stages) -> Iterator[str]:
    """What a run did, line by line."""
    if found.already:
        yield f"nothing to do: {found.folder} holds the lists of this model, table and options"
        return
    if found.resumed:
        yield f"going on: {found.resumed} users were scored before"
    if found.publication is None:
        yield f"{found.ready} of {found.parts} parts are there: the lists appear when the other shares are done"
        return
    manifest = found.manifest
    for line in manifest["notes"]:
        yield f"{job.table}: {line}"
    yield from _left_out(job, found.totals, manifest)
    totals, keeps = found.totals, config.only_changed or config.merge
    yield (
        f"{job.model.path.stem} on {job.data}: {manifest['figures']['listed']} users, {found.rows} recommendations "
        f"-> {found.folder}" + (f"; {found.scored} users scored anew" if keeps else "")
    )
    pointer = publications_at(found.folder).pointer
    if pointer is not None:
        yield f"readers find them through {pointer}"
    yield f"publication {found.publication.name}: {gate.told(manifest['figures'])}"
    if manifest["beyond"]:
        yield f"accepted although {manifest['beyond']}"
    if job.split is not None:
        yield (
            f"note: histories end before the held-out {job.split} items, for measuring; for lists to serve give "
            "--production"
        )
    if found.metrics is not None:
        metrics = publications_at(found.folder).metrics
        yield f"held-out {config.split} items of {totals.measured} users, 95% intervals -> {metrics}"
        if totals.repeat_targets:
            yield (
                f"{totals.repeat_targets} of the held-out items were in their user's history (rep), "
                f"{totals.measured - totals.repeat_targets} are new to them"
            )
        if totals.excluded:
            yield f"{totals.excluded} of the held-out items may not be recommended under the rules: they are misses"
        yield render(accuracy(found.metrics))
        if BEFORE in found.metrics:
            yield _price(found.metrics, name_of(job.model.path.stem), config.k)
    elif job.split is None:
        unmeasured = "--production" if config.production else "--no-metrics"
        why = f"{job.table} carries no split" if config.has_baselines else unmeasured
        yield f"no metrics ({why}): whole histories used"
    else:
        yield "no metrics: none of these users has a held-out item"
    yield from beyond_lines(manifest.get("beyond_accuracy"), name_of(job.model.path.stem))
    engine = manifest.get("engine")
    if engine is not None:
        yield _workers(engine)
    rate = f"{found.own / max(1e-9, stages.elapsed):.0f} users/s; " if found.own else ""  # not of what others scored
    yield f"{rate}{stages}"


def _workers(engine: dict[str, Any]) -> str:
    """What the workers of a cluster did, in their own seconds together."""
    seconds = ", ".join(f"{name} {value:.2f} s" for name, value in engine["seconds"].items())
    lost = f", {engine['lost']} lost on the way" if engine["lost"] else ""
    peak = engine["peak_memory_bytes"] / 2**20
    there = " on ".join(
        f"{engine[what]} {what.removesuffix('s' * (engine[what] == 1))}" for what in ("workers", "nodes")
    )
    return f"{there}{lost}: {seconds}; peak memory of one {peak:.0f} MiB"


def _price(metrics: dict[str, pl.DataFrame], name: str, k: int) -> str:
    """What re-ranking costs."""
    before, after = (
        metrics[column].row(by_predicate=pl.col("metric") == f"ndcg@{k}", named=True)["value"]
        for column in (BEFORE, name)
    )
    change = f" ({(after - before) / before:+.1%})" if before else ""
    return f"re-ranking takes ndcg@{k} from {before:.2%} to {after:.2%}{change}"


def _left_out(job: Job, totals: Totals, manifest: dict[str, Any]) -> Iterator[str]:
    name, fallback = job.model.path.name, manifest["plan"]["options"]["fallback"]
    if totals.cold:
        what = "left out:" if fallback is None else f"{fallback} items for"
        yield (
            f"{what} {totals.cold} of {totals.users} users whom {name} does not know "
            "(not in its training data, or without a known item in their history)"
        )
    figures = manifest["figures"]
    if figures["emptied"]:
        emptied, users = figures["emptied"], totals.users
        whom = f"the rules leave {emptied} of {users} users nothing"
        yield (whom if manifest["rules"] else f"{emptied} of {users} users have had every item") + (
            f"; {figures['refilled']} of them get {fallback} items" if fallback is not None else ""
        )
    if totals.unknown:
        yield f"left out: {totals.unknown} interactions with items that {name} does not know"
    if job.checksum != job.model.metadata.dataset_checksum and totals.measured:
        yield (
            f"note: {job.table} is not the table {name} was trained on "
            f"({job.model.metadata.dataset}); the model may have been trained on what is measured here"
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
