"""Whether tonight's lists may take the place of the earlier ones: figures, and limits for them.

In: figures (`infer.publishing.figures`). Out: the first that is beyond its limit, in words.

    verdict(figures, earlier.manifest["figures"], Limits(users=0.9))
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Beyond these, lists are held. Shares from 0 to 1.

    left_out: of the users, those without a list, at most.  unknown: of their interactions, those with items that the
    model does not know, at most.  popular: of the model's lists, those that equal the popular one, at most.
    fallback: of the users, those whose list the model did not make, at most.  rise: by how much each of these four may
    be above that of the earlier lists.  growth: users with a list, at most so many times as many as earlier.  Of the
    earlier lists, at least: users: of their users, those who have a list again.  rows: of the rows that a list has, for
    the same k.  coverage: of the items in any list.  overlap: of a user's items, those of the earlier list, on average.
    """

    left_out: float = 0.5
    unknown: float = 0.5
    popular: float = 0.9
    fallback: float = 0.5
    rise: float = 0.2
    growth: float = 2.0
    users: float = 0.8
    rows: float = 0.8
    coverage: float = 0.5
    overlap: float = 0.05


def verdict(figures: dict[str, Any], earlier: dict[str, Any] | None, limits: Limits) -> str | None:
    """Which figure is beyond its limit, in words; None if none is.

    figures: as of `figures_of` and, if there are earlier lists, `compared`.  earlier: those of the earlier lists.
    """
    return next(_breaches(figures, earlier, limits), None)


def _breaches(figures: dict[str, Any], earlier: dict[str, Any] | None, limits: Limits) -> Iterator[str]:
    if not figures["rows"]:
        yield f"nobody of {figures['users']:,} users has a list" + (
            f", as the model knows no item of their {figures['interactions']:,} interactions"
            if figures["unknown"] == figures["interactions"] > 0
            else ""
        )
    if figures["left_out"] > limits.left_out:
        yield f"{_percent(figures['left_out'])} of the users have no list, limit --max-left-out={limits.left_out:g}"
    if _share("unknown", figures) > limits.unknown:
        yield (
            f"{figures['unknown']:,} of {figures['interactions']:,} interactions are with items that the model does "
            f"not know, limit --max-unknown={limits.unknown:g}"
        )
    if figures["popular"] > limits.popular:
        yield f"{_percent(figures['popular'])} of the lists equal popularity, limit --max-popular={limits.popular:g}"
    if _share("fallback", figures) > limits.fallback:
        yield (
            f"{_percent(_share('fallback', figures))} of the users get a fallback list in place of the model's, "
            f"limit --max-fallback={limits.fallback:g}"
        )
    if earlier is None or not earlier["rows"]:
        return
    for name, words in (
        ("left_out", "users without a list"),
        ("unknown", "unknown items"),
        ("popular", "popular lists"),
        ("fallback", "fallback lists"),
    ):
        now, then = (_share(name, found) for found in (figures, earlier))
        if name == "fallback" and now:  # who had none was left out before there was a fallback
            now, then = now + figures["left_out"], then + earlier["left_out"]
        if now > then + limits.rise:
            rise = f"from {_percent(then)} to {_percent(now)}"
            yield f"the share of {words} rose {rise}, limit --max-rise={limits.rise:g}"
    if figures["listed"] > limits.growth * earlier["listed"]:
        yield (
            f"{figures['listed']:,} users have a list after {earlier['listed']:,}, limit --max-growth={limits.growth:g}"
        )
    again = figures["users_again"] / earlier["listed"]
    if again < limits.users:
        kinds = earlier.get("ids"), figures.get("ids")
        why = f"; user ids were {kinds[0]} and are {kinds[1]}" if None not in kinds and kinds[0] != kinds[1] else ""
        yield (
            f"{figures['users_again']:,} of the {earlier['listed']:,} users of the earlier lists have a list again "
            f"({_percent(again)}), limit --min-users={limits.users:g}{why}"
        )
    lengths = [found["rows"] / max(1, found["listed"]) for found in (figures, earlier)]
    filled = (lengths[0] / figures["k"]) / (lengths[1] / earlier["k"])
    if filled < limits.rows:
        yield (
            f"lists have {lengths[0]:.1f} of k={figures['k']} rows after {lengths[1]:.1f} of k={earlier['k']} "
            f"({_percent(filled)}), limit --min-rows={limits.rows:g}"
        )
    if figures["items"] < limits.coverage * figures["items_earlier"]:
        yield (
            f"{figures['items']:,} items are in any list after {figures['items_earlier']:,} "
            f"({_percent(figures['items'] / figures['items_earlier'])}), limit --min-coverage={limits.coverage:g}"
        )
    if figures["overlap"] is not None and figures["overlap"] < limits.overlap:
        yield (
            f"lists share {_percent(figures['overlap'])} of their items with the earlier ones, "
            f"limit --min-overlap={limits.overlap:g}"
        )


def told(figures: dict[str, Any]) -> str:
    """The figures in one line."""
    line = (
        f"{figures['listed']:,} of {figures['users']:,} users listed, {_percent(figures['left_out'])} left out; "
        f"lists cover {_percent(figures['coverage'])} of the items, {_percent(figures['popular'])} equal popularity"
    )
    if figures.get("fallback"):
        line += f"; {figures['fallback']:,} lists are the fallback's"
    if figures.get("emptied"):
        line += f"; nothing is left for {figures['emptied']:,} users"
    if figures["score_min"] is not None:
        line += f"; scores {figures['score_min']:.4g} to {figures['score_max']:.4g}"
    if "earlier" in figures:
        overlap = "" if figures["overlap"] is None else f", lists overlap {_percent(figures['overlap'])}"
        line += (
            f"; beside {figures['earlier']}: {figures['users_again']:,} users again, {figures['users_new']:,} new, "
            f"{figures['users_gone']:,} gone{overlap}, {figures['items_new']:,} items new, "
            f"{figures['items_gone']:,} gone"
        )
    return line


def _share(name: str, figures: dict[str, Any]) -> float:
    """A figure as a share of what it is counted among."""
    among = {"unknown": "interactions", "fallback": "users"}.get(name)
    return float(figures[name] if among is None else figures.get(name, 0) / max(1, figures[among]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
