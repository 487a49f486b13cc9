"""Layers: the import contracts in pyproject.toml (`tool.importlinter`), run with import-linter.

The contracts name every layer of the design. What does not exist yet is left out before the run;
a folder that the contracts do not know is a problem, so that a new one cannot escape them.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checks.outcome import Outcome

MODULE_LISTS = ("source_modules", "forbidden_modules", "modules")
"""The settings of a contract that must name existing modules where those are ours."""

EVERYWHERE = {"database": {"store"}, "store-users": {"store", "gateway", "cli"}}
"""Contracts that name all packages, and the packages that they leave out on purpose."""

Settings = Mapping[str, Any]


def _exists(root: Path, module: str) -> bool:
    path = root / "src" / Path(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _present(root: Path, package: str, modules: list[str]) -> list[str]:
    """The modules that are there; those of other packages are always kept."""
    ours = f"{package}."
    return [name for name in modules if not name.startswith(ours) or _exists(root, name)]


def _contract(root: Path, package: str, contract: Settings) -> dict[str, Any] | None:
    """The contract over what exists, or None when nothing is left of it."""
    kept = dict(contract)
    for key in MODULE_LISTS:
        if key in kept:
            kept[key] = _present(root, package, kept[key])
            if not kept[key]:
                return None
    return kept


def _ini_section(title: str, settings: Settings) -> Iterator[str]:
    yield f"[{title}]"
    for key, value in settings.items():
        text = "".join(f"\n    {item}" for item in value) if isinstance(value, list) else value
        yield f"{key} = {text}"
    yield ""


def _ini(root: Path, settings: Settings) -> str:
    """The settings in import-linter's other form, which the standard library can write."""
    lines = list(
        _ini_section("importlinter", {k: v for k, v in settings.items() if k != "contracts"})
    )
    for contract in settings["contracts"]:
        kept = _contract(root, settings["root_package"], contract)
        if kept is not None:
            name = kept.pop("id")
            lines.extend(_ini_section(f"importlinter:contract:{name}", kept))
    return "\n".join(lines)


def _unknown(root: Path, settings: Settings) -> Iterator[str]:
    """Packages that a contract over all of them does not name."""
    package = settings["root_package"]
    folders = {path.parent.name for path in (root / "src" / package).glob("*/__init__.py")}
    for contract in settings["contracts"]:
        allowed = EVERYWHERE.get(contract["id"])
        if allowed is None:
            continue
        named = {name.removeprefix(f"{package}.") for name in contract["source_modules"]}
        for folder in sorted(folders - named - allowed):
            where = f"the contract '{contract['id']}' in pyproject.toml"
            yield f"{where} does not name {package}.{folder}"


def _lint(root: Path, config: Path) -> Outcome:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, "--config", str(config)],
        cwd=config.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode == 0:
        return Outcome(note=lines[-1] if lines else "")
    return Outcome(tuple(lines) or (f"exit code {done.returncode}",))


def check_layers(root: Path) -> Outcome:
    """No import against the order of the layers, no cycle, no forbidden library."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    settings = document["tool"]["importlinter"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "importlinter.ini"
        config.write_text(_ini(root, settings), encoding="utf-8")
        outcome = _lint(root, config)
    return Outcome((*_unknown(root, settings), *outcome.problems), outcome.note)
