"""Where the page's packages come from: a folder, or npm once, of the pinned versions and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from export.web.runtime import FILES, LICENCES, ORT, PAGE, SEARCH, pinned, runtime
from infer.errors import InputError
from tests.helpers.page import stand_in
from train.data import sources

# Copies a node_modules to where it is called, and notes how it was called.
NPM = """#!/bin/sh
echo "$@" >> "{log}"
[ "$1" = ci ] && [ -f package-lock.json ] && cp -r "{modules}" node_modules
"""


@pytest.mark.parametrize("place", [".", ORT, f"{ORT}/dist"])
def test_a_folder_may_be_named_at_any_depth(tmp_path: Path, place: str) -> None:
    modules = stand_in(tmp_path)
    files = runtime(modules / place)
    assert files[f"{ORT}/ort.wasm"].read_text() == f"{ORT} dist/ort-wasm-simd-threaded.wasm"
    assert files[f"{SEARCH}/LICENSE.txt"] == modules / SEARCH / "LICENSE.txt"
    assert "Permission is hereby granted" in files[f"{ORT}/LICENSE"].read_text()
    assert {Path(name).name for name in files if name.startswith(ORT)} == {"ort.js", "ort.wasm", *LICENCES}
    # Servers that know no .mjs would send it as what browsers do not run.
    assert not any(name.endswith(".mjs") for name in files)


def test_what_lacks_or_is_another_version_is_refused_with_what_to_type(tmp_path: Path) -> None:
    line = f"npm install --ignore-scripts minisearch@{pinned()[SEARCH]} onnxruntime-web@{pinned()[ORT]}"
    with pytest.raises(InputError, match=f"holds no {ORT}: give a node_modules folder, after `{line}`"):
        runtime(tmp_path)
    modules = stand_in(tmp_path)
    (modules / ORT / "dist" / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(InputError, match=r"has no dist/ort-wasm-simd-threaded\.wasm"):
        runtime(modules)
    (modules / ORT / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    with pytest.raises(InputError, match=rf"has version 1\.2\.3; the page is made for {pinned()[ORT]}: `{line}`"):
        runtime(modules)
    shutil.rmtree(stand_in(tmp_path) / SEARCH)
    with pytest.raises(InputError, match=f"holds no {SEARCH}: `{line}`"):
        runtime(modules)


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that brings stand-ins, before all others on the path; returns its log."""
    log = tmp_path / "npm.log"
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(NPM.format(log=log, modules=stand_in(tmp_path / "brought")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sources, "cache_dir", lambda: tmp_path / "cache")
    return log


def test_npm_fetches_once_what_the_lock_file_pins_and_runs_no_scripts(npm: Path, tmp_path: Path) -> None:
    files = runtime(None)
    assert runtime(None) == files
    (call,) = npm.read_text().splitlines()
    assert call.startswith("ci --ignore-scripts ")
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert kept == {"package.json", *(Path(name).name for names in FILES.values() for name in names)}
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_failing_npm_is_quoted_and_leaves_nothing(npm: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "npm"
    program.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\necho 'npm error no network here' >&2\nexit 1\n")
    with pytest.raises(InputError, match=rf"npm cannot fetch {ORT}: npm error no network here; or give --runtime"):
        runtime(None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_npm_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"npm, which fetches onnxruntime-web once, is not installed: .*--runtime"):
        runtime(None)


def test_the_lock_file_has_a_checksum_of_each_package_and_names_no_host() -> None:
    lock = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    brought = {name: about for name, about in lock.items() if name}
    assert all(about["integrity"].startswith("sha512-") for about in brought.values())
    assert {name: brought[f"node_modules/{name}"]["version"] for name in pinned()} == pinned()
    assert "http" not in (PAGE / "package-lock.json").read_text()
