"""Groups of commands: how they are found, listed and completed."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import bench.__main__
import infer.__main__
import train.__main__
from infer.cli import Command, dispatch, option
from infer.errors import InputError
from tests.helpers.checkerboard import HANGS, ROOT
from train.presets import CONFIGS, PRESETS

GROUPS = {"infer": infer.__main__, "train": train.__main__, "bench": bench.__main__}
ALL = [(group, word) for group, module in GROUPS.items() for word in module.COMMANDS]
calls: list[list[str]] = []


@dataclass(frozen=True, kw_only=True)
class Options:
    two_words: int = option(1, "a number")
    metrics: bool = option(True, "on")
    restart: bool = option(False, "off")


def called(argv: list[str]) -> None:
    calls.append(argv)


HERE = f"{__name__}:{{}}"
COMMANDS = {
    "first": Command("what it does", main=HERE.format("called"), configs=[HERE.format("Options")]),
    "second": Command("what else", main=HERE.format("called"), configs=[HERE.format("Options")], before=["kind"]),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    calls.clear()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["first"], []),
        (["second"], ["kind"]),
        (["first", "123", "--flag", "false", "-t"], ["123", "--flag", "false", "-t"]),
        (["first", "--help"], ["--help"]),
        (["first", "-", "x"], ["-", "x"]),
        (["first", "--", "--trace"], ["--", "--trace"]),
    ],
)
def test_a_command_gets_every_word_after_its_name_as_it_was_typed(argv: list[str], expected: list[str]) -> None:
    dispatch(COMMANDS, argv, "group", "usage")
    assert calls == [expected]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_a_group_lists_its_commands(argv: list[str], capsys) -> None:
    dispatch(COMMANDS, argv, "group", "usage of the group")
    assert capsys.readouterr().out == (
        "usage of the group\n\n"
        "commands (--help after one lists its options):\n"
        "  first   what it does\n"
        "  second  what else\n"
    )
    assert not calls


@pytest.mark.parametrize(
    ("word", "near"), [("frist", "; did you mean first?"), ("zzz", ""), ("--two-words=1", ""), ("--", "")]
)
def test_an_unknown_command_is_refused_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        dispatch(COMMANDS, [word], "group", "")
    assert str(caught.value) == f"expected one of first, second; found '{word}'{near}" and not calls


def completed(script: str, words: str, tmp_path: Path) -> set[str]:
    """What bash offers for the last of the words."""
    path = tmp_path / "script.sh"
    path.write_text(script)
    program = words.split()[0]
    asked = (
        f"source {path}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _complete-{program}; "
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=HANGS, check=True)
    return set(done.stdout.split())


OFFERED = {"--two-words", "--no-metrics", "--restart"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("group ''", {"first", "second"}),
        ("group fi", {"first"}),
        ("group first --", OFFERED),
        ("group second --no", {"--no-metrics"}),
        # The value of an option is no command: without a change to fire's script nothing would be offered here.
        ("group first --two-words = 3 --", OFFERED - {"--two-words"}),
        ("group first --two-words 3 --re", {"--restart"}),
    ],
)
def test_bash_completes_commands_and_options(words: str, offered: set[str], tmp_path: Path, capsys) -> None:
    dispatch(COMMANDS, ["--", "--completion"], "group", "")
    assert completed(capsys.readouterr().out, words, tmp_path) == offered and not calls


def test_a_command_alone_is_completed_too(typed, tmp_path: Path) -> None:
    script = (
        typed("infer.compare", "--", "--completion")
        .stdout.replace("infer.compare", "compare")
        .replace("infercompare", "compare")
    )
    assert completed(script, "compare --", tmp_path) == {"--artifacts", "--nights", "--output"}
    assert completed(script, "compare --artifacts x --", tmp_path) == {"--nights", "--output"}


@pytest.mark.parametrize("argv", [["--completion=fish"], ["--completion", "fish"]])
def test_fish_is_completed_and_another_shell_refused(argv: list[str], capsys) -> None:
    dispatch(COMMANDS, ["--", *argv], "group", "")
    assert "complete -c group -n '__fish_using_command group' -f -a first" in capsys.readouterr().out
    with pytest.raises(InputError, match="--completion is one of bash, fish; found 'zsh'"):
        dispatch(COMMANDS, ["first", "--", "--completion=zsh"], "group", "")


@pytest.mark.parametrize(("group", "word"), ALL)
def test_every_command_of_a_group_has_help_and_a_version(group: str, word: str, run) -> None:
    command = GROUPS[group].COMMANDS[word]
    done = run(group, word, "--help")
    assert done.returncode == 0 and not done.stderr
    for known in command.options.values():
        assert f"  --{known.name}" in done.stdout or f"  --[no-]{known.name}" in done.stdout, known.name
    assert run(group, word, "--version").stdout.startswith("hybrid-recommender-onnx ")
    assert run(group).stdout.count(f"\n  {word} ") == 1


@pytest.mark.parametrize(("group", "word"), [(g, w) for g, w in ALL if w not in CONFIGS])
def test_a_command_of_a_group_is_the_module_itself(group: str, word: str, run) -> None:
    beside, alone = run(group, word, "--zzz=1"), run(f"{group}.{word}", "--zzz=1")
    assert beside.stderr == alone.stderr and "unknown option --zzz" in alone.stderr
    assert beside.returncode == alone.returncode == 2
    assert run(group, word, "--help").stdout == run(f"{group}.{word}", "--help").stdout


def test_a_kind_of_model_says_what_it_is(run) -> None:
    assert set(train.__main__.KINDS) == set(CONFIGS)
    for kind, config in CONFIGS.items():
        first = f"{kind}: {config.__doc__}".split()[:6]
        assert run("train", kind, "--help").stdout.split()[:6] == first


def test_export_and_every_group_tell_their_version(run, typed) -> None:
    expected = typed("infer", "--version")
    assert expected.returncode == 0
    for module in ("infer", "train", "export", "bench"):
        assert run(module, "--version").stdout == expected.stdout == run(module, "--version").stdout


def test_the_listing_of_commands_imports_none_of_them() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['bench']\n"
        "try: runpy.run_module('bench', run_name='__main__')\n"
        "except SystemExit: print('polars' in sys.modules, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert done.stdout.splitlines()[-1] == "False False", done.stderr


def test_the_presets_that_help_offers_are_those_there_are(run) -> None:
    assert f"--preset=<{'|'.join(PRESETS)}>" in run("train", "bert", "--help").stdout
