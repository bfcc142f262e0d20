"""MaxViT-T computes what torchvision's does at 224 pixels, and has the published numbers of weights."""

import torch
from torchvision.models import maxvit_t

from trainables.architectures.maxvit import build, torchvision_key
from trainables.training.freeze import count_parameters, freeze


def test_computes_torchvisions_logits_at_its_own_size():
    theirs, ours = maxvit_t(num_classes=5).eval(), build(5, 224).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.neck.load_state_dict(theirs.classifier[:-1].state_dict())
    ours.head.load_state_dict(theirs.classifier[-1].state_dict())
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_weights_as_published():
    for classes, trained, total in [(1000, 18_306_368, 30_919_624), (530, 18_065_728, 30_678_984)]:
        with torch.device("meta"):
            classifier = build(classes, 224)
        freeze(classifier, "blocks_2_4")  # the last layer of torchvision's blocks.2
        counts = count_parameters(classifier)
        assert (counts.trained, counts.total) == (trained, total)
