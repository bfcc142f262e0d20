"""Traits of drawn people: some tell them apart, some change from picture to picture.

Every trait is one uniform draw in a range. Populations draw from the same ranges with different streams.
"""

import torch
from torch import Tensor

Traits = dict[str, Tensor]  # name -> (N, 1, 1, 1)
Ranges = dict[str, tuple[float, float]]

# Lengths are in halves of the picture: a head is about 0.9 wide, 1.2 high. Colours are places on a palette.
PERSON: Ranges = {
    "skin": (0.0, 1.0),
    "skin_warmth": (-0.03, 0.03),
    "blush": (0.0, 0.35),
    "face_width": (0.395, 0.515),
    "face_height": (0.54, 0.67),
    "jaw": (0.02, 0.34),
    "ear": (0.06, 0.115),
    "hair": (0.0, 1.0),
    "hair_shine": (0.0, 0.16),
    "hair_length": (0.0, 1.0),
    "hair_volume": (0.0, 1.0),
    "hair_curl": (-0.02, 0.045),
    "hairline": (-0.44, -0.2),
    "parting": (-0.15, 0.15),
    "parting_slope": (0.0, 0.35),
    "parting_bend": (0.0, 1.6),
    "eye_colour": (0.0, 1.0),
    "eye_spacing": (0.165, 0.235),
    "eye_width": (0.082, 0.122),
    "eye_height": (0.042, 0.074),
    "eye_tilt": (-0.16, 0.2),
    "eye_level": (-0.1, 0.02),
    "lash": (0.008, 0.024),
    "brow_thickness": (0.013, 0.042),
    "brow_length": (0.09, 0.135),
    "brow_tilt": (-0.12, 0.24),
    "brow_gap": (0.105, 0.175),
    "nose_length": (0.17, 0.3),
    "nose_width": (0.055, 0.115),
    "mouth_width": (0.12, 0.22),
    "mouth_drop": (0.125, 0.185),
    "lip_upper": (0.014, 0.042),
    "lip_lower": (0.02, 0.058),
    "lip_colour": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "glasses": (0.0, 1.0),
    "glasses_size": (0.125, 0.17),
    "glasses_shade": (0.0, 1.0),
}

PICTURE: Ranges = {
    "shift_x": (-0.07, 0.07),
    "shift_y": (-0.06, 0.06),
    "turn": (-0.13, 0.13),
    "scale": (1.05, 1.22),
    "yaw": (-0.085, 0.085),
    "gain": (0.62, 1.15),
    "warmth": (-0.1, 0.1),
    "light_x": (-0.4, 0.4),
    "light_y": (-0.2, 0.12),
    "backdrop_hue": (0.0, 1.0),
    "backdrop_value": (0.35, 0.9),
    "backdrop_fade": (-0.25, 0.25),
    "clothes_hue": (0.0, 1.0),
    "clothes_value": (0.2, 0.85),
    "smile": (-0.5, 2.6),
    "mouth_open": (-0.07, 0.075),
    "eye_open": (0.55, 1.12),
    "brow_lift": (-0.025, 0.035),
    "grain": (0.0, 0.025),
}

WAVER = 0.25  # a person's traits differ by up to an eighth of their range to either side between pictures

SKIN = ("#ffe3d0", "#f6cfae", "#e6b48c", "#c98f62", "#9c6840", "#6f4529", "#4c2e1e")
HAIR = ("#17130f", "#33231a", "#573821", "#8a5527", "#b5562a", "#c99a4f", "#e8d19a", "#a9a6a3", "#dcdcdc")
EYES = ("#3a2414", "#6b4423", "#7c7434", "#4f7a4a", "#4a86a8", "#6c93b8", "#7d8790")
LIPS = ("#b5736a", "#c4605f", "#b23a48", "#8e2f4a", "#d9828a")
FRAMES = ("#1c1c22", "#5a3320", "#8a1f2d", "#c2a14a", "#28456b")


def sample(ranges: Ranges, count: int, generator: torch.Generator) -> Tensor:
    """Return draws (count, traits); row i is the same whatever the count."""
    return torch.rand(count, len(ranges), generator=generator, dtype=torch.float64)


def waver(person: Tensor, draws: Tensor) -> Tensor:
    """Return a person's draws (1, traits) as they waver from picture to picture: (N, traits) in [0, 1]."""
    return (person + WAVER * (draws - 0.5)).clamp_(0, 1)


def named(ranges: Ranges, draws: Tensor) -> Traits:
    """Return draws (N, traits) in [0, 1) stretched to their ranges."""
    return {
        name: (low + (high - low) * draws[:, column]).float().view(-1, 1, 1, 1)
        for column, (name, (low, high)) in enumerate(ranges.items())
    }


def palette(colours: tuple[str, ...], place: Tensor) -> Tensor:
    """Return the colours (N, 3, 1, 1) at `place` (N, 1, 1, 1) in [0, 1], mixed between neighbours."""
    table = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    at = place.flatten() * (len(colours) - 1)
    left = at.floor().clamp_(0, len(colours) - 2).long()
    return torch.lerp(table[left], table[left + 1], (at - left).unsqueeze(1)).view(-1, 3, 1, 1)


def hue(place: Tensor, saturation: float | Tensor, value: Tensor) -> Tensor:
    """Return colours (N, 3, 1, 1) of a hue circle; hue, saturation and value are in [0, 1]."""
    phase = torch.tensor([0.0, 2 / 3, 1 / 3]).view(1, 3, 1, 1)
    pure = ((((place + phase) % 1) * 6 - 3).abs() - 1).clamp_(0, 1)
    return value * (1 - saturation + saturation * pure)
