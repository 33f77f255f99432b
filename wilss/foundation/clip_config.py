"""What ``open_clip_config.json`` of a folder may ask for: it comes with the weights, from whoever made them.

open_clip hands names in it to timm and transformers, which fetch what they name, and arguments to a tokenizer that runs
code of the folder when they say so. Weights and vocabulary come from the folder itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wilss.architecture import plain_name
from wilss.errors import SpecError
from wilss.outside import read_json

TOKENIZER_ARGUMENTS = {"clean", "strip_sep_token", "language"}
MOST_LAYERS = 512
ADVICE = "take a folder that open_clip made, or name the model: clip:MODEL/TAG"


def require_plain_clip(path: Path) -> dict[str, bool]:
    """Look at a configuration before open_clip does; returns further arguments of its tokenizer.

    Raises SpecError for one that names anything outside its folder, FormatError for one that is damaged.
    """
    content = read_json(path, ADVICE)
    model = content.get("model_cfg") if isinstance(content, dict) else None
    vision, text = (model.get(key) if isinstance(model, dict) else None for key in ("vision_cfg", "text_cfg"))
    if not isinstance(vision, dict) or not isinstance(text, dict):
        raise SpecError(f"'{path}' describes no CLIP (model_cfg with vision_cfg and text_cfg); {ADVICE}")
    if "hf_model_name" in text:
        raise SpecError(f"'{path}' takes its text tower from a hub ('hf_model_name'), not from its folder; {ADVICE}")
    if vision.get("timm_model_name") is not None:
        plain_name(str(vision["timm_model_name"]))
    for section in (vision, text):
        _require_layers(path, section.get("layers", 1))
    _require_plain_arguments(path, text.get("tokenizer_kwargs", {}))
    return {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}


def _require_layers(path: Path, layers: Any) -> None:
    counts = layers if isinstance(layers, list) else [layers]
    if not all(isinstance(count, int) and 0 <= count <= MOST_LAYERS for count in counts):
        raise SpecError(f"'{path}' describes {layers!s:.60} layers; expected are up to {MOST_LAYERS}; {ADVICE}")


def _require_plain_arguments(path: Path, arguments: Any) -> None:
    if not isinstance(arguments, dict):
        raise SpecError(f"'{path}' gives its tokenizer arguments that are no mapping; {ADVICE}")
    for key, value in arguments.items():
        if key not in TOKENIZER_ARGUMENTS or not isinstance(value, str | bool):
            raise SpecError(f"'{path}' gives its tokenizer the argument '{key[:60]}', which is not taken; {ADVICE}")
