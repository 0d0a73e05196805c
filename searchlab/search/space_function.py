"""Spaces that are functions: extracts their source, from a file or a notebook, as self-contained text.

The text holds the function and what it uses: imports, functions, classes and constants, each before its first use.
"""

import ast
import builtins
import inspect
import linecache
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from searchlab.candidate import Space
from searchlab.errors import UserError
from searchlab.user_file import UserFile, function_of

CALLED = "()"
"""Suffix of the name of such a space: "wide_and_flat()"."""


@dataclass(frozen=True)
class SpaceFunction:
    """A space that is a function: its name, its source, and the function if this process has it."""

    name: str
    text: str
    function: Space | None = None

    def load(self) -> Space:
        """Returns the function; if this process does not have it, from the source.

        Raises:
            UserError: the source does not run.
        """
        if self.function is not None:
            return self.function
        return function_of(UserFile(self.name, f"<source of {self.name}>", self.text), self.name.removesuffix(CALLED))


def is_function_space(name: str) -> bool:
    """Whether the name of a space is that of a function, whose source the store keeps."""
    return name.endswith(CALLED)


def space_function(space: Space) -> SpaceFunction:
    """Makes a SpaceFunction from a function.

    Raises:
        UserError: it was not defined with `def`, or the source of the function or of a name it uses is unknown.
    """
    name = getattr(space, "__name__", type(space).__name__)
    plain = inspect.unwrap(space)
    if not isinstance(plain, FunctionType) or not plain.__name__.isidentifier():
        allowed = "def NAME(choose): ... in a file or a notebook cell; or the name of a space"
        raise UserError(
            "invalid-space", "a space must be a function with a name", where="Study.space", value=name, allowed=allowed
        )
    source = _Source(plain.__name__)
    source.add(plain.__name__, _scope(plain), plain)
    return SpaceFunction(
        plain.__name__ + CALLED, "\n".join([*sorted(set(source.imports)), *source.statements]) + "\n", space
    )


@dataclass
class _Source:
    """Collected source of one function: import lines, then statements in the order of their use."""

    space: str
    imports: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def add(self, name: str, scope: Mapping[str, Any], owner: FunctionType) -> None:
        """Adds the statement that binds a name, from the file or cell of `owner` or its value, and its names."""
        if name in self.known:
            return
        self.known.add(name)
        value, file = scope.get(name), owner.__code__.co_filename
        if isinstance(value, FunctionType) and value.__module__ == owner.__module__:
            scope, file = _scope(value), value.__code__.co_filename
            owner = value
        tree = _parsed(file)
        found = _binding(tree, name, value) if tree else None
        if isinstance(found, ast.Import | ast.ImportFrom):
            self.imports.append(ast.unparse(found))
            return
        if found is None:
            self._add_value(name, value)
            return
        for used in sorted(_names(found)):
            if used in scope and not (hasattr(builtins, used) and used not in owner.__globals__):
                self.add(used, scope, owner)
        self.statements.append(_text(found, file))

    def _add_value(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType):
            alias = f" as {name}" if value.__name__ != name else ""
            self.imports.append(f"import {value.__name__}{alias}")
            return
        module, known_as = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
        if module != "__main__" and known_as and getattr(sys.modules.get(module), known_as, None) is value:
            alias = f" as {name}" if known_as != name else ""
            self.imports.append(f"from {module} import {known_as}{alias}")
            return
        if not _is_literal(value):
            what = f"the source of {name!r} is unknown" if name != self.space else "its source is unknown"
            allowed = "define it in a file or a notebook cell, beside the space; or put the space into a .py file"
            raise UserError("invalid-space", what, where=f"space {self.space}{CALLED}", allowed=allowed)
        self.statements.append(f"{name} = {value!r}")


def _scope(function: FunctionType) -> Mapping[str, Any]:
    """Returns the values of the names in a function's source."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    inner = {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
    return {**function.__globals__, **inner, function.__name__: function}


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _parsed(file: str) -> ast.Module | None:
    """Parses a file or a notebook's cell; None if its text is unknown."""
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    try:
        return ast.parse("".join(lines)) if lines else None
    except SyntaxError:
        # A cell with a magic command: IPython executes a transformed text.
        return None


def _binding(tree: ast.Module, name: str, value: Any) -> ast.stmt | None:
    """Returns the last statement that binds a name, at module level; for a function, its definition anywhere."""
    line = value.__code__.co_firstlineno if isinstance(value, FunctionType) else None
    for node in ast.walk(tree) if line else reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if line in (None, first):
                return node
        elif line is None and isinstance(node, ast.Import | ast.ImportFrom):
            if (alone := _import_of(node, name)) is not None:
                return alone
        elif line is None and isinstance(node, ast.Assign | ast.AnnAssign) and name in _bound(node):
            return node
    return None


def _import_of(node: ast.Import | ast.ImportFrom, name: str) -> ast.stmt | None:
    """Returns an import of this name only; None if the statement does not import it, or is a relative import."""
    for alias in node.names:
        if (alias.asname or alias.name.partition(".")[0]) == name:
            if isinstance(node, ast.Import):
                return ast.Import([alias])
            return None if node.level else ast.ImportFrom(node.module, [alias], 0)
    return None


def _bound(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}


def _text(node: ast.stmt, file: str) -> str:
    """Returns the lines of a statement with its decorators and comments, dedented."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    lines = linecache.getlines(file)[first - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines)).rstrip()


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False
