"""Shell completion, which fire writes, for a command or a group of commands.

In: `-- --completion [bash|fish]` at the end of argv. Out: a script to source. A shell completes a command by its first
word, so give the command a name of its own:

    alias infer='python -m infer'; source <(python -m infer -- --completion)
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature

import fire.completion

from infer.cli.fields import Options
from infer.errors import InputError

SHELLS = ("bash", "fish")
# Fire's script takes any word without a dash for the latest command, also the value of an option.
ANY_WORD = "[[ ${COMP_WORDS[i]} != -* ]]"


def asked(argv: Sequence[str]) -> str | None:
    """The shell whose script is asked for, None if none is; raises InputError if it is not known."""
    words = list(argv[argv.index("--") + 1 :]) if "--" in argv else []
    if not words or words[0].partition("=")[0] != "--completion":
        return None
    shell = " ".join([*words[0].split("=")[1:], *words[1:]]) or SHELLS[0]
    if shell not in SHELLS:
        raise InputError(f"--completion is one of {', '.join(SHELLS)}; found '{shell}'")
    return shell


def command_script(name: str, shell: str, known: Options) -> str:
    """The script for a command that is called `name`, by its options."""
    return _script(name, shell, _signed(known), [name])


def group_script(name: str, shell: str, commands: Mapping[str, Options]) -> str:
    """The script for a group that is called `name`, by the options of its commands."""
    return _script(name, shell, {word: _signed(known) for word, known in commands.items()}, [name, *commands])


def _script(name: str, shell: str, component: object, commands: Sequence[str]) -> str:
    text: str = fire.completion.Script(name, component, shell=shell)
    return text.replace(ANY_WORD, f'[[ " {" ".join(commands)} " == *" ${{COMP_WORDS[i]}} "* ]]')


def _signed(known: Options) -> Callable[..., None]:
    """A function whose signature shows fire the options."""

    def command(**given: str) -> None:
        raise NotImplementedError("only its signature is read")

    names = [f"no_{o.field}" if o.is_flag and o.default is True else o.field for o in known.values()]
    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in names]
    )
    return command
