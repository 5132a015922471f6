"""Models from the Hugging Face hub, into its own cache: resumed where a download broke off, shared with other
programs."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from llmzip.errors import LlmzipError, ModelError, UsageError
from llmzip.model.split import all_parts, stands_for_model

PREFIX = "hf:"
_PART = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
)  # of a repository's address, by the hub's own rules
_PREFERRED = ("Q4_K_M", "Q8_0", "F16", "BF16")


@dataclass(frozen=True)
class HubModel:
    """OWNER/REPO and a GGUF file in it (None: the one that suits)."""

    repository: str
    file: str | None

    @classmethod
    def parse(cls, spec: str) -> HubModel:
        """From `hf:OWNER/REPO[/FILE]`. Raises UsageError."""
        parts = spec.removeprefix(PREFIX).split("/")
        repository, file = parts[:2], parts[2:]
        sound = spec.startswith(PREFIX) and len(repository) == 2 and all(map(_sound, repository))
        if not sound or any(part in ("", ".", "..") or not part.isprintable() or "\\" in part for part in file):
            raise UsageError(f"{spec} is no address of a model: write hf:OWNER/REPO or hf:OWNER/REPO/FILE.gguf")
        if file and not file[-1].endswith(".gguf"):
            raise UsageError(f"{spec} is no address of a model: its file does not end in .gguf")
        return cls("/".join(repository), "/".join(file) or None)


def _sound(part: str) -> bool:
    return bool(_PART.fullmatch(part)) and "--" not in part and ".." not in part


def fetch(spec: str, *, progress: bool = True) -> tuple[Path, str]:
    """The local file of a model on the hub, downloaded if need be, and its complete address.

    Raises ModelError for what is not there, LlmzipError for a failing network or disk. `HF_ENDPOINT`, `HF_TOKEN` and
    `HF_HOME` work as for every program of the hub.
    """
    wanted = HubModel.parse(spec)
    try:
        return _fetch(wanted, progress)
    except ImportError:
        raise LlmzipError("models from the hub need the package huggingface_hub: pip install huggingface_hub") from None


def _fetch(wanted: HubModel, progress: bool) -> tuple[Path, str]:
    # The library reads its settings when it is imported: the bars' too.
    from logging import ERROR

    from huggingface_hub import HfApi, errors, hf_hub_download
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    endpoint = os.environ.get("HF_ENDPOINT") or None
    place = f"{PREFIX}{wanted.repository}"
    silenced = not progress and not are_progress_bars_disabled()
    if silenced:
        disable_progress_bars()
    verbosity = logging.get_verbosity()
    if not progress:
        logging.set_verbosity(ERROR)
    try:
        file = wanted.file
        if file is None:
            siblings = HfApi(endpoint=endpoint).model_info(wanted.repository).siblings or []
            file = _choose(wanted.repository, [sibling.rfilename for sibling in siblings])
        place = f"{PREFIX}{wanted.repository}/{file}"
        paths = [Path(hf_hub_download(wanted.repository, part, endpoint=endpoint)) for part in all_parts(file)]
        return paths[0], place
    except errors.GatedRepoError:
        raise ModelError(f"{place} asks for an agreement: accept it on the hub's page and set HF_TOKEN") from None
    except errors.RepositoryNotFoundError:
        raise ModelError(f"there is no {place} on the hub, or it is private (then set HF_TOKEN)") from None
    except errors.LocalEntryNotFoundError:
        raise LlmzipError(
            f"cannot reach the hub for {place}, and it was not downloaded before; check the network"
        ) from None
    except errors.EntryNotFoundError:
        raise ModelError(
            f"there is no file {place} on the hub; hf:{wanted.repository} alone lists or chooses one"
        ) from None
    except errors.HfHubHTTPError as error:
        raise LlmzipError(f"the hub refused {place}: {' '.join(str(error).split())[:200]}") from None
    except errors.OfflineModeIsEnabled:
        raise LlmzipError(f"cannot fetch {place}: HF_HUB_OFFLINE is set") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LlmzipError(
                f"no room to download {place}: make room, or set HF_HOME to a larger disk; it will resume"
            ) from None
        raise LlmzipError(
            f"cannot download {place}: {' '.join(str(error).split())[:200]}; it will resume where it broke off"
        ) from None
    except Exception as error:
        # The library's HTTP client has exceptions of its own, which change with its versions.
        if type(error).__module__.partition(".")[0] not in (
            "httpx",
            "httpx2",
            "httpcore",
            "httpcore2",
            "requests",
            "urllib3",
        ):
            raise
        raise LlmzipError(f"cannot reach the hub for {place}: {' '.join(str(error).split())[:200]}") from None
    finally:
        logging.set_verbosity(verbosity)
        if silenced:
            enable_progress_bars()


def _choose(repository: str, files: list[str]) -> str:
    """The only GGUF model of a repository, or the one of the usual quantisation. Raises ModelError."""
    models = []
    for name in sorted(files):
        if name.endswith(".gguf") and stands_for_model(name) and "mmproj" not in name.lower():
            models.append(name)
    if not models:
        raise ModelError(f"hf:{repository} holds no GGUF file; look for a repository whose name ends in GGUF")
    if len(models) == 1:
        return models[0]
    for kind in _PREFERRED:
        fitting = [name for name in models if re.search(rf"(?<![A-Z0-9]){kind}(?![A-Z0-9_])", name.upper())]
        if len(fitting) == 1:
            return fitting[0]
    shown = ", ".join(models[:8]) + (", ..." if len(models) > 8 else "")
    raise ModelError(f"hf:{repository} holds several models, name one like hf:{repository}/{models[0]}: {shown}")
