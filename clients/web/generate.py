"""Write what of the page is made from other files; with --check, say whether it is up to date.

    python3 clients/web/generate.py

protocol/   messages of the stream as JavaScript and types, from proto/liqscape/v1/stream.proto
assets.json every file that a browser may ask for: the page, and whatever it imports, packages included
index.html  of it, the links that let a browser fetch all modules at once

The generator and buf come from npm (packages.py here, proto/buf.py). Where they are not installed and cannot be, the
exit status is 77 and the reason is printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from clients.web import packages  # noqa: E402  (run as a script, from anywhere)
from proto import buf  # noqa: E402

WEB: Final = ROOT / "clients" / "web"
SOURCE: Final = "liqscape/v1/stream.proto"
GENERATOR: Final = WEB / "node_modules" / "@bufbuild" / "protoc-gen-es" / "bin" / "protoc-gen-es"
PACKAGE: Final = "@bufbuild/protobuf"
ENTRIES: Final = ("index.html", "style.css", "icon.svg", "main.js")
ASSETS: Final = "assets.json"
PAGE: Final = "index.html"

_LINKS: Final = re.compile(r"(<!-- modules: begin.*?-->\n).*?( *<!-- modules: end -->)", re.DOTALL)
_IMPORT: Final = re.compile(r"""^(?:import|export)\b(?:[^"';]*\bfrom)?\s*["'](\.[^"']+)["'];?$""", re.MULTILINE)


def write_protocol(tool: Path, output: Path) -> bool:
    """Write the messages of the stream into output/protocol; return whether that went well."""
    # A page without inline scripts has no import map, so packages are imported by path.
    modules = f"../node_modules/{PACKAGE}/dist/esm"
    options = [
        "target=js+dts",
        "import_extension=js",
        f"rewrite_imports={PACKAGE}/codegenv2:{modules}/codegenv2/index.js",
        f"rewrite_imports={PACKAGE}:{modules}/index.js",
    ]
    plugin = {"local": ["node", str(GENERATOR)], "out": str(output / "protocol"), "opt": options}
    template = json.dumps({"version": "v2", "plugins": [plugin]})
    return buf.run(tool, "generate", "--path", SOURCE, "--template", template)


def assets(web: Path = WEB) -> list[str]:
    """Return the files of the page, sorted: its entries and what they import, however far away."""
    found = {web / name for name in ENTRIES}
    waiting = [path for path in found if path.suffix == ".js"]
    while waiting:
        for path in imports(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(path.relative_to(web).as_posix() for path in found)


def imports(module: Path) -> Iterator[Path]:
    """Yield the files that a module imports by path."""
    for name in _IMPORT.findall(module.read_text("utf-8")):
        yield (module.parent / name).resolve()


def with_links(page: str, modules: Sequence[str]) -> str:
    """Return the page with a link for each module."""
    links = "".join(f'    <link rel="modulepreload" href="/static/{name}" />\n' for name in modules)
    return _LINKS.sub(lambda found: found[1] + links + found[2], page)


def write(output: Path, tool: Path) -> bool:
    """Write everything into a folder; return whether that went well."""
    done = write_protocol(tool, output)
    files = assets()
    (output / ASSETS).write_text(json.dumps({"files": files}, indent=2) + "\n", "utf-8")
    modules = [name for name in files if name.endswith(("js", "mjs"))]
    (output / PAGE).write_text(with_links((WEB / PAGE).read_text("utf-8"), modules), "utf-8")
    return done


def differences(fresh: Path, committed: Path) -> list[str]:
    """Name each file that is missing, stale or left over."""
    folders = (fresh, committed)
    names = {path.relative_to(folder) for folder in folders for path in (folder / "protocol").rglob("*_pb.*")}
    found = []
    for name in sorted(names | {Path(ASSETS), Path(PAGE)}):
        texts = [(folder / name).read_bytes() if (folder / name).is_file() else None for folder in folders]
        if texts[0] != texts[1]:
            found.append(name.as_posix())
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="write the generated files of the page")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is not up to date")
    options = parser.parse_args(arguments)
    reason = packages.install(WEB)
    if reason:
        print(f"no check of the page's generated files: {reason}")
        return packages.SKIPPED
    try:
        tool = buf.prepare()
    except buf.Unavailable as error:
        print(f"no check of the page's generated files by buf: {error}")
        return packages.SKIPPED
    if not options.check:
        return not write(WEB, tool)
    with tempfile.TemporaryDirectory() as folder:
        if not write(Path(folder), tool):
            return 2
        found = differences(Path(folder), WEB)
    for name in found:
        print(f"clients/web/{name} is not up to date; run: make page-code", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
