"""Command lines: what is accepted, what is refused before anything runs, and exit codes."""

import logging
import os
import subprocess
import sys
import tomllib
from dataclasses import MISSING, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import pytest

from infer.cli import leading, option, parse, run, say, take, tell
from infer.errors import HeldError, InputError
from infer.system.project import version_line
from tests.helpers.checkerboard import HANGS, ROOT


@dataclass(frozen=True, kw_only=True)
class Options:
    model: Path = option(MISSING, "the model")
    count: int = option(3, "how many", minimum=1)
    rate: float = option(0.5, "how fast", minimum=0)
    shift: float = option(0.0, "how far")
    name: str = option("x", "what it is called")
    two_words: Path | None = option(None, "a path or nothing")
    device: Literal["cpu", "cuda"] = option("cpu", "where")
    metrics: bool = option(True, "measure")


@pytest.fixture(autouse=True)
def wide(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def parsed(*words: str) -> Options:
    return parse(Options, ["--model=m", *words], "usage of the command")


@pytest.mark.parametrize("words", [["--count=7"], ["--count", "7"], ["count=7"]])
def test_three_ways_to_write_an_option(words: list[str]) -> None:
    assert parsed(*words) == Options(model=Path("m"), count=7)


@pytest.mark.parametrize("words", [["--two-words=a"], ["--two-words", "a"], ["two-words=a"], ["--two_words=a"]])
def test_dashes_and_underscores_name_the_same_option(words: list[str]) -> None:
    assert parsed(*words).two_words == Path("a")
    with pytest.raises(InputError, match="option --two-words is given twice"):
        parsed(*words, "--two_words=b")


def test_values_take_the_type_of_their_field() -> None:
    assert parsed("--rate=0").rate == 0.0 and parsed("--count=1").count == 1, "a minimum is allowed itself"
    found = parsed("--rate=2", "--two-words=a/b", "--device=cuda", "--count=1_0")
    assert found.rate == 2.0 and isinstance(found.rate, float)
    assert found.two_words == Path("a/b") and found.device == "cuda" and found.count == 10
    assert parsed("--rate=.5").rate == 0.5 and parsed("--rate=1e-3").rate == 0.001 and parsed("--count=007").count == 7
    assert parsed("--count=9223372036854775807").count == 2**63 - 1


def test_a_path_of_any_bytes_stays_as_it_was_typed() -> None:
    assert os.fsencode(parsed("--two-words=a\udcff").two_words) == b"a\xff"


@pytest.mark.parametrize("text", ["123", "1e3", "true", "None", "[1,2]", "007", "a=b", "é 🎬", "-1"])
def test_a_text_stays_as_it_was_typed(text: str) -> None:
    assert parsed(f"--name={text}").name == text
    assert parsed(f"--two-words={text}").two_words == Path(text)


@pytest.mark.parametrize("text", ["123", "1e3", "true", "help", "a,b", "runs/rate=0.1/hybrid.onnx"])
def test_a_text_after_a_space_stays_as_it_was_typed(text: str) -> None:
    assert parsed("--name", text).name == text


@pytest.mark.parametrize(
    ("words", "metrics"),
    [
        ([], True),
        (["--metrics"], True),
        (["--no-metrics"], False),
        (["--metrics=false"], False),
        (["metrics=no"], False),
        (["--metrics=TRUE"], True),
        (["--metrics=0"], False),
        (["--metrics=1"], True),
        (["--metrics=yes"], True),
        (["--metrics=off"], False),
    ],
)
def test_switches(words: list[str], metrics: bool) -> None:
    assert parsed(*words).metrics is metrics
    assert parsed(*words, "--count=2").count == 2


REFUSED = {
    ("--count=2.5",): "--count takes a whole number; found '2.5'",
    ("--count=2.0",): "--count takes a whole number; found '2.0'",
    ("--count=1e3",): "--count takes a whole number; found '1e3'",
    ("--count= 5 ",): "--count takes a whole number; found ' 5 '",
    ("--count=5\n",): "--count takes a whole number; found '5 '",
    ("--count=１",): "--count takes a whole number; found '１'",
    ("--count=_1",): "--count takes a whole number; found '_1'",
    ("--count=",): "--count takes a whole number; found ''",
    ("--count=\udcff",): "--count takes a whole number; found '\udcff'",
    ("--name=\udcff",): "--name: '\\udcff' is not valid Unicode",
    ("--rate= 0.5",): "--rate takes a number; found ' 0.5'",
    ("--rate=fast",): "--rate takes a number; found 'fast'",
    ("--rate=",): "--rate takes a number; found ''",
    ("--count=many",): "--count takes a whole number; found 'many'",
    ("--count=0",): "--count is at least 1; found 0",
    ("--count=9223372036854775808",): "--count takes a finite number",
    ("--count=99999999999999999999",): "--count takes a finite number",
    ("--count",): "option --count needs a value: --count=VALUE",
    ("--count", "--rate=1"): "option --count needs a value",
    ("--rate=nan",): "--rate takes a finite number; found 'nan'",
    ("--rate=inf",): "--rate takes a finite number",
    ("--rate=-inf",): "--rate takes a finite number; found '-inf'",
    ("--rate=1e400",): "--rate takes a finite number; found '1e400'",
    ("--rate=1e30",): "--rate takes a finite number; found '1e30'",
    ("--shift=-1e30",): "--shift takes a finite number; found '-1e30'",
    ("--rate=-0.1",): "--rate is at least 0; found -0.1",
    ("--device=CPU",): "--device is one of cpu, cuda; found 'CPU'",
    ("--metrics=maybe",): "--metrics is true or false; found 'maybe'",
    ("--metrics", "false"): "unexpected 'false'; options are written --name=value",
    ("--conut=2",): "unknown option --conut; did you mean --count? options: --model, --count, --rate",
    ("--conut", "2"): "unknown option --conut; did you mean --count? options: --model, --count, --rate",
    ("--two_wrods=x",): "unknown option --two-wrods; did you mean --two-words? options: --model",
    ("--zzz=2",): "unknown option --zzz; options: --model, --count, --rate",
    ("--no-count",): "unknown option --no-count; did you mean --count? options: --model",
    # A mistyped switch must be called unknown: asking for its value would mislead.
    ("--no-metrcis",): "unknown option --no-metrcis; did you mean --no-metrics? options: --model, --count",
    ("=5",): "unexpected '=5'",
    ("--mod=x",): "unknown option --mod; did you mean --model? options: --model",
    ("",): "unexpected ''",
    ("--count", "5", "6"): "unexpected '6'; options are written --name=value",
    ("-c", "2"): "unexpected '-c'; options: --model",
    ("-",): "unexpected '-'",
    ("--", "--trace"): "unexpected '--'",
    ("count",): "unexpected 'count'",
    ("--count=1", "--count=2"): "option --count is given twice",
    ("--count=1", "count=2"): "option --count is given twice",
    ("--name=",): "--name is empty",
    ("--name", ""): "--name is empty",
    ("--two-words=",): "--two-words is empty",
    ("--device=",): "--device is one of cpu, cuda; found ''",
}


@pytest.mark.parametrize("words", REFUSED)
def test_mistakes_are_refused_with_the_way_out(words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parsed(*words)
    assert REFUSED[words] in str(caught.value)


def test_a_required_option_is_asked_for() -> None:
    with pytest.raises(InputError, match="option --model is missing"):
        parse(Options, [], "")


HELP = """usage of the command

options:
  --model=<path>  the model (required)
  --count=<int>  how many (default 3)
  --rate=<float>  how fast (default 0.5)
  --shift=<float>  how far (default 0.0)
  --name=<str>  what it is called (default x)
  --two-words=<path>  a path or nothing
  --device=<cpu|cuda>  where (default cpu)
  --[no-]metrics  measure (default on)
"""


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_shows_every_option(word: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(word, "--conut=2")
    printed = capsys.readouterr().out
    assert caught.value.code == 0 and "usage of the command" in printed
    assert printed == HELP


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("two\nlines"), 2, "error: two lines"),
        (HeldError("hit@10 fell"), 3, "error: hit@10 fell"),
        (OSError(28, "No space left on device", "x.parquet"), 1, "error: x.parquet: No space left on device"),
        (OSError("no device"), 1, "error: no device"),
        (MemoryError(), 1, "error: out of memory: try a smaller --batch-size"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_failures_are_one_line_and_a_status(error: BaseException, status: int, line: str, capsys, monkeypatch) -> None:
    def main(words) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["command"])
    assert run(main) == status
    assert capsys.readouterr().err == line + "\n"


def test_success_is_zero_and_gets_the_words(monkeypatch) -> None:
    got = []
    monkeypatch.setattr(sys, "argv", ["command", "--a=1"])
    assert run(got.extend) == 0 and got == ["--a=1"]


@dataclass(frozen=True, kw_only=True)
class Beside:
    preset: Literal["x", "best"] = option("best", "where defaults come from")


def test_one_option_is_taken_out_and_the_rest_stay_as_they_were() -> None:
    for words in (["--preset=x"], ["--preset", "x"], ["preset=x"]):
        assert take(Beside, ["mf", *words, "--epochs=3"]) == (Beside(preset="x"), ["mf", "--epochs=3"])
    assert take(Beside, ["--preset2=x", "preset", "-h"]) == (Beside(), ["--preset2=x", "preset", "-h"])
    for words, message in (
        (["--preset"], "option --preset needs a value: --preset=VALUE"),
        (["--preset", "--epochs=3"], "option --preset needs a value"),
        (["--preset=x", "preset=x"], "option --preset is given twice"),
        (["--preset=y"], "--preset is one of x, best; found 'y'"),
    ):
        with pytest.raises(InputError, match=message):
            take(Beside, words)


def test_options_taken_before_are_in_the_help_and_suggested(capsys) -> None:
    with pytest.raises(InputError, match=r"unknown option --presett; did you mean --preset\? options: .*, --preset$"):
        parse(Options, ["--presett=x"], "", Options(model=Path("m")), [Beside])
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], "", Options(model=Path("m")), [Beside])
    assert "--preset=<x|best>  where defaults come from (default best)\n" in capsys.readouterr().out


def test_the_words_before_the_options_are_set_apart() -> None:
    assert leading(["a", "b.json", "--k=1", "c"]) == (["a", "b.json"], ["--k=1", "c"])
    assert leading(["k=1", "a"]) == ([], ["k=1", "a"]) and leading(["a", "-h"]) == (["a"], ["-h"])


def test_words_change_what_they_are_based_on_and_help_shows_it(capsys) -> None:
    base = Options(model=Path("base"), count=9, metrics=False)
    assert parse(Options, ["--rate=1"], "", base) == Options(model=Path("base"), count=9, rate=1.0, metrics=False)
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], "", base)
    printed = capsys.readouterr().out
    assert "how many (default 9)" in printed and "the model (required)\n" in printed
    assert "  --metrics  measure\n" in printed, "what is off already is not shown as --no-"


@dataclass(frozen=True, kw_only=True)
class Long:
    first: int = option(1, "one two three four five six seven eight nine ten")
    needed: str = option(MISSING, "asked for first")


def test_help_fits_the_terminal(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    usage = "A line longer than the terminal\nis wide, and the next.\n\n    a command --that=stays-as-it-is-if-long\n"
    with pytest.raises(SystemExit):
        parse(Long, ["--help"], usage)
    assert (
        capsys.readouterr().out
        == """A line longer than the terminal is wide,
and the next.

    a command --that=stays-as-it-is-if-long

options:
  --needed=<str>  asked for first
      (required)
  --first=<int>  one two three four five
      six seven eight nine ten (default
      1)
"""
    )


def test_version_is_that_of_the_project(capsys, monkeypatch) -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for words in (["--version"], ["--count=2", "--version"]):
        with pytest.raises(SystemExit) as caught:
            parse(Options, words, "")
        assert caught.value.code == 0 and capsys.readouterr().out == f"hybrid-recommender-onnx {stated}\n"

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", lambda name: f"1.2.3 of {name}")
    assert version_line() == "hybrid-recommender-onnx 1.2.3 of hybrid-recommender-onnx"
    monkeypatch.setattr(metadata, "version", missing)
    assert version_line() == f"hybrid-recommender-onnx {stated}", "a checkout that is not installed reads its own file"


def test_what_could_steer_a_terminal_is_not_printed(capsys, monkeypatch) -> None:
    def main(words) -> None:
        raise InputError("a\x1b[2Jb é🎬")

    monkeypatch.setattr(sys, "argv", ["command"])
    assert run(main) == 2 and capsys.readouterr().err == "error: a?[2Jb é🎬\n"


def test_what_is_said_of_a_table_steers_no_terminal(capsys) -> None:
    tell()
    logging.getLogger("infer.tables").info("titles from 'a\x1b]0;x\x07'\nnext")
    logging.getLogger("train.data").warning("left out: '\u202eb'")
    say("--only-items lacks 'é\x9b2J'\nnext")
    printed = capsys.readouterr()
    assert printed.out == "titles from 'a?]0;x?'\nnext\n--only-items lacks 'é?2J'\nnext\n"
    assert printed.err == "left out: '?b'\n"


@pytest.mark.parametrize(("module", "missing"), [("train.data", "pooch"), ("export", "torch"), ("train", "torch")])
def test_what_is_not_installed_is_named_in_one_line(module: str, missing: str) -> None:
    words = {"train": ["train", "mf"], "train.data": ["train.data"], "export": ["export", "mf"]}[module]
    code = (
        f"import runpy, sys; sys.modules[{missing!r}] = None; sys.argv = {words};"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 1
    expected = f"error: {missing} is not installed: pip install 'hybrid-recommender-onnx[study,train]'"
    assert done.stderr.splitlines() == [expected]
