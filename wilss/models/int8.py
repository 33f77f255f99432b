"""Eight-bit weights and activations of an exported student, by onnxruntime."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from wilss._logs import quiet_logs
from wilss.models.graphs import INPUT

MOST = 64
"""Pictures whose activations are looked at."""


def save_int8(path: Path, to: Path, pictures: Sequence[Tensor]) -> None:
    """Write an ONNX model with convolutions and products in int8; the range of their inputs is that in pictures.

    Args:
        path: of the model in float. pictures: uint8 ``(3, H, W)``, at least one; the first `MOST` are taken.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows: Iterator[Tensor] = iter(pictures[:MOST])

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.rows, None)
            return None if image is None else {INPUT: image[None].numpy()}

    with tempfile.TemporaryDirectory() as place, quiet_logs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = Path(place) / "prepared.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(to),
            Reader(),
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        )
