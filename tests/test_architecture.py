"""The shape of the tree, held by tests: sizes, arrows, the settings and errors that must be told about."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import get_args

import service
from sandbox.python import modules as sandbox_modules
from service import errors, settings
from service.domain import outcome
from service.http.problems import RESPONSES

ROOT = Path(__file__).parents[1]
LINES_MAX = 300
SOURCES = sorted(
    path for room in ("service", "sandbox", "bench", "tests", "examples") for path in (ROOT / room).rglob("*.py")
)


def test_every_file_fits_its_room() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > LINES_MAX} == {}


def test_every_module_says_what_it_is() -> None:
    modules = [path for path in SOURCES if path.name != "__init__.py"]
    silent = [path for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_sandbox_never_imports_the_service() -> None:
    for path in (ROOT / "sandbox").rglob("*.py"):
        assert not [name for name in _imports(path) if name.split(".")[0] == "service"], path


def test_the_service_imports_nothing_of_the_sandbox_but_its_protocol() -> None:
    for path in (ROOT / "service").rglob("*.py"):
        seen = {".".join(name.split(".")[:2]) for name in _imports(path) if name.split(".")[0] == "sandbox"}
        assert seen <= {"sandbox", "sandbox.protocol", "sandbox.version"}, path


def test_only_the_settings_read_the_environment() -> None:
    for path in (ROOT / "service").rglob("*.py"):
        if path not in {ROOT / "service/settings/__init__.py", ROOT / "service/cli.py"}:
            assert not re.search(r"\benviron\b|\bgetenv\b", path.read_text()), path
    # The command line hands the environment over, once.
    assert (ROOT / "service" / "cli.py").read_text().count("os.environ") == 1


def test_importing_the_service_starts_and_reads_nothing() -> None:
    for module in pkgutil.walk_packages(service.__path__, "service."):
        importlib.import_module(module.name)


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    for description in settings.describe():
        for name in description.names:
            assert f"`{name}`" in documented
        assert description.doc in documented


def test_every_documented_setting_exists() -> None:
    known = {name for description in settings.describe() for name in description.names}
    documented = set(re.findall(r"`([A-Z][A-Z_]{3,})`", (ROOT / "docs" / "settings.md").read_text()))
    assert documented <= known


def test_both_sides_offer_the_same_modules() -> None:
    assert set(settings.DEFAULT_MODULES) == set(sandbox_modules.DEFAULT_MODULES)


def test_every_error_and_outcome_has_a_response() -> None:
    concrete = {
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.SkepError) and not kind.__subclasses__()
    }
    outcomes = {kind for kind in get_args(outcome.Outcome) if kind is not outcome.Returned}
    assert set(RESPONSES) == concrete | outcomes


def test_errors_know_no_http() -> None:
    for module in (errors, outcome):
        names = {node.id for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Name)}
        assert not {name for name in names if "http" in name.lower() or name.lower().startswith("status")}
        assert not {name for name in _imports(Path(inspect.getfile(module))) if "http" in name}
