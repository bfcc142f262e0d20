"""A judge that needs no training: any embedder in an ONNX file, of faces or of objects."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.errors import ConfigError
from trainables.judges.nearest_mean import NearestMeanJudge
from trainables.method import file_knob
from trainables.runtime.denormals import denormals_as_zero

EXTRA = "pip install 'inversion-sweeper[onnx]'"
TOGETHER = 32  # images of one call, where the file does not say how many
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R BT.601

PerChannel = float | tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ONNXJudge(NearestMeanJudge):
    """Takes an image for the identity whose mean training embedding has the highest cosine to its own.

    The embedder runs through onnxruntime (the extra `onnx`), on the CPU. Its file holds the weights too, has
    one float input of (N, channels, height, width) or (N, height, width, channels), and its first output are
    embeddings (N, F).

    path: the ONNX file.
    input_size: height and width that images are scaled to, one number for both; None takes those of the file.
    mean, std: of the pixels, which the embedder sees as (x - mean) / std with x in [0, 255]; one number, or
        one for each channel in the embedder's order.
    channels: "rgb", "bgr" or "grey": what the embedder was trained on.
    """

    kind: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "any embedder as an ONNX file and nearest class mean, no training"
    source: ClassVar[str] = "this project"

    path: str = file_knob()
    input_size: int | tuple[int, int] | None = None
    mean: PerChannel = 127.5
    std: PerChannel = 127.5
    channels: Literal["rgb", "bgr", "grey"] = "rgb"

    def __post_init__(self) -> None:
        sizes = self.input_size if isinstance(self.input_size, tuple) else (self.input_size,)
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(f"input_size must be at least 1; got {self.input_size}")
        if isinstance(self.std, float | int):
            deviations: tuple[float, ...] = (self.std,)
        else:
            deviations = self.std
        if min(deviations) <= 0:
            raise ValueError(f"std must be above 0; got {self.std}")
        for name in ("mean", "std"):
            if self.channels == "grey" and isinstance(getattr(self, name), tuple):
                raise ValueError(f"{name} must be one number for channels 'grey'; got {getattr(self, name)}")

    def weights(self) -> dict[str, Tensor]:
        """Return the bytes of the file, which was run on a blank image."""
        if not Path(self.path).is_file():
            raise ConfigError(
                f"judge 'onnx' expects an ONNX file, got {self.path!r}: no such file (judge.path); give the "
                "path of an embedder that was exported to ONNX"
            )
        model = Path(self.path).read_bytes() or b"\0"  # torch takes no empty buffer
        state = {"model": torch.frombuffer(bytearray(model), dtype=torch.uint8)}
        self.embedder(state, "cpu")(torch.zeros(2, 3, 8, 8))
        return state

    def embedder(self, state: dict[str, Tensor], device: str) -> Callable[[Tensor], Tensor]:
        """Return the embedder of the file; it computes on the CPU whatever the device of the images."""
        session = _session(state["model"].numpy().tobytes(), self.path)
        layout = self._layout(session)

        def embed(images: Tensor) -> Tensor:
            pixels = self._pixels(images.cpu(), layout)
            count = len(pixels)
            if layout.batch is not None:  # so many images a call and no fewer: the last is repeated
                missing = -count % layout.batch
                pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
            step = layout.batch or TOGETHER
            parts = [self._run(session, pixels[i : i + step]) for i in range(0, len(pixels), step)]
            return functional.normalize(torch.from_numpy(np.concatenate(parts)[:count])).to(images.device)

        return embed

    def _run(self, session: Any, pixels: "np.ndarray[Any, np.dtype[np.float32]]") -> Any:
        try:
            with denormals_as_zero():
                (embedded,) = session.run(
                    [session.get_outputs()[0].name], {session.get_inputs()[0].name: pixels}
                )
        except Exception as error:  # onnxruntime's own exceptions share no other base
            raise self._misfit(f"other images than {pixels.shape}: {_line(error)}") from error
        embeddings: np.ndarray[Any, np.dtype[np.float32]] = np.asarray(embedded, dtype=np.float32)
        if embeddings.ndim < 2 or len(embeddings) != len(pixels) or embeddings.size < 2 * len(pixels):
            raise ConfigError(
                f"judge 'onnx' expects one embedding of at least 2 numbers an image, (N, F), got "
                f"{embeddings.shape} for {len(pixels)} images from {self.path} (judge.path); name a file "
                "whose first output they are"
            )
        return embeddings.reshape(len(pixels), -1)

    def _pixels(self, images: Tensor, layout: "_Layout") -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Return images (N, 3, S, S) in [0, 1] as the file wants them."""
        scaled = functional.interpolate(
            images, size=(layout.height, layout.width), mode="bilinear", antialias=True
        )
        if self.channels == "bgr":
            scaled = scaled.flip(1)
        elif self.channels == "grey":
            scaled = (scaled * torch.tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
        mean, std = (
            torch.tensor(value, dtype=torch.float32).view(1, -1, 1, 1) for value in (self.mean, self.std)
        )
        pixels = (scaled * 255 - mean) / std
        return (pixels.permute(0, 2, 3, 1) if layout.channels_last else pixels).contiguous().numpy()

    def _layout(self, session: Any) -> "_Layout":
        """Return how the file takes images; raise `ConfigError` where these do not fit."""
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            got = ", ".join(f"{part.name} {part.type} {part.shape}" for part in inputs)
            raise ConfigError(
                f"judge 'onnx' expects one float input (N, channels, height, width), got {got} in "
                f"{self.path} (judge.path); export the embedder alone"
            )
        shape = [size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape]
        count = 1 if self.channels == "grey" else 3
        last = shape[3] == count and shape[1] != count
        if not last and shape[1] not in (count, None):
            raise self._misfit(f"an input {inputs[0].shape}, got judge.channels {self.channels}")
        own = (shape[1], shape[2]) if last else (shape[2], shape[3])
        given = self.input_size if isinstance(self.input_size, tuple) else (self.input_size, self.input_size)
        height, width = (
            self._size(name, mine, of_file)
            for name, mine, of_file in zip(("height", "width"), given, own, strict=True)
        )
        return _Layout(shape[0], height, width, last)

    def _size(self, name: str, given: int | None, of_file: int | None) -> int:
        """Return the height or width of the embedder's images."""
        if given is not None and of_file not in (None, given):
            raise self._misfit(f"images of {name} {of_file}, got judge.input_size {self.input_size}")
        size = given or of_file
        if size is None:
            raise self._misfit(f"judge.input_size, for it leaves the {name} open")
        return size

    def _misfit(self, expected: str) -> ConfigError:
        return ConfigError(f"judge 'onnx': {self.path} expects {expected} (judge.path)")


@dataclass(frozen=True)
class _Layout:
    batch: int | None  # images of one call, None for any number
    height: int
    width: int
    channels_last: bool


def _session(model: bytes, path: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f"judge 'onnx' expects onnxruntime, which is not installed; {EXTRA}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; what it warns of is about speed
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # else some nets are slow
    try:
        with denormals_as_zero():  # the option above sets them for this thread too, and leaves them so
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no other base
        raise ConfigError(
            f"judge 'onnx' expects an ONNX file that holds its weights, got {path!r}: {_line(error)} "
            "(judge.path); export the embedder to one file"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
