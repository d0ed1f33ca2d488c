"""Makes a provider out of the parrot beside this file: `make new-provider NAME=toucan`.

The parrot is a whole provider of an imaginary service, in the folders in which its files belong: dialect, provider,
stand-in, unit tests, subject of the contract suite, page. They are copied with its name replaced, and two lines are
added to `PROVIDERS`. What comes out passes every test, and is then changed step by step into what the service wants
(docs/adding-a-provider.md).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARROT = Path(__file__).parent / "parrot"
LIST = ROOT / "shared" / "parley" / "providers" / "__init__.py"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def main(name: str) -> None:
    """Make the files, and say which."""
    if not NAME.fullmatch(name):
        raise SystemExit(f"'{name}' cannot be a module's name: small letters, digits and single underscores, please.")
    files = list(renamed(name))
    if there := [path for path, _ in files if path.exists()]:
        raise SystemExit(f"There is something already: {', '.join(str(path.relative_to(ROOT)) for path in there)}")
    LIST.write_text(listed(LIST.read_text("utf-8"), name), "utf-8")
    for path, text in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    made = [*(path for path, _ in files), LIST]
    for tidy in (["check", "--fix", "--select", "I"], ["format"]):  # another name sorts, and breaks lines, elsewhere
        ruff = [sys.executable, "-m", "ruff", *tidy, "--quiet", *(path for path in made if path.suffix == ".py")]
        subprocess.run(ruff, cwd=ROOT, check=True)
    for path in made:
        print(path.relative_to(ROOT))


def renamed(name: str) -> Iterator[tuple[Path, str]]:
    """Every file of the parrot, with its place and text."""
    for path in sorted(PARROT.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".md"):
            yield ROOT / called(str(path.relative_to(PARROT)), name), called(path.read_text("utf-8"), name)


def called(text: str, name: str) -> str:
    """The same with another name."""
    return text.replace("parrot", name).replace("Parrot", camel(name)).replace("PARROT", name.upper())


def camel(name: str) -> str:
    """A module's name as that of a class."""
    return "".join(word.capitalize() for word in name.split("_"))


def listed(text: str, name: str) -> str:
    """`providers/__init__.py` with an import, in its place among the others, and a line in PROVIDERS."""
    line = f"from parley.providers.{name} import {camel(name)}"
    imports = re.findall(r"^from parley\.providers\..*$", text, re.MULTILINE)
    after = [old for old in imports if old < line]
    text = (
        text.replace(after[-1], f"{after[-1]}\n{line}", 1)
        if after
        else text.replace(imports[0], f"{line}\n{imports[0]}", 1)
    )
    return text.replace("    **dict.fromkeys(ROWS", f'    "{name}": {camel(name)},\n    **dict.fromkeys(ROWS', 1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
