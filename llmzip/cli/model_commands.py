"""`llmzip models`: the user's own models by name (docs/models.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from llmzip.cli import completing
from llmzip.cli.files import printable
from llmzip.cli.options import PATH, version_option
from llmzip.cli.program import Commands
from llmzip.errors import LlmzipError, ModelError

_json = click.option("--json", "as_json", is_flag=True, help="A JSON document.")
_name = click.option("--name", metavar="NAME", help="The name to register it by (default: that of the file).")


def _say(line: str) -> None:
    """A line on standard output. Names, paths and what models say of themselves are not trusted with the terminal."""
    click.echo(printable(line))


@click.group(cls=Commands, invoke_without_command=True)
@version_option
@click.pass_context
def models(context: click.Context) -> int:
    """Register models by name, fetch them from the Hugging Face hub, check them; without a command, list them.

    What is registered can be given to --model by its name, and is found when a file needs it. Without being registered,
    models in the folders of LLMZIP_MODEL_PATH are found, too.
    """
    return 0 if context.invoked_subcommand else context.invoke(list_models, as_json=False)


@models.command(name="list")
@_json
def list_models(as_json: bool) -> int:
    """Print the registered models and the built-in one."""
    from llmzip.model import BUILT_IN, embedded, registry

    known = [(BUILT_IN, embedded.IDENTITY.hex(), str(embedded.PACKED), "", embedded.PACKED.is_file())]
    for entry in registry.entries().values():
        known.append((entry.name, entry.identity, entry.path, entry.source, Path(entry.path).is_file()))
    if as_json:
        keys = ("name", "identity", "path", "source", "present")
        click.echo(json.dumps({"models": [dict(zip(keys, row, strict=True)) for row in known]}, indent=2))
        return 0
    width = max(len(row[0]) for row in known)
    for name, identity, path, source, present in known:
        _say(f"{name:<{width}}  {identity}  {source or path}" + ("" if present else "  (file is gone)"))
    return 0


@models.command()
@click.argument("file", type=PATH)
@_name
@click.option("--source", metavar="ADDRESS", default="", help="Where others get it: hf:OWNER/REPO/FILE.gguf.")
def add(file: str, name: str | None, source: str) -> int:
    """Register the GGUF model FILE, which stays where it is."""
    from llmzip.model import hub, registry
    from llmzip.model.identity import model_facts, model_files

    if source:
        hub.HubModel.parse(source)
    first = model_files(Path(file))[0].resolve()
    facts = model_facts(first)
    entry = registry.Entry(name or first.stem, str(first), facts.identity, source)
    registry.add(entry)
    _say(f"{entry.name}  {entry.identity}  {entry.path}")
    return 0


@models.command()
@click.argument("name", shell_complete=completing.registered)
def remove(name: str) -> int:
    """Forget the model NAME. Its file stays where it is."""
    from llmzip.model import registry

    _say(f"{name} is no longer registered; its file stays: {registry.remove(name).path}")
    return 0


@models.command()
@click.argument("address", metavar="hf:OWNER/REPO[/FILE]")
@_name
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def pull(address: str, name: str | None, quiet: bool) -> int:
    """Fetch a model from the Hugging Face hub into its cache and register it; a broken download is resumed."""
    from llmzip.codec.locate import pull as fetch

    path, source = fetch(address, name, progress=not quiet, again=True)
    _say(f"{source}: {path}")
    return 0


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completing.registered)
def verify(names: tuple[str, ...]) -> int:
    """Read the models NAME (default: all) anew and compare them with what was registered."""
    from llmzip.model import registry
    from llmzip.model.identity import model_facts

    known = registry.entries()
    for name in names:
        if name not in known:
            raise ModelError(f"no model is registered as {name}; see `llmzip models list`")
    failed = False
    for name in names or known:
        entry = known[name]
        try:
            found = model_facts(Path(entry.path), fresh=True).identity
        except ModelError as error:
            _say(f"{name}: {error}")
            failed = True
            continue
        if found != entry.identity:
            _say(f"{name}: {entry.path} is now the model {found}, not {entry.identity}")
            failed = True
        else:
            _say(f"{name}: OK")
    return ModelError.exit_code if failed else 0


@models.command()
@click.argument("model", metavar="NAME|FILE", default="built-in", shell_complete=completing.models)
@_json
def info(model: str, as_json: bool) -> int:
    """Tell what a model is and how llmzip would use it here."""
    facts = model_details(model)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return 0
    for key, value in _described(facts):
        click.echo(f"{key:<14}{printable(value)}")
    return 0


def _described(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know of it, with units."""
    expanded = "" if facts["kind"] == "F32" else f", {_megabytes(facts['bytes_in_f32'])} in F32"
    available = facts["memory_available"]
    return [
        ("name", facts["name"]),
        ("identity", facts["identity"]),
        ("file", facts["file"] + (f" and {facts['parts'] - 1} more parts" if facts["parts"] > 1 else "")),
        ("architecture", facts["architecture"]),
        ("weights", f"{facts['weights']:,} in {facts['kind']}: {_megabytes(facts['bytes'])}{expanded}"),
        ("vocabulary", f"{facts['vocabulary']:,} tokens"),
        ("context", f"{facts['context']:,} tokens"),
        ("mode here", facts["mode"]),
        (
            "memory",
            f"{_megabytes(facts['memory'])} for its weights"
            + (f", {_megabytes(available)} are available" if available is not None else ""),
        ),
    ]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def model_details(model: str) -> dict[str, Any]:
    """Facts on a model that is named; nothing is fetched. Raises ModelError."""
    from llmzip.codec.locate import resolve
    from llmzip.model import BUILT_IN, embedded, hub
    from llmzip.model.identity import model_facts
    from llmzip.model.own import exact_suits
    from llmzip.model.places import available_memory

    if model.startswith(hub.PREFIX):
        raise LlmzipError(
            f"{model} is not on this machine by that address; use `llmzip models pull` first, then its name"
        )
    found = resolve(model)
    path = found.path or embedded.PACKED
    facts = model_facts(path)
    mode = "exact" if found.path and exact_suits(facts) else "portable"
    return {
        "identity": facts.identity,
        "file": str(path),
        "parts": facts.parts,
        "name": BUILT_IN if found.path is None else facts.name or found.name,
        "architecture": facts.architecture,
        "weights": facts.weights,
        "kind": facts.kind,
        "bytes": facts.stored,
        "bytes_in_f32": facts.expanded,
        "vocabulary": facts.vocabulary,
        "context": facts.context if found.path else embedded.WINDOW.context,
        "mode": mode,
        "memory": facts.stored if mode == "exact" else facts.expanded,
        "memory_available": available_memory(),
    }
