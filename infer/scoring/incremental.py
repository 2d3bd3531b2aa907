"""Users whose history is as it was at an earlier run keep the lists they had.

In: the folder of an earlier run. Out: its lists, user by user.
"""

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.scoring.output import Output, read_json
from infer.tables.columns import USER

HISTORY = "history"


class Earlier:
    """The published lists of an earlier run, for users whose history has not changed since."""

    def __init__(self, output: Output) -> None:
        """Raises InputError if there is no earlier run with the same model and options."""
        manifest = read_json(output.manifest)
        if not isinstance(manifest, dict) or not output.folder.is_dir() or not output.users.is_file():
            raise InputError(f"--only-changed: there are no complete lists at {output.folder}; score everyone first")
        for key in ("model", "options"):
            if manifest.get("plan", {}).get(key) != output.plan[key]:
                raise InputError(
                    f"--only-changed: {output.folder} was made with another {key}; score everyone again without it"
                )
        self.digest = manifest["digest"]
        files = sorted(output.folder.glob("part-*.parquet"))
        if any(pl.read_parquet_metadata(path).get("plan") != self.digest for path in [*files, output.users]):
            raise InputError(f"--only-changed: {output.folder} and {output.manifest} are of different runs; score all")
        self.lists = pl.scan_parquet(files, glob=False)
        self.users = pl.scan_parquet(output.users, glob=False)

    def unchanged(self, users: pl.DataFrame) -> tuple[np.ndarray, pl.DataFrame]:
        """Which of consecutive users (user, history) are as they were: (users,) bool, and their lists."""
        inside = pl.col(USER).is_between(pl.lit(users[USER][0]), pl.lit(users[USER][-1]))  # texts would be columns
        known = self.users.filter(inside).collect()
        same = users.join(known, on=[USER, HISTORY], how="left", maintain_order="left", coalesce=False)
        mask = same[f"{USER}_right"].is_not_null()
        lists = self.lists.filter(inside).collect()
        return mask.to_numpy(), lists.filter(pl.col(USER).is_in(users[USER].filter(mask).implode()))
