"""Where the named data sets come from: a folder, GroupLens, or a wheel of the package index.

In: a name of `SOURCES`. Out: the rating and item files, on disk, with a checked provenance.

Archives are checked against a known digest and only the members named here are read, under file
names chosen here: nothing that an archive says about paths is used.
"""

import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from infer.errors import InputError
from infer.system.addresses import is_address, public
from infer.system.files import write_bytes
from infer.system.fingerprints import sha256
from infer.system.project import PROJECT

log = logging.getLogger(__name__)

DATA_DIR_VARIABLE = "RECOMMENDER_DATA"
GROUPLENS = "https://files.grouplens.org/datasets/movielens"
DEFAULT = "ml-latest-small"
RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
RECBOLE_FOLDER = "recbole/dataset_example/ml-100k"


@dataclass(frozen=True)
class Source:
    """A MovieLens release: its archive's digest ("sha256:..." or "md5:...") and its two files."""

    digest: str
    ratings: str
    items: str


SOURCES = {
    "ml-latest-small": Source(
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436", "ratings.csv", "movies.csv"
    ),
    "ml-100k": Source("sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", "u.data", "u.item"),
    "ml-1m": Source(
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", "ratings.dat", "movies.dat"
    ),
    "ml-20m": Source(
        "sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", "ratings.csv", "movies.csv"
    ),
    "ml-25m": Source(
        "sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa", "ratings.csv", "movies.csv"
    ),
    "ml-32m": Source("md5:d472be332d4daa821edc399621853b57", "ratings.csv", "movies.csv"),
}


@dataclass(frozen=True)
class Found:
    """The two files of a data set, and the name under which results are to be reported."""

    name: str
    ratings: Path
    items: Path


class Unreachable(InputError):
    """A data set is neither on disk nor to be downloaded."""


def locate(name: str, data_dir: Path | None, cache: Path | None, mirror: str | None) -> Found:
    """Find a named set in `data_dir` (or $RECOMMENDER_DATA), else in the cache, else download it.

    A data folder that lacks the set is said on standard error before anything else is tried.

    Raises Unreachable if the server cannot be reached or trusted and InputError if what it sent is
    not what was expected. TLS certificates are always verified.
    """
    source = SOURCES[name]
    stated = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    files = in_folder(name, Path(stated)) if stated else None
    if files:
        return files
    cache = cache or cache_dir()
    paths = [cache / name / Path(member).name for member in (source.ratings, source.items)]
    if not all(path.is_file() for path in paths):
        archive = _download(name, f"{mirror or GROUPLENS}/{name}.zip", source.digest, cache)
        _unpack(archive, [f"{name}/{source.ratings}", f"{name}/{source.items}"], paths)
    return Found(name, *paths)


def from_package_index(cache: Path | None) -> Found:
    """MovieLens 100K as the RecBole wheel carries it, fetched by pip itself from its own index."""
    cache = cache or cache_dir()
    paths = [cache / "ml-100k-recbole" / name for name in ("ml-100k.inter", "ml-100k.item")]
    if not all(path.is_file() for path in paths):
        with tempfile.TemporaryDirectory() as folder:
            # Of a source package pip runs the code, and we would see its digest only then.
            command = ["download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", folder, RECBOLE]
            done = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True)
            wheels = list(Path(folder).glob("*.whl"))
            if done.returncode or len(wheels) != 1:
                reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
                raise Unreachable(f"pip cannot download {RECBOLE}: {reason}")
            digest = sha256(wheels[0])
            if digest != RECBOLE_SHA256:
                raise InputError(f"{RECBOLE} has the SHA-256 {digest}; expected {RECBOLE_SHA256}: not used")
            _unpack(wheels[0], [f"{RECBOLE_FOLDER}/{path.name}" for path in paths], paths)
    return Found("ml-100k (RecBole 1.2.1)", *paths)


def cache_dir() -> Path:
    """The user's cache folder for downloaded data sets."""
    return Path(pooch.os_cache(PROJECT))


def in_folder(name: str, folder: Path) -> Found | None:
    """NAME/ratings.csv below the folder, or right in the folder if it is called NAME itself."""
    if not folder.is_dir():
        raise InputError(f"the data folder {folder} does not exist (--data-dir or ${DATA_DIR_VARIABLE})")
    source = SOURCES[name]
    for place in (folder / name, folder):
        paths = [place / source.ratings, place / source.items]
        if place.resolve().name == name and all(path.is_file() for path in paths):
            return Found(name, *paths)
    log.warning("%s holds no %s (%s/%s and %s)", folder, name, name, source.ratings, source.items)
    return None


def _download(name: str, url: str, digest: str, cache: Path) -> Path:
    fetch: Callable[..., None] = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=20)
    pooch.get_logger().setLevel("ERROR")
    shown = public(url) if is_address(url) else url
    log.warning("downloading %s", shown)
    try:
        return Path(pooch.retrieve(url, digest, fname=f"{name}.zip", path=cache, downloader=fetch))
    except requests.RequestException as error:
        kind = (
            "its TLS certificate is not valid"
            if isinstance(error, requests.exceptions.SSLError)
            else (f"HTTP {error.response.status_code}" if error.response is not None else "it cannot be reached")
        )
        raise Unreachable(
            f"{shown} was not downloaded: {kind}; give --mirror=URL of a server that holds {name}.zip, "
            f"or --data-dir=FOLDER with the unpacked {name}"
        ) from None
    except ValueError:
        raise InputError(
            f"{shown} is not the expected archive ({digest[:20]}...): not used; give another --mirror, or the "
            "unpacked files with --data-dir"
        ) from None


def _unpack(archive: Path, members: list[str], targets: list[Path]) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            missing = [pair for pair in zip(members, targets, strict=True) if not pair[1].is_file()]
            for member, target in missing:
                write_bytes(target, opened.read(member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive} is damaged or incomplete ({error}): delete it and try again") from None
