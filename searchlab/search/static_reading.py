"""Static reading of study files: lists what a file defines without executing it."""

import ast
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from searchlab.errors import UserError, from_validation
from searchlab.objective import OBJECTIVES
from searchlab.search.catalog import SourceFile, named_after
from searchlab.study import Sketch, Study
from searchlab.user_file import bound, place_of

FIELDS = tuple(field.name for field in fields(Study))


class _Computed(Exception):
    """A value that only execution could give."""


def read_studies(source: SourceFile) -> tuple[Study, ...] | Sketch:
    """Returns the studies of a file whose `study()` has plain values; else a Sketch of them.

    Raises:
        UserError: the file does not parse, lacks the function, or has an invalid field.
    """
    tree = source.parsed()
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "study"), None)
    if function is None:
        if bound(tree, "study"):
            return Sketch(source.summary, ())
        raise UserError("missing-function", "function study() is missing", where=place_of(source.path))
    known = _constants(tree)
    try:
        returned = [_study(source, call, known) for call in _returned(function)]
    except _Computed:
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _is_study(node)]
        return Sketch(source.summary, tuple(_plain_fields(call, known)[0] for call in calls))
    return named_after(source, tuple(returned))


def _returned(function: ast.FunctionDef) -> list[ast.Call]:
    """Returns the calls of Study that a function returns, if it does nothing else."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if len(body) != 1 or not isinstance(body[0], ast.Return) or function.decorator_list:
        raise _Computed
    value = body[0].value
    calls = value.elts if isinstance(value, ast.Tuple) else [value]
    found = [call for call in calls if isinstance(call, ast.Call) and _is_study(call)]
    if len(found) != len(calls) or not found:
        raise _Computed
    return found


def _is_study(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return bool(name == Study.__name__)


def _study(source: SourceFile, call: ast.Call, known: Mapping[str, Any]) -> Study:
    plain, whole = _plain_fields(call, known)
    if not whole:
        raise _Computed
    try:
        return Study(**plain)
    except ValidationError as error:
        raise from_validation(error, f"{source.path}:{call.lineno}") from error


def _plain_fields(call: ast.Call, known: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Returns the arguments of a call that are plain values, and whether all are."""
    given = [*zip(FIELDS, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]
    found, whole = {}, len(call.args) <= len(FIELDS)
    for name, node in given:
        try:
            if name is None or isinstance(node, ast.Starred):
                raise _Computed
            found[name] = _value(node, known)
        except _Computed:
            whole = False
    return found, whole


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Returns the values of names that are bound once at the top of a file, to a plain value.

    An imported objective is represented by its name.
    """
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in ("searchlab", "searchlab.objective"):
            names = {alias.asname or alias.name: alias.name for alias in node.names}
            found |= {name: original for name, original in names.items() if original in OBJECTIVES}
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = _value(node.value, found)
            except _Computed:
                found.pop(node.targets[0].id, None)
    return {name: value for name, value in found.items() if bound(tree, name) == 1}


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Evaluates an expression of constants, known names, tuples, lists, dicts and signs."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(_value(each, known) for each in node.elts)
    if isinstance(node, ast.List):
        return [_value(each, known) for each in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip((key for key in node.keys if key), node.values, strict=True)
        return {_value(key, known): _value(each, known) for key, each in pairs}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise _Computed from error
