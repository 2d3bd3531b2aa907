"""Where the files of a training lie in the artifacts folder.

In: the folder and the model's name. Out: paths.

    Places(Path("artifacts"), "bert").finished
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where the files of a training lie."""

    artifacts: Path
    name: str

    @property
    def finished(self) -> Path:
        """The trained model."""
        return self.artifacts / f"{self.name}.pt"

    @property
    def partial(self) -> Path:
        """The state of an interrupted run."""
        return self.artifacts / f"{self.name}.partial.pt"

    @property
    def state(self) -> Path:
        """The state of a finished run, for it to be extended."""
        return self.artifacts / f"{self.name}.state.pt"

    @property
    def history(self) -> Path:
        """A row an epoch."""
        return self.artifacts / f"{self.name}.history.parquet"

    @property
    def lock(self) -> Path:
        """Held while it is trained; what is left of a process that was killed."""
        return self.artifacts / "locks" / f"{self.name}.train.lock"

    @property
    def written(self) -> list[Path]:
        """All that a training leaves."""
        return [self.finished, self.partial, self.state, self.history]
