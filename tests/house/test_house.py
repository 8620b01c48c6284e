"""The house rules that a tool can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.config.load import load_configuration, parse_configuration
from lbapp.config.schema import Document
from lbapp.model.limits import Limits

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "lbapp").rglob("*.py"))
MODULE_LINES_MAX, APP_LINES_MAX, FUNCTION_LINES_MAX, IGNORES_PER_1000_MAX = 400, 200, 60, 2

# Longer than a function may be, each with what it buys in docs/performance.md.
HOT_FUNCTIONS: set[str] = set()
# Where an error nobody foresaw is caught: connection task, probe loop, control command.
CATCH_ALL = {
    "lbapp/cluster/fleet.py",
    "lbapp/engine/worker/downstream.py",
    "lbapp/engine/worker/queueing.py",
    "lbapp/engine/worker/reactor.py",
    "lbapp/engine/supervisor/agents.py",
    "lbapp/engine/supervisor/checks.py",
    "lbapp/engine/supervisor/fleet_link.py",
    "lbapp/engine/supervisor/probes.py",
    "lbapp/engine/supervisor/api.py",
    "lbapp/engine/supervisor/control_socket.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_and_functions_are_short() -> None:
    for path in MODULES:
        limit = APP_LINES_MAX if name_of(path) == "lbapp/tui/app.py" else MODULE_LINES_MAX
        assert len(path.read_text().splitlines()) <= limit, name_of(path)
        for function in functions(path):
            lines = (function.end_lineno or 0) - function.lineno + 1
            where = f"{name_of(path)}:{function.name}"
            assert lines <= FUNCTION_LINES_MAX or where in HOT_FUNCTIONS, f"{where} has {lines} lines"


def test_every_module_opens_with_what_it_is_responsible_for() -> None:
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert docstring, name_of(path)
        if path.name not in ("__init__.py", "__main__.py"):
            assert 3 <= len(docstring.splitlines()) <= 25, f"{name_of(path)}: {len(docstring.splitlines())} lines"


def test_errors_nobody_foresaw_are_caught_in_few_places() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name):
                is_broad = node.type.id in ("Exception", "BaseException")
                is_broad = is_broad and not isinstance(node.body[-1], ast.Raise)  # clearing up, then on its way
                assert not is_broad or name_of(path) in CATCH_ALL, f"{name_of(path)}:{node.lineno}"


def test_types_are_rarely_ignored_and_never_without_a_code() -> None:
    text = "\n".join(path.read_text() for path in MODULES)
    assert len(re.findall(r"# type: ignore", text)) <= IGNORES_PER_1000_MAX * text.count("\n") / 1000
    assert not re.search(r"# type: ignore(?!\[)", text)


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


# What is loaded before a process does what it is started for, and what of it is not to be: each of these is for a feature that
# most do not have, or is needed later. A name stands for all that lies below it.
LEAN = {
    "a worker": (
        "import lbapp.engine.worker.run",
        "click cryptography dns httpcore lbapp.config lbapp.control lbapp.model.fleet lbapp.model.journal prometheus_client "
        "pydantic rich starlette textual uvicorn",
    ),
    "an engine that is alone, without TLS, whose servers have addresses": (
        "import lbapp.cli.main, lbapp.cli.start, lbapp.cli.fleet_maker, lbapp.engine.main; from pathlib import Path; "
        "lbapp.engine.main.read_configuration(Path('conf/lbapp.toml'))",
        "cryptography dns httpcore httpx lbapp.cluster lbapp.engine.worker prometheus_client rich textual tree_sitter",
    ),
    "lbapp status": (
        "import lbapp.cli.main, lbapp.cli.look",
        "anyio asyncio dns httpcore lbapp.cli.past lbapp.cluster lbapp.config lbapp.engine pydantic rich starlette textual",
    ),
}


@pytest.mark.parametrize("who", LEAN)
def test_start_loads_nothing_that_is_not_needed_for_it(who: str) -> None:
    code, unwanted = LEAN[who]
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    below = tuple(f"{name}." for name in unwanted.split())
    assert [name for name in loaded if f"{name}.".startswith(below)] == []


def test_sample_configurations_load() -> None:
    assert load_configuration(ROOT / "conf/lbapp.toml").pools
    assert load_configuration(ROOT / "conf/lbapp.reference.toml").limits == Limits()


def test_reference_shows_every_key_with_its_default() -> None:
    text = (ROOT / "conf/lbapp.reference.toml").read_text()
    schema = Document.model_json_schema()
    for table in (schema, *(each for name, each in schema["$defs"].items() if name.endswith("Table"))):
        for key in table.get("properties", {}):
            assert re.search(rf"(^|^# |[\[.]){key}( =|\]|\.)", text, re.MULTILINE), key
    shown = parse_configuration(text, "reference").pools[0]
    minimal = '[[listener]]\nname="l"\nbind="127.0.0.1:0"\npool="app"\n[[pool]]\nname="app"\n'
    default = parse_configuration(minimal, "minimal").pools[0]
    assert (shown.algorithm, shown.health_check, shown.drain_timeout_s) == (
        default.algorithm,
        default.health_check,
        default.drain_timeout_s,
    )
