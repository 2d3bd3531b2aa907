"""The packages that the page runs with: onnxruntime-web, of which only the build for WebAssembly, and a search.

In: a folder of npm's, or npm itself. Out: files by the name that they get in the folder of the page.

    runtime(Path("node_modules"))

Without a folder npm fetches them once into the user's cache, in the versions and with the checksums of
`page/package-lock.json`, and runs no script of theirs.
"""

import json
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from infer.errors import InputError
from infer.system.project import PROJECT

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
ORT, SEARCH = "onnxruntime-web", "minisearch"
# What is taken of each, and what it is called here: servers know .js, and not all of them .mjs.
FILES: Mapping[str, Mapping[str, str]] = {
    ORT: {"dist/ort.wasm.bundle.min.mjs": "ort.js", "dist/ort-wasm-simd-threaded.wasm": "ort.wasm"},
    SEARCH: {"dist/es/index.js": "minisearch.js", "LICENSE.txt": "LICENSE.txt"},
}
# The npm package of ONNX Runtime has none; that of Python, which exports need, is of the same source.
LICENCES = ("LICENSE", "ThirdPartyNotices.txt")
SECONDS = 600


def pinned() -> dict[str, str]:
    """The version of each package."""
    stated: dict[str, str] = json.loads((PAGE / "package.json").read_bytes())["dependencies"]
    return stated


def runtime(folder: Path | None) -> dict[str, Path]:
    """The files by their names below `vendor/`.

    folder: a node_modules, or onnxruntime-web in one, or its dist; None: the cache, filled by npm.
    Raises InputError if a package is not there, or is not of the pinned version, or npm is missing or fails.
    """
    modules = _cached() if folder is None else _modules(folder)
    files = {}
    for package, names in FILES.items():
        _check_version(modules / package)
        for name, called in names.items():
            path = modules / package / name
            if not path.is_file():
                raise InputError(f"{modules / package} has no {name}: install {package} {pinned()[package]} again")
            files[f"{package}/{called}"] = path
    found = find_spec("onnxruntime")
    assert found is not None and found.origin is not None
    return files | {f"{ORT}/{name}": Path(found.origin).parent / name for name in LICENCES}


def install_line() -> str:
    """What to type for a folder to give to --runtime."""
    return "npm install --ignore-scripts " + " ".join(f"{name}@{version}" for name, version in pinned().items())


def _modules(folder: Path) -> Path:
    """The node_modules that a folder is or lies in."""
    for place in (folder, folder.parent, folder.parent.parent):
        if (place / ORT).is_dir():
            return place
    raise InputError(f"--runtime {folder} holds no {ORT}: give a node_modules folder, after `{install_line()}`")


def _check_version(package: Path) -> None:
    wanted = pinned()[package.name]
    try:
        found = json.loads((package / "package.json").read_bytes())["version"]
    except (OSError, ValueError, KeyError):
        raise InputError(f"{package.parent} holds no {package.name}: `{install_line()}`") from None
    if found != wanted:
        raise InputError(f"{package} has version {found}; the page is made for {wanted}: `{install_line()}`")


def _cached() -> Path:
    """A node_modules of the user's cache that holds the packages."""
    from train.data.sources import cache_dir  # imported only here: it brings a client for downloads

    name = "-".join(["web", *pinned().values()])
    place = cache_dir() / name / "node_modules"
    if not place.is_dir():
        _fetch(cache_dir(), name)
    return place


def _fetch(cache: Path, name: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"npm, which fetches {ORT} once, is not installed: install Node.js, or give --runtime=FOLDER, a "
            f"node_modules made elsewhere by `{install_line()}`"
        )
    log.info("fetching %s with npm, once (about 40 MB) ...", " and ".join(f"{n} {v}" for n, v in pinned().items()))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(PAGE / file, temporary)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
            done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=SECONDS)
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.strip()]
                reason = next((line for line in said if " code " not in line), "it says nothing")
                raise InputError(f"npm cannot fetch {ORT}: {reason[:200]}; or give --runtime=FOLDER")
            _keep(Path(temporary) / "node_modules", cache / name)
    except subprocess.TimeoutExpired:
        raise InputError(f"npm has not fetched {ORT} within {SECONDS} s: try again, or give --runtime=FOLDER") from None
    except OSError as error:
        raise InputError(f"cannot write the cache {cache}: {error.strerror}; or give --runtime=FOLDER") from None


def _keep(modules: Path, place: Path) -> None:
    """Move what is needed of what npm fetched to the cache, in one step; another process may have been first."""
    kept = modules.parent / PROJECT / "node_modules"
    for package, names in FILES.items():
        for name in ("package.json", *names):
            target = kept / package / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(modules / package / name, target)
    try:
        kept.parent.rename(place)
    except OSError:
        if not (place / "node_modules").is_dir():
            raise
