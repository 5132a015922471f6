"""Options that stand elsewhere than on the command line: in LLMZIP_OPTS, and in the configuration file."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource

from llmzip.cli.files import printable
from llmzip.errors import UsageError
from llmzip.model.places import config_file

VARIABLE = "LLMZIP_OPTS"
_KEYS = {"model": str, "threads": int, "jobs": int}


def environment_options(whole: click.Command, command: click.Command) -> list[str]:
    """The options in LLMZIP_OPTS that `command` has, as words of a command line.

    whole: the command that has all of them, and says which there are. Raises click.UsageError, naming the variable.
    """
    if not os.environ.get(VARIABLE):
        return []
    import shlex

    try:
        words = shlex.split(os.environ[VARIABLE])
        context = whole.make_context(whole.name, words) if words else None
    except ValueError as error:
        raise click.UsageError(f"{VARIABLE}: {error}") from None
    except click.UsageError as error:
        raise click.UsageError(f"{VARIABLE}: {error.format_message()}") from None
    if context is None:
        return []
    if context.params["files"]:
        raise click.UsageError(
            f"{VARIABLE}: {printable(context.params['files'][0])} is no option: files are named after the command"
        )
    known = {flag for parameter in command.params for flag in parameter.opts}
    return [word for option in whole.params for word in _words(option, context) if option.opts[-1] in known]


def _words(option: click.Parameter, context: click.Context) -> list[str]:
    """The option as it was given; nothing if it was not."""
    if (
        not isinstance(option, click.Option)
        or context.get_parameter_source(option.name or "") is not ParameterSource.COMMANDLINE
    ):
        return []
    value = context.params.get(option.name or "")
    if not option.is_flag:
        return [option.opts[-1], str(value)]
    if option.secondary_opts and value is False:
        return [option.secondary_opts[0]]
    # Click leaves the value of a plain flag unset until it is read.
    wanted = option.flag_value if isinstance(option.flag_value, bool | int | str) else True
    return [option.opts[-1]] if value == wanted else []


def from_file() -> dict[str, Any]:
    """Values of the configuration file by the names of parameters, empty where there is no file.

    Raises UsageError for what it cannot hold, naming the file.
    """
    path = config_file()
    try:
        with open(path, "rb") as file:
            import tomllib

            document = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get("LLMZIP_CONFIG"):
            raise UsageError(f"LLMZIP_CONFIG names {path}, which is not there") from None
        return {}
    except OSError as error:
        if not os.environ.get("LLMZIP_CONFIG") and not os.access(path.parent, os.X_OK):
            return {}  # another user's home, where `su` and `sudo` may leave HOME
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise UsageError(f"{path}: {error}") from None
    for key, value in document.items():
        if key not in _KEYS:
            raise UsageError(f"{path}: there is no setting {key!r}: there are {', '.join(_KEYS)}")
        if type(value) is not _KEYS[key] or (type(value) is int and value < 0):
            raise UsageError(
                f"{path}: {key} must be {'a text' if _KEYS[key] is str else 'a whole number from 0'}, not {value!r}"
            )
    if "model" in document:
        document["model"] = os.path.expanduser(document["model"])
    return document
