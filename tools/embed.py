"""Make a GGUF the model inside the package: its identity and digest go into the code, the golden files are made anew.

Usage: embed.py MODEL-Q8_0.gguf

Files made with the model before need it from then on: say in docs/models.md where it is. The renewed golden files can only show
that *this* build reads what it wrote; that later ones do is what they are kept for.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from golden import renew

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "llmzip" / "model" / "embedded.py"


def stated(code: str, name: str, value: str) -> str:
    """The code with another hexadecimal constant behind `name =`."""
    changed, count = re.subn(rf'^({name} = \D*")[0-9a-f]+', rf"\g<1>{value}", code, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{CODE.name} has no single {name}")
    return changed


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit((__doc__ or "").strip())
    from llmzip.model.embedded import PACKED
    from llmzip.model.expansion import file_digest
    from llmzip.model.identity import model_identity

    shutil.copyfile(sys.argv[1], PACKED)
    identity = model_identity(PACKED).hex()
    code = stated(CODE.read_text(), "IDENTITY", identity)
    CODE.write_text(stated(code, "SHA256", file_digest(PACKED)))
    renew()
    print(f"embedded {sys.argv[1]}: {PACKED.stat().st_size:,} bytes, identity {identity}")


if __name__ == "__main__":
    main()
