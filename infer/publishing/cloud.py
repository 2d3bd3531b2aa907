"""The publications of an output in the cloud: what `infer.publishing.publications` is on a disk.

In: an address, as s3://shop/lists/hybrid.topk.parquet. Out: its publications, by number (`infer.publishing.catalogue`).

    python -m infer.rollback --output s3://shop/lists/hybrid.topk.parquet

Their files are read from copies in a temporary folder, which come when they are first asked for, and go with the
object. Nothing is written there but `current.json` and what lies below a number that this output has taken.
"""

import logging
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from infer.errors import InputError
from infer.publishing import catalogue
from infer.publishing.catalogue import CURRENT_FILE, Catalogue
from infer.publishing.publication import LISTS, MANIFEST, METRICS, NUMBER, USERS, Publication
from infer.publishing.publications import HELD, Publications
from infer.system.addresses import Address, path_name
from infer.system.objects import Objects
from infer.system.scratch import scratch
from infer.system.stores import check_address

log = logging.getLogger(__name__)


class Copied(Address):
    """An object that is opened from its copy, and told by its address; so is what lies below."""

    def __truediv__(self, name: object) -> "Copied":
        assert self.copy is not None
        return Copied(f"{self.text}/{name}", self.copy / str(name))


@dataclass(frozen=True)
class CloudPublication(Publication):
    """A publication whose files come when they are asked for. owner: which has the copies.  label: its name, if that is
    not its number."""

    owner: "CloudPublications" = field(repr=False)
    label: str | None = None

    @property
    def name(self) -> str:
        """Its number, or `held`."""
        return self.label or self.folder.name

    def file(self, *names: str) -> Path:
        """A file of it; raises InputError if the store cannot be reached."""
        path = self.folder
        for name in names:
            path = path / name
        if not path.exists():
            if names[0] in (LISTS, USERS):
                self._bring(names[0])  # whoever asks for one asks for all
            else:
                assert isinstance(path, Copied) and path.copy is not None
                self.owner.objects.download("/".join((self.folder.name, *names)), path.copy)
        return path

    def _bring(self, kind: str) -> None:
        folder = self.folder / kind
        assert isinstance(folder, Copied) and folder.copy is not None
        names = (str(part["file"]) for part in self.manifest["parts"])
        missing = [name for name in names if not (folder.copy / name).exists()]
        self.owner.objects.fetch({f"{self.folder.name}/{kind}/{name}": folder.copy / name for name in missing})


class CloudPublications(Publications):
    """All publications of one output. store: a temporary folder, for copies and for what is being written."""

    def __init__(self, output: Address) -> None:
        """Raises InputError if the name does not end in .parquet, or the address is none that is written to."""
        check_address("--output", output)
        name = path_name(output)
        stem = name.removesuffix(".parquet")
        if not stem or stem == name or output.text.endswith("/"):
            raise InputError(f"--output {output}: expected a name that ends in .parquet")
        self.lists = output
        self.address = Address(f"{output.text.removesuffix('.parquet')}.publications")
        self.objects = Objects(self.address)
        self._copies = Path(tempfile.mkdtemp(dir=scratch()))
        weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)

    @property
    def store(self) -> Path:
        """The temporary folder."""
        return self._copies

    @property
    def work(self) -> Path:
        """A new folder for each run of this process."""
        return Path(tempfile.mkdtemp(prefix="work-", dir=self._copies))

    @property
    def place(self) -> Path:
        """The address of all publications."""
        return self.address

    @property
    def pointer(self) -> Address:
        """The object that says what readers find."""
        return Address(f"{self.address.text}/{CURRENT_FILE}")

    @property
    def metrics(self) -> Path:
        """The metrics of the current publication."""
        return Address(f"{self.address.text}/{self.catalogue().current}/{METRICS}")

    @property
    def stamp(self) -> tuple[str, int]:
        """The number of what readers find, which never comes again."""
        return self.catalogue().current or "", 0

    def catalogue(self) -> Catalogue:
        """What is there now; raises InputError if it cannot be read, or is somebody else's."""
        found = catalogue.read(self.objects)
        return Catalogue() if found is None else found[0]

    def check(self, inputs: Sequence[Path] = ()) -> None:
        """Raises InputError if the place cannot be read, or is somebody else's."""
        self.catalogue()

    def create(self) -> None:
        """Make the place, or raise InputError if the store refuses."""
        catalogue.create(self.objects)

    def remove_if_empty(self) -> None:
        """Nothing: another process may be about to use it."""

    def all(self) -> list[Publication]:
        """Everything that was published and is still there, in the order of publication."""
        return [self.publication(name) for name in self.catalogue().published]

    def current(self) -> Publication | None:
        """The lists that readers find now; None if there are none."""
        name = self.catalogue().current
        return None if name is None else self.publication(name)

    def held(self) -> Publication | None:
        """The complete lists that were last kept from publication, if they are still there."""
        held = self.catalogue().held
        return None if held is None else self.publication(held[0], HELD)

    def publication(self, name: str, label: str | None = None) -> CloudPublication:
        """A publication by its number; label: its name, if that is another."""
        return CloudPublication(Copied(f"{self.address.text}/{name}", self._copies / name), self, label)

    def switch(self, name: str) -> None:
        """Let readers find a publication instead of another, in one step."""

        def altered(known: Catalogue) -> Catalogue:
            if name not in known.published:
                raise InputError(f"{self.address} has no publication {name} any more")
            return replace(known, current=name)

        catalogue.change(self.objects, altered)

    def _earlier(self, name: str, names: Sequence[str]) -> Sequence[str]:
        return names[: names.index(name)] if name in names else []

    def sweep(self) -> None:
        """Remove files of numbers that were taken and are in use no more; what cannot be removed is left for later."""
        try:
            folders = [name for name in self.objects.folders() if NUMBER.fullmatch(name)]
            known = self.catalogue()  # read last: whatever was listed and is in use stands in it
            for name in folders:
                if int(name) <= known.last and name not in known.names:
                    keys = self.objects.keys(f"{name}/")
                    self.objects.remove([f"{name}/{MANIFEST}"])  # first: what is left of it is no publication
                    self.objects.remove(keys)
        except InputError as error:
            log.warning("what is needed no more stays there: %s", error)
