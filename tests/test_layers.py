"""The rules of the layout, on syntax trees: imports go down, each library has its place, code is short.

Every breach is one line of the failure. The rules are functions of a module's text, so that planted breaches try them.
"""

import ast
from collections.abc import Iterator
from functools import cache

import pytest
from source_files import PACKAGE, SHELF, Functions, Import, Module, imports, modules, on_the_shelf

TOP_TO_BOTTOM = (
    ("cli", "lab"),
    ("api",),
    ("session",),
    ("analysis", "report"),
    ("search",),
    ("runners", "papers"),
    ("trial",),
    ("trial_hooks",),
    ("deploy",),
    ("artefacts", "train", "measure", "baselines"),
    ("engines",),
    ("exits", "time_left"),
    ("model", "data", "front"),
    ("study", "record", "study_summary", "phases", "space_helpers"),
    ("candidate", "objective", "operating_point"),
    ("limits",),
    ("architecture", "user_file", "trial_files"),
    ("serialization", "seeds", "schema"),
    ("errors",),
    ("error_codes",),
)
LEVEL = {part: level for level, parts in enumerate(reversed(TOP_TO_BOTTOM)) for part in parts}
"""Part of the package (a folder, or a module beside them) to its level: it may import parts of lower levels only."""

TORCH = ("model", "data", "train", "exits", "baselines", "engines", "measure", "deploy", "artefacts", "trial", "papers")
PLACES: dict[str, tuple[str, ...]] = {
    "optuna": ("search", "analysis"),
    "sqlalchemy": ("search",),  # what Optuna's store raises
    "ray": ("runners/tune",),
    "pandas": ("report", "session/results.py"),  # results names the type of the frames that it returns
    "typer": ("cli",),
    "rich": ("cli", "session", "report"),
    "plotly": ("report",),
    "matplotlib": ("report",),
    # launch sets the process's threads before it starts a runner, and all name the type of the device they hand
    # down. Neither computes: tensors are made, and networks run, below.
    "torch": (*TORCH, "search/launch.py", "search/same_unit.py", "analysis/test_evaluation.py"),
    "torchvision": ("data", "model/backbones/torchvision.py"),
    "sklearn": ("data", "baselines/eenet.py"),
    "safetensors": ("artefacts", "trial_files", "model/backbones/torchvision.py"),
    "PIL": ("data",),
    "spaces": (),
    "studies": (),
}
"""Who may import what; a folder (at the top or below), a module, or a file. Libraries that are not listed are free."""

LAZY = {
    "report": ("plotly", "matplotlib", "pandas"),
    "runners/cluster.py": ("searchlab.runners.tune.run",),
    # A worker on a cluster gets its data split: it needs no scikit-learn, which takes as long to import as torch.
    "data": ("sklearn",),
    "baselines/eenet.py": ("sklearn",),
    # A missing package is said in a line, with the command that installs it.
    "engines/onnx_runtime.py": ("searchlab.engines.onnx_sessions",),
    # `front` and `trials` read the store alone; only options of theirs compute.
    "cli/inspecting.py": ("searchlab.cli.replicating",),
    # `profile --list` reads the store alone.
    "cli/profiling.py": ("searchlab.analysis.profiling", "searchlab.session.profiling"),
    # scikit-learn computes importances.
    "cli/plotting.py": ("searchlab.analysis.importance",),
    "session/found.py": (
        "searchlab.analysis.test_evaluation",
        "searchlab.data.prepared",
        "searchlab.search.launch",
    ),
    "session/data_options.py": ("searchlab.data.datasets",),
}
"""What may be imported inside functions, by a part or a file: heavy libraries, which few commands need, and what
imports them. `tests/cli/test_imports.py` says which commands go without torch."""

MODULE_LINES, FUNCTION_LINES, PARAMETERS = 400, 40, 6


def upward(module: Module) -> Iterator[str]:
    """Imports of the package's own parts that do not go down."""
    if module.part not in LEVEL and module.path != "__init__.py":
        yield f"{module.path}:1: {module.part} has no level in the table of layers"
        return
    for found in imports(module):
        names = found.target.split(".")
        if names[0] != "searchlab" or len(names) == 1 or names[1] == module.part:
            continue
        if names[1] not in LEVEL:
            yield f"{module.path}:{found.line}: imports {found.target}, which has no level"
        elif LEVEL[names[1]] >= LEVEL.get(module.part, -1):
            side = "sideways" if LEVEL[names[1]] == LEVEL.get(module.part, -1) else "upward"
            yield f"{module.path}:{found.line}: {module.part} imports {side} from {names[1]}"


def misplaced(module: Module) -> Iterator[str]:
    """Imports of libraries outside their place."""
    for found in imports(module):
        places = PLACES.get(found.top)
        if places is not None and not {module.part, module.folder, module.path} & set(places):
            yield f"{module.path}:{found.line}: imports {found.top}, allowed in: {', '.join(places) or 'nowhere'}"


def lazy(module: Module) -> Iterator[str]:
    """Imports inside functions."""
    for found in imports(module):
        allowed = (*LAZY.get(module.part, ()), *LAZY.get(module.path, ()))
        if found.lazy and not any(f"{found.target}.".startswith(f"{name}.") for name in allowed):
            yield f"{module.path}:{found.line}: imports {found.target} inside a function"


def too_long(module: Module) -> Iterator[str]:
    """Modules and functions of too many lines, functions of too many parameters.

    What typer makes a command of has one parameter per option: its signature and its help text are not counted.
    """
    lines = len(module.text.splitlines())
    if lines > MODULE_LINES:
        yield f"{module.path}:1: {lines} lines, at most {MODULE_LINES}"
    for function in module.functions:
        first = body(function)[0] if is_command(module, function) else function
        length = (function.end_lineno or 0) - first.lineno + 1
        if length > FUNCTION_LINES:
            yield f"{module.path}:{function.lineno}: {function.name} has {length} lines, at most {FUNCTION_LINES}"
        count = len([each for each in parameters(function) if each.arg not in ("self", "cls")])
        if count > PARAMETERS and not is_command(module, function):
            yield f"{module.path}:{function.lineno}: {function.name} has {count} parameters, at most {PARAMETERS}"


def parameters(function: Functions) -> list[ast.arg]:
    given = function.args
    starred = [each for each in (given.vararg, given.kwarg) if each]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *starred]


def body(function: Functions) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body


def is_command(module: Module, function: Functions) -> bool:
    """Commands of the cli are the functions whose parameters are annotated with its options (`opt.Trials`)."""
    kinds = [each.annotation for each in parameters(function)]
    return module.part == "cli" and any(
        isinstance(kind, ast.Attribute) and isinstance(kind.value, ast.Name) and kind.value.id == "opt"
        for kind in kinds
    )


def printing(module: Module) -> Iterator[str]:
    """Calls of print outside the command line."""
    for node in module.nodes:
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "print" and module.part != "cli":
            yield f"{module.path}:{called.lineno}: prints"


def cycles(every: list[Module]) -> Iterator[str]:
    """Modules that import each other, directly or by way of others; within one part as well."""
    names = {module.name for module in every}
    below = {module.name: {hit for found in imports(module) if (hit := known(found, names))} for module in every}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            yield "a cycle: " + " -> ".join((*path[path.index(name) :], name))
        elif name not in done:
            for other in sorted(below[name]):
                yield from visit(other, (*path, name))
            done.add(name)

    for name in sorted(names):
        yield from visit(name, ())


def known(found: Import, names: set[str]) -> str | None:
    """The module that an import reads: the target itself, or what it is a name of."""
    return next((name for name in (found.target, found.target.rpartition(".")[0]) if name in names), None)


@cache
def public_names() -> set[str]:
    """The names that `searchlab` exports, its public module `lab` included."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    listed = {alias.name for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return listed | {"lab", "__version__"}


def not_public(module: Module) -> Iterator[str]:
    """Imports of the shelf that are no public names of searchlab.

    Modules of a paper may import each other. Its space and its study may not: they are run from their text.
    """
    public, in_package = public_names(), module.folder.startswith("studies/papers/")
    in_package = in_package and not module.path.endswith(("/study.py", "/space.py"))
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            names = [alias.name for alias in node.names if alias.name not in public]
            found = [f"searchlab.{name}" for name in names] if source == "searchlab" else [source]
            found = [] if source == "searchlab.lab" or (node.level == 1 and in_package) else found
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name not in ("searchlab", "searchlab.lab")]
        else:
            continue
        for name in found:
            if name.split(".")[0] in ("", "searchlab", *SHELF):
                yield f"{module.path}:{node.lineno}: imports {name}, which is not public"


RULES = (upward, misplaced, lazy, too_long, printing)
SHELF_RULES = (not_public, lazy, too_long, printing)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule):
    breaches = [breach for module in modules() for breach in rule(module)]
    if breaches:
        pytest.fail("\n".join(breaches), pytrace=False)


@pytest.mark.parametrize("rule", SHELF_RULES, ids=lambda rule: rule.__name__)
def test_every_module_on_the_shelf_keeps(rule):
    assert len(on_the_shelf()) > 20
    breaches = [breach for module in on_the_shelf() for breach in rule(module)]
    if breaches:
        pytest.fail("\n".join(breaches), pytrace=False)


def test_the_package_names_no_paper():
    """searchlab must run without the papers."""
    papers = sorted(path.parent.name for path in (PACKAGE.parent / "studies/papers").glob("*/tables.py"))
    assert len(papers) == 5
    named = [f"{prefix}{name}" for name in papers for prefix in ("paper_", "papers.", "papers/")]
    assert [(module.path, name) for module in modules() for name in named if name in module.text] == []


def test_no_cycles():
    breaches = list(cycles(modules()))
    if breaches:
        pytest.fail("\n".join(breaches), pytrace=False)


def test_every_part_of_the_table_exists():
    assert set(LEVEL) == {module.part for module in modules() if module.path != "__init__.py"}


LONG = "def f():\n" + "    x = 1\n" * 41
COMMAND = "def f(a: opt.A, b, c, d, e, f, g):\n" + '    """Help.\n' + "    more\n" * 40 + '    """\n    return a\n'
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import searchlab.train.loop"
PLANTED = [
    (upward, "study.py", "from searchlab.trial import run_trial", "study imports upward from trial"),
    (upward, "model/cost.py", "from searchlab.data import splits", "model imports sideways from data"),
    (upward, "record.py", "from searchlab import study", "record imports sideways from study"),
    (upward, "train/loop.py", "from ..measure import latency", "train imports sideways from measure"),
    (upward, "exits/table.py", FOR_TYPES, "exits imports upward from train"),
    (upward, "stray.py", "", "stray has no level"),
    (misplaced, "front.py", "import pandas as pd", "imports pandas, allowed in: report, session/results.py"),
    (misplaced, "runners/local.py", "from ray import tune", "imports ray, allowed in: runners/tune"),
    (misplaced, "search/driver.py", "import torch.nn", "imports torch"),
    (misplaced, "search/catalog.py", "from spaces import small_resnet", "imports spaces, allowed in: nowhere"),
    (lazy, "runners/local.py", "def f():\n    import json", "imports json inside a function"),
    (lazy, "search/launch.py", "def f():\n    from searchlab.runners.tune.run import g", "inside a function"),
    (too_long, "trial.py", LONG, "f has 42 lines"),
    (too_long, "trial.py", "def f(a, b, c, *, d, e, f, g): ...", "f has 7 parameters"),
    (too_long, "trial.py", "\n" * 401, "401 lines"),
    (printing, "report/page.py", "print('x')", "prints"),
    (not_public, "studies/mine.py", "from searchlab.study import Study", "searchlab.study, which is not public"),
    (not_public, "spaces/mine.py", "from searchlab import Study, model", "imports searchlab.model, which is not"),
    (not_public, "studies/papers/a/tables.py", "import searchlab.papers.paper", "imports searchlab.papers.paper"),
    (not_public, "studies/papers/a/tables.py", "from ..b.tables import PAPER", "imports ..b.tables"),
    (not_public, "studies/papers/a/tables.py", "from studies.papers.b import tables", "imports studies.papers.b"),
    (not_public, "studies/papers/a/study.py", "from .tables import ROWS", "imports .tables"),
    (not_public, "studies/mine.py", "def f():\n    from searchlab.model import cost", "imports searchlab.model"),
]


@pytest.mark.parametrize(("rule", "path", "text", "expected"), PLANTED)
def test_planted_breaches_are_found(rule, path, text, expected):
    (breach,) = rule(Module(path, text))
    assert breach.startswith(f"{path}:")
    assert expected in breach


def test_what_is_allowed_is_not_a_breach():
    fine = [
        Module("runners/tune/run.py", "import ray\nfrom searchlab.trial import run_trial"),
        Module("runners/cluster.py", "def f():\n    from searchlab.runners.tune.run import g"),
        Module("report/plots.py", "def f():\n    import matplotlib.pyplot"),
        Module("cli/console.py", "import searchlab\nprint('x')"),
        Module("cli/running.py", COMMAND),
        Module("trial.py", "class A:\n    def f(self, a, b, c, d, e, f): ..."),
    ]
    assert [breach for module in fine for rule in RULES for breach in rule(module)] == []


def test_what_is_public_is_no_breach_on_the_shelf():
    text = (
        "import searchlab\nimport numpy as np\nfrom searchlab import Study, lab\nfrom searchlab.lab import tabulate\n"
    )
    fine = [
        Module("spaces/mine.py", text),
        Module("studies/papers/a/tables.py", text + "from .evaluation import found"),
    ]
    assert [breach for module in fine for breach in not_public(module)] == []


def test_a_planted_cycle_is_found_once():
    planted = [
        Module("exits/a.py", "from searchlab.exits import b"),
        Module("exits/b.py", "from searchlab.exits.c import x"),
        Module("exits/c.py", "import searchlab.exits.a"),
    ]
    assert list(cycles(planted)) == [
        "a cycle: searchlab.exits.a -> searchlab.exits.b -> searchlab.exits.c -> searchlab.exits.a"
    ]
