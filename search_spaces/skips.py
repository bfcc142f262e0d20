"""Skip connections of the last group of blocks: removed, scaled, or removed late (ECCV 2024).

A whole vector of factors is a list in a study file (``defense.skips``); here the last group alone varies.
SSF's published factor of ResNet-18 is 0.6; how long TTS trains without skips is unpublished.
"""

from search_spaces.domains import Branch, Float, Int

REMOVED = Branch({"defense.kind": "rolss"})

SCALED = Branch({"defense.kind": "ssf"}, {"defense.factor": Float(0.0, 1.0, start=0.6)})

REMOVED_LATE = Branch({"defense.kind": "tts"}, {"defense.second_epochs": Int(1, 50, log=True, start=10)})
