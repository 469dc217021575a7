"""Reads the folder that open_clip calls `local-dir:`: one config, one safetensors file, and what they name.

    open_clip_config.json         {"model_cfg": {...}, "preprocess_cfg": {...}}
    open_clip_model.safetensors   the weights of both towers
    tokenizer.json                where the config names a Hugging Face tokenizer

A config may name towers of timm or transformers by folders that stand beside it, so that the whole can be moved:
`"timm_model_name": "local-dir:image"` and `"hf_model_name": "text"`, each with a `config.json`.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archive.disk import sha256_of
from archive.errors import WeightsMissing, WeightsRejected

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "open_clip_config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
"""Names under which open_clip publishes weights, in its own order of preference, without those that are pickles."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")

LOCAL = "local-dir:"

PREPARED = b"2"
"""How pixels become vectors: how `archive.photos.crops` cuts them for a tower, and what its graph has in eight bits.

It changes with whatever changes a vector, and is part of every space, so that old and new vectors never meet."""


class OpenClipFolder:
    """The settings and the weights of an embedder, before anything heavy is imported.

    Raises:
        WeightsMissing: the folder, its config or its weights are not there.
        WeightsRejected: the weights are pickles, the config is damaged or asks for something on a hub.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config = self._read_config()
        self.weights = self._find_weights()
        self.dim = int(self._architecture["embed_dim"])

    @cached_property
    def space(self) -> str:
        """Architecture, digest of the weights, digest of every setting and of how pixels are prepared."""
        return self.space_of(file_digest(self.weights))

    def space_of(self, sha256: str) -> str:
        """The space that it is if that is the digest of its weights."""
        return f"{self._name}@{sha256[:12]}/{self._settings_digest()[:8]}"

    @property
    def side(self) -> int:
        """Pixels along the side of the pictures that the image tower takes."""
        size = self.config["preprocess_cfg"].get("size") or self.vision.get("image_size", 224)
        return int(size if isinstance(size, int) else size[0])

    @property
    def vision(self) -> dict[str, Any]:
        """The image tower's settings, with places beside the config made absolute."""
        settings = dict(self._architecture["vision_cfg"], timm_model_pretrained=False)
        name = settings.get("timm_model_name") or ""
        if name.startswith(LOCAL):
            settings["timm_model_name"] = LOCAL + str(self._beside(name.removeprefix(LOCAL)))
        elif ":" in name:
            raise WeightsRejected(f"{self.path / CONFIG} asks for {name!r} from a hub; put its config beside it")
        return settings

    @property
    def text(self) -> dict[str, Any]:
        """The text tower's settings, with places beside the config made absolute."""
        settings = dict(self._architecture["text_cfg"], hf_model_pretrained=False)
        if settings.get("hf_model_name"):
            settings["hf_model_name"] = str(self._beside(settings["hf_model_name"]))
        return settings

    @property
    def tokenizer(self) -> Path:
        """The vocabulary that the config names by `hf_tokenizer_name`; open_clip too looks for it in the folder."""
        path = self.path / TOKENIZER
        if not path.is_file():
            raise WeightsMissing(f"{path} is missing; copy it from where the weights come from")
        return path

    @property
    def _architecture(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.config["model_cfg"]
        return settings

    @property
    def _name(self) -> str:
        """What a person would call the image tower."""
        vision = self.vision
        if not vision.get("timm_model_name"):
            size, patch = vision.get("image_size", 224), vision.get("patch_size", 16)
            return f"clip-{vision.get('width', 768)}-{patch}-{size}".replace(" ", "")
        name = str(vision["timm_model_name"])
        if name.startswith(LOCAL):
            name = str(_read_json(self._beside(name.removeprefix(LOCAL)) / "config.json")["architecture"])
        return name

    def _settings_digest(self) -> str:
        import hashlib

        digest = hashlib.sha256(PREPARED + json.dumps(self.config, sort_keys=True).encode())
        for path in self._side_files():
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _side_files(self) -> list[Path]:
        """The files besides the config that change what the towers compute."""
        vision, text = self.vision, self.text
        files = []
        if (vision.get("timm_model_name") or "").startswith(LOCAL):
            files.append(self._beside(vision["timm_model_name"].removeprefix(LOCAL)) / "config.json")
        if text.get("hf_model_name"):
            files.append(self._beside(text["hf_model_name"]) / "config.json")
        if text.get("hf_tokenizer_name"):
            files.append(self.tokenizer)
        return files

    def _beside(self, name: str) -> Path:
        """A folder that the config names, with a config of its own that asks for no code."""
        place = self.path / name
        config = place / "config.json"
        if not config.is_file():
            raise WeightsRejected(f"{self.path / CONFIG} names {name!r}; put that tower's config.json into {place}")
        if "auto_map" in _read_json(config):
            raise WeightsRejected(f"{config} would run code of its own (auto_map); use another embedder")
        return place

    def _read_config(self) -> dict[str, Any]:
        path = self.path / CONFIG
        if not path.is_file():
            raise WeightsMissing(f"{self.path} holds no {CONFIG}; run `archive models list` to see what can be pulled")
        config = _read_json(path)
        architecture = config.get("model_cfg", {})
        if not all(key in architecture for key in ("embed_dim", "vision_cfg", "text_cfg")):
            raise WeightsRejected(f"{path} does not describe two towers; fetch the folder again")
        return {"model_cfg": architecture, "preprocess_cfg": config.get("preprocess_cfg", {})}

    def _find_weights(self) -> Path:
        for name in WEIGHTS:
            if (self.path / name).is_file():
                return self.path / name
        pickles = [path.name for path in sorted(self.path.iterdir()) if path.suffix in PICKLES]
        if pickles:
            raise WeightsRejected(
                f"{self.path / pickles[0]} is a pickle, which could run code; convert it where you trust it: "
                f"safetensors.torch.save_file(torch.load(..., weights_only=True), {WEIGHTS[0]!r})"
            )
        raise WeightsMissing(f"{self.path} holds no {WEIGHTS[0]}; run `archive models list` to see what can be pulled")


def file_digest(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return sha256_of(stream)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsRejected(f"{path} is not JSON ({error}); fetch the folder again") from error
    if not isinstance(content, dict):
        raise WeightsRejected(f"{path} is not a JSON object; fetch the folder again")
    return content
