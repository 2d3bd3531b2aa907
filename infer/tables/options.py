"""How a table of interactions or items is read, where its user says so.

In: options of a command, or arguments of `infer.Recommender`. Out: a `TableOptions`, which travels with the path of
the table.

    TableOptions(user="customer", where="event = 'purchase'", repeats="keep")
"""

from dataclasses import dataclass, field

from infer.formats.layout import Layout


@dataclass(frozen=True)
class TableOptions:
    """How a table is read.

    user to genres: the names of its own columns, None for the usual ones (`infer.tables.columns.GUESSES`).
    drop_bad_rows: rows that cannot be used are dropped and counted, or refused.  split: the name of a column that says
    which rows are held out; None: no such column counts.  layout: how the file is written.  timestamp_format: how
    times are written, in the notation of strftime; None: found out (`infer.tables.timestamps`).
    order: what orders a user's rows: time; rows, if the table is oldest first and has no time; or none.
    where: SQL that is true of the rows that count; of the table's own columns.  event, event_weights: a column, and
    what each of its values counts (`view=1,purchase=5`), instead of a rating.  least_rating: rows with a lower rating
    do not count.  repeats: of a (user, item) that occurs more than once the latest row counts, or all rows are kept.
    Of `where`, `least_rating` and `repeats`, None is what the model was trained with, or no such rule.
    """

    user: str | None = None
    item: str | None = None
    timestamp: str | None = None
    rating: str | None = None
    title: str | None = None
    genres: str | None = None
    drop_bad_rows: bool = False
    split: str | None = None
    layout: Layout = field(default_factory=Layout)
    timestamp_format: str | None = None
    order: str = "time"
    where: str | None = None
    event: str | None = None
    event_weights: str | None = None
    least_rating: float | None = None
    repeats: str | None = None
