"""Sessions of ONNX Runtime, with the threads fixed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
from onnx import ModelProto
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from searchlab.errors import UserError

REFUSED = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NoSuchFile,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
"""What ONNX Runtime raises on a model that it cannot load; they have no base of their own."""

ERRORS_ONLY = 3
"""Severity of the log. Warnings are about optimisations, and every session would repeat them."""


def session_of(
    model: ModelProto | Path,
    threads: int,
    where: str = "",
    providers: Sequence[tuple[str, dict[str, Any]]] = (("CPUExecutionProvider", {}),),
) -> ort.InferenceSession:
    """Returns a session of a model or of a file; `providers` with their options, the first that has an operator first.

    Raises:
        UserError: the file is no model, or ONNX Runtime lacks one of its operators; the message names the node.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = ERRORS_ONLY
    # The threads of another session would else keep the cores busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    given = str(model) if isinstance(model, Path) else model.SerializeToString()
    try:
        return ort.InferenceSession(given, options, providers=list(providers))
    except REFUSED as error:
        reason = " ".join(str(error).split())
        raise UserError(
            "unsupported-network",
            f"onnxruntime {ort.__version__} cannot run this model",
            where=where or (str(model) if isinstance(model, Path) else model.graph.name),
            allowed=reason,
        ) from error
