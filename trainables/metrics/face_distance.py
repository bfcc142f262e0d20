"""Distance of reconstructions to private images in the embeddings of a face recogniser."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.judges.embedder import EmbedderJudge
from trainables.judges.nearest_mean import NearestMeanJudge
from trainables.judges.onnx import ONNXJudge, PerChannel
from trainables.method import file_knob
from trainables.metrics.base import Evidence, Metric, Skipped, private_of
from trainables.metrics.knn_distance import knn_distance


@dataclass(frozen=True, kw_only=True)
class FaceDistance(Metric):
    """Measures the squared distance to the nearest private image between unit embeddings, from 0 to 4.

    The papers' delta_face, with whatever embedder: theirs is an Inception-ResNet trained on VGGFace2. Only
    figures of one embedder compare. Their delta_eval is `knn_distance` under a judge such as Inception-v3.

    path: the embedder, as the judges `onnx` (a file that ends in .onnx) and `embedder` (any other) take it.
    input_size, mean, std, channels: of what an ONNX file takes, see the judge `onnx`; facenet-pytorch's takes
        160 pixels and the usual mean and std.
    """

    kind = "face_distance"
    summary = "squared distance to the nearest private training image, in a face embedder's unit embeddings"
    source = "Struppek et al., ICML 2022 (PPA)"
    direction = "maximize"
    low = 0.0
    high = 4.0
    unit = "squared distance"
    short_label = "face distance"
    explanation = "of reconstructions to the nearest private training image, in a face embedder's embeddings"
    objective = False  # not every trial measures it
    beside_verdict = True
    optional = True

    path: str = file_knob()
    input_size: int | tuple[int, int] | None = None
    mean: PerChannel = 127.5
    std: PerChannel = 127.5
    channels: Literal["rgb", "bgr", "grey"] = "rgb"

    def __post_init__(self) -> None:
        self._embedder()  # refuses values out of range

    def measure(self, evidence: Evidence) -> float:
        """Return the figure; raise `Skipped` where the weights or what runs them are not there."""
        embedder = self._embedder()
        try:
            embedder.check(evidence.reconstructions.shape[-1])
            embed = embedder.embedder(embedder.weights(), evidence.device)
        except ConfigError as error:
            raise Skipped(f"face_distance: {error}") from error
        images, labels = private_of(evidence)

        def embedded(pixels: Tensor) -> Tensor:
            return outputs(embed, pixels, evidence.device)

        restarts = len(evidence.reconstructions)
        fakes = embedded(evidence.reconstructions.flatten(0, 1))
        return knn_distance(fakes, evidence.identities.repeat(restarts), embedded(images), labels)

    def _embedder(self) -> NearestMeanJudge:
        if self.path.lower().endswith(".onnx"):
            return ONNXJudge(
                path=self.path,
                input_size=self.input_size,
                mean=self.mean,
                std=self.std,
                channels=self.channels,
            )
        return EmbedderJudge(path=self.path)
