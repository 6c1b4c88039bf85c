"""The forms that nets are handed over in: bytes of a file, and what a reader of that file computes from images."""

import io
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim, ExportedProgram

from medcls.errors import UserError
from medcls.export.graph import INPUT, Graph
from medcls.host.quiet import quiet

_TALKATIVE = ("torch", "onnxscript", "onnx_ir")  # with remarks on each other
Outputs = dict[str, NDArray[Any]]
METADATA = "metadata.json"  # in a .pt2 file; in ONNX each entry is a property of its own


class Format(NamedTuple):
    """A form: the ending of its files, what makes their bytes, and what computes outputs from these."""

    ending: str
    content: Callable[[Graph, ExportedProgram, Mapping[str, Any]], bytes]
    run: Callable[[Graph, bytes, NDArray[np.uint8]], Outputs]
    check: Callable[[], None]


def traced(graph: Graph, shape: tuple[int, int, int]) -> ExportedProgram:
    """The graph for images (N, *shape) of any N. Raises UserError where PyTorch cannot trace the net."""
    images = torch.zeros((2, *shape), dtype=torch.uint8)
    try:
        with quiet(_TALKATIVE, logging.ERROR):
            program = torch.export.export(graph, (images,), dynamic_shapes={INPUT: {0: Dim("N")}}, strict=False)
    except Exception as error:  # a net of the user's own may raise anything
        raise not_exported(error) from error
    for node in program.graph.nodes:  # paths of this machine do not belong in the file
        node.meta.pop("stack_trace", None)
    return program


def not_exported(error: Exception) -> UserError:
    """The message for a net that a library cannot export."""
    why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return UserError(
        f"run: the net cannot be exported ({why}).\n  Its forward must not branch on the values of pixels, nor depend "
        "on the number of images."
    )


def check_onnx() -> None:
    """Raise UserError where a package of the extra is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"format=onnx: the package {error.name} is not installed. Install it: pip install 'medcls[export]'\n"
            "  Or export for PyTorch, which needs no other package: format=torch"
        ) from error


def onnx_content(graph: Graph, program: ExportedProgram, metadata: Mapping[str, Any]) -> bytes:
    """An ONNX model; metadata: its properties, each as JSON."""
    import onnx

    try:
        with quiet(_TALKATIVE, logging.ERROR):
            exported = torch.onnx.export(
                program, dynamo=True, input_names=[INPUT], output_names=graph.outputs, verbose=False
            )
    except Exception as error:  # an operator that ONNX does not have, most often
        raise not_exported(error) from error
    assert exported is not None
    model = exported.model_proto
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def onnx_run(graph: Graph, content: bytes, images: NDArray[np.uint8]) -> Outputs:
    """What onnxruntime computes, by name of the output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {INPUT: images}), strict=True))


def torch_content(graph: Graph, program: ExportedProgram, metadata: Mapping[str, Any]) -> bytes:
    """A program of torch.export (.pt2); metadata: the extra file ``METADATA``."""
    file = io.BytesIO()
    with quiet(_TALKATIVE, logging.ERROR):
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata), indent=2)})
    return file.getvalue()


def torch_run(graph: Graph, content: bytes, images: NDArray[np.uint8]) -> Outputs:
    """What PyTorch computes from the file alone, by name of the output."""
    with quiet(_TALKATIVE, logging.ERROR), torch.inference_mode():
        found = torch.export.load(io.BytesIO(content)).module()(torch.from_numpy(images))
    return {name: value.numpy() for name, value in zip(graph.outputs, found, strict=True)}


FORMATS = {
    "onnx": Format(".onnx", onnx_content, onnx_run, check_onnx),
    "torch": Format(".pt2", torch_content, torch_run, lambda: None),
}
