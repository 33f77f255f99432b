"""Facts of this machine: where things are and how fast they may be computed, never what. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from wilss.bucket.address import data_folder
from wilss.errors import WeightsNotFoundError
from wilss.layout import root_folder, whole
from wilss.section import without_default
from wilss.words import bytes_of

LEAST_MEMORY = 512 << 20
"""Bytes that a run may be given."""
THREADS, DASK = "threads", "dask"
"""What computes shards side by side: threads of this process, or Dask's workers."""
EXAMPLE = "dask:tcp://127.0.0.1:8786"
"""Of a runner with an address."""
Root = Annotated[Path, AfterValidator(root_folder)]
Data = Annotated[Path | None, AfterValidator(lambda place: place and data_folder(place))]


class Settings(BaseModel):
    """Facts of this machine. They change where and how fast a run computes, never what.

    Every field is an option of the command line, and an environment variable: ``labels_csv``, ``--labels-csv``,
    ``WILSS_LABELS_CSV``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # which may hold a password

    root: Root = Field(Path("wilss-data"), description="folder of artefacts and runs, or s3://BUCKET/PREFIX")
    data: Data = Field(
        None,
        description="data folder: VOC devkit, COCO, or your own images/ and labels.csv, or shards (*.tar); your own "
        "may be s3://BUCKET/PREFIX",
    )
    voc: Path | None = Field(
        None, description="VOC folder of the later step of coco-to-voc and of the test of coco-to-pascal"
    )
    weights: Path | None = Field(
        None, description="folder of pretrained weights; a folder 'weights' in or beside the data folder when left out"
    )
    labels_csv: Path | None = Field(
        None, description="image-level labels as CSV (image_id,labels); read off the masks when left out"
    )
    skip_unreadable: bool = Field(False, description="leave out images that cannot be decoded, and say how many")
    device: str = Field("auto", description="cpu, cuda or mps; auto takes cuda, else mps, else cpu")
    devices: int = Field(
        1,
        ge=1,
        le=1024,
        description="devices that a training is shared by, a process each: cuda:0, cuda:1, ...; or cpu",
    )
    workers: int = Field(1, ge=1, le=256, description="label shards that are written side by side")
    memory: str | None = Field(
        None,
        description="memory that a run may take, such as 2GiB: up to half of it keeps decoded images and masks, and "
        "none more of them above two thirds; what is not kept is read again; half of the machine's when left out",
    )
    runner: str = Field(
        THREADS,
        max_length=300,
        description="what labels and evaluates side by side: threads; dask, a cluster of --workers processes on this "
        "machine; or dask:ADDRESS, the workers of a Dask scheduler such as dask:tcp://10.0.0.5:8786",
    )
    imports: tuple[Path, ...] = Field(
        (), description="Python files of your own that register methods, heads, scorers, groupers or data families"
    )
    again: tuple[str, ...] = Field(
        (), description="stages that are made anew although they are there; what is built upon them is made anew too"
    )

    @field_validator("memory")
    @classmethod
    def _sized(cls, memory: str | None) -> str | None:
        if memory is not None and bytes_of("'memory'", memory) < LEAST_MEMORY:
            raise ValueError(f"'memory' is '{memory}', less than the {LEAST_MEMORY >> 20} MiB of PyTorch alone")
        return memory

    @property
    def memory_bytes(self) -> int | None:
        """Bytes that a run may take; None where nothing is told."""
        return None if self.memory is None else bytes_of("'memory'", self.memory)

    @property
    def room(self) -> int | None:
        """Bytes of images and masks that may be kept at most; None leaves it to the machine."""
        return None if self.memory_bytes is None else self.memory_bytes // 2

    @field_validator("runner")
    @classmethod
    def _known_runner(cls, runner: str) -> str:
        kind, colon, address = runner.partition(":")
        if runner not in (THREADS, DASK) and not (kind == DASK and colon and address.strip()):
            raise ValueError(f"runner '{runner}' is none of threads, dask and dask:ADDRESS, such as {EXAMPLE}")
        return runner

    @property
    def scheduler(self) -> str:
        """Address of the Dask scheduler that is named; "" where there is none."""
        return self.runner.partition(":")[2].strip()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A form posts the defaults of its schema, and what is posted goes over a worker's environment: it has none."""
        schema = handler(core_schema)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            default = cls.model_fields[name].default
            without_default(field, [f"default: {default}"] if default else [])
        return schema

    @property
    def sources(self) -> dict[str, str]:
        """Folders and files that a run reads, by option; runs over other ones are other runs."""
        named = {"data": self.data, "voc": self.voc, "labels_csv": self.labels_csv, "weights": self.weights}
        return {option: str(whole(path)) for option, path in named.items() if path is not None}


def weights_folder(folder: Path | None) -> Path | None:
    """The same folder. Raises WeightsNotFoundError for one that is none, before a hub is asked for what it lacks."""
    if folder is not None and not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise WeightsNotFoundError(
            f"the weights folder '{folder}' {problem}; give the folder that holds MODEL.safetensors files with "
            "--weights or WILSS_WEIGHTS, or leave it out"
        )
    return folder
