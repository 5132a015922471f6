"""Make a GGUF the model inside the package: its identity, digest and vocabulary go into the package, the golden files are made anew.

Usage: embed.py MODEL-Q8_0.gguf

Files made with the model before need it from then on: say in docs/models.md where it is. The renewed golden files can only show
that *this* build reads what it wrote; that later ones do is what they are kept for.
"""

from __future__ import annotations

import re
import shutil
import sys
from array import array
from pathlib import Path
from zlib import crc32

from golden import renew

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "llmzip" / "model" / "embedded.py"
VOCABULARY_CODE = ROOT / "llmzip" / "text" / "embedded_vocabulary.py"


def stated(code: str, name: str, value: str) -> str:
    """The code with another hexadecimal constant behind `name =`."""
    changed, count = re.subn(rf'^({name} = \D*")[0-9a-f]+', rf"\g<1>{value}", code, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{CODE.name} has no single {name}")
    return changed


def merges_of(model: Path) -> bytes:
    """The merges of a GGUF's vocabulary, as the package keeps them."""
    from gguf import GGUFReader

    fields = GGUFReader(model).fields
    tokens = {token: number for number, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    pairs = [merge.split(" ") for merge in fields["tokenizer.ggml.merges"].contents()]
    merged = array("H", [tokens[part] for pair in pairs for part in pair])
    if sys.byteorder == "big":
        merged.byteswap()
    return merged.tobytes()


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit((__doc__ or "").strip())
    from llmzip.model.embedded import PACKED
    from llmzip.model.expansion import file_digest
    from llmzip.model.identity import model_identity
    from llmzip.text import embedded_vocabulary

    shutil.copyfile(sys.argv[1], PACKED)
    identity = model_identity(PACKED).hex()
    code = stated(CODE.read_text(), "IDENTITY", identity)
    CODE.write_text(stated(code, "SHA256", file_digest(PACKED)))
    embedded_vocabulary.FILE.write_bytes(merges := merges_of(PACKED))
    code = VOCABULARY_CODE.read_text()
    VOCABULARY_CODE.write_text(re.sub(r"(?m)^CHECK = 0x[0-9A-F]+", f"CHECK = 0x{crc32(merges):08X}", code))
    renew()
    print(f"embedded {sys.argv[1]}: {PACKED.stat().st_size:,} bytes, identity {identity}")


if __name__ == "__main__":
    main()
