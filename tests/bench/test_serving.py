"""The benchmark of the HTTP service: its record."""

import json
import shutil
from pathlib import Path

import pytest

from bench import serving
from infer.errors import InputError
from tests.helpers.told import bars_told

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_record_compares_the_service_with_the_session(artifacts: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    told = bars_told(monkeypatch)
    words = [f"--model={artifacts / 'hybrid.onnx'}", "--rounds=1", "--seconds=1", f"--record={tmp_path / 'r.json'}"]
    serving.main(words)
    [record] = json.loads((tmp_path / "r.json").read_text())["records"]
    assert list(record["service"]) == ["1", "8", "64"]
    assert all(each["failed"] == 0 and 0 < each["p50"] <= each["p99"] for each in record["service"].values())
    plain, alone = record["plain"]["session"]["p50"], record["service"]["1"]["p50"]
    assert record["over_session_seconds"] == pytest.approx(alone - plain)
    assert {bar.desc: bar.n for bar in told} == {"loops and service": 1, "connections": 2}
    assert "at one connection" in capsys.readouterr().out


def test_without_wrk_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="wrk is not installed"):
        serving.main(["--model=m.onnx"])
