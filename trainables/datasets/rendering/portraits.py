"""Stylised portraits, painted back to front: backdrop, hair, body, head, features, fringe, glasses."""

import torch
from torch import Tensor

from trainables.datasets.rendering.canvas import Canvas, blank, develop, ellipse
from trainables.datasets.rendering.traits import EYES, FRAMES, HAIR, LIPS, SKIN, Traits, hue, palette


def portraits(size: int, person: Traits, picture: Traits, noise: Tensor) -> Tensor:
    """Return uint8 pixels (N, 3, size, size), one per row of traits; noise: the same shape, -1 to 1."""
    p = person | picture
    backdrop = hue(p["backdrop_hue"], 0.22, p["backdrop_value"])
    canvas = blank(size, backdrop, (p["shift_x"], p["shift_y"] + 0.08), p["turn"], p["scale"])
    canvas.pixels.mul_(1 + p["backdrop_fade"] * canvas.y)
    colours = _colours(p)
    hair = _hair_outline(canvas, p)
    strands = _strands(canvas, p, colours["hair"])
    canvas.paint(canvas.cover(hair), strands * 0.82)
    _body(canvas, p, colours)
    head = _head(canvas, p, colours)
    _beard(canvas, p, colours, head)
    _mouth(canvas.window(-0.62, 0.02, 0.62, 0.98), p, colours)
    _nose(canvas.window(-0.46, -0.28, 0.46, 0.66), p, colours)
    _eyes(canvas.window(-0.7, -0.54, 0.7, 0.42), p, colours)
    _fringe(canvas.window(-1, -1, 1, 0.8), p, hair, strands)
    _glasses(canvas.window(-0.78, -0.45, 0.78, 0.55), p, colours)
    return develop(canvas, _light(p), (p["light_x"], p["light_y"]), noise * p["grain"])


def _light(p: Traits) -> Tensor:
    """Return the light's colour (N, 3, 1, 1), from cool to warm."""
    return p["gain"] * (1 + p["warmth"] * torch.tensor([1.0, 0.1, -1.0]).view(1, 3, 1, 1))


def _colours(p: Traits) -> Traits:
    """Return every colour of a person, (N, 3, 1, 1) each."""
    skin = palette(SKIN, p["skin"] ** 1.25)
    skin = skin + p["skin_warmth"] * torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)
    return {
        "skin": skin,
        "shade": skin * torch.tensor([0.74, 0.64, 0.6]).view(1, 3, 1, 1),
        "light": 1 - (1 - skin) * 0.72,
        "hair": palette(HAIR, p["hair"] ** 2),
        "brow": palette(HAIR, p["hair"] ** 2) * 0.62,
        "eye": palette(EYES, p["eye_colour"]),
        "lip": torch.lerp(skin * 0.7, palette(LIPS, p["lip_colour"]), 0.62),
        "frame": palette(FRAMES, p["glasses_shade"]),
        "clothes": hue(p["clothes_hue"], 0.5, p["clothes_value"]),
        "white": torch.full_like(skin, 0.96),
        "dark": torch.full_like(skin, 0.07),
        "gum": torch.tensor([0.36, 0.1, 0.11]).view(1, 3, 1, 1).expand_as(skin),
        "blush": skin * torch.tensor([1.0, 0.72, 0.72]).view(1, 3, 1, 1),
    }


def _hair_outline(canvas: Canvas, p: Traits) -> Tensor:
    """Return the signed distance to all hair, an upright capsule cut off where the hair ends.

    Length: the shortest ends above the ears, the longest on the shoulders. Volume: few have very much.
    """
    x, y = canvas.x, canvas.y
    volume = 1.07 + 0.1 * p["hair_volume"] + 0.28 * p["hair_volume"] ** 6
    below = (y + 0.05).clamp_(max=0)
    outline = ellipse(x, below, p["face_width"] * volume, p["face_height"] * volume)
    outline.sub_(1).mul_(p["face_width"])
    curl = p["hair_curl"].clamp(min=0)
    if curl.any():
        outline += torch.sin(23 * x + 4).mul_(torch.sin(21 * y)).mul_(curl)
    end = -0.2 + 1.15 * p["hair_length"] ** 1.4
    return torch.maximum(outline, (x * x).mul_(0.6).add_(y).sub_(end))


def _strands(canvas: Canvas, p: Traits, colour: Tensor) -> Tensor:
    """Return the hair's colour (N, 3, H, W): the base with strands and a band of shine."""
    strands = torch.sin((34 * canvas.x).add_(canvas.y, alpha=9)).mul_(0.07).add_(1)
    shine = (canvas.y + 0.5).abs_().mul_(-5).add_(1).clamp_(min=0).mul_(p["hair_shine"])
    return torch.addcmul(shine, colour, strands)


def _body(canvas: Canvas, p: Traits, colours: Traits) -> None:
    """Paint shoulders, collar and neck."""
    low = canvas.window(-1, 0.1, 1, 1)
    shoulders = ellipse(low.x, low.y - 1.22, 0.86, 0.5)
    low.paint(low.cover((shoulders - 1) * 0.5), colours["clothes"])
    width = p["face_width"] * 0.5
    throat = ellipse(low.x, low.y - low.y.clamp(0.3, 0.76), width, 0.15)
    inside = low.cover((throat - 1) * 0.15)
    low.paint(low.cover((throat - 1.22) * 0.15), colours["clothes"] * 0.75)
    low.paint(inside, colours["skin"] * 0.93)
    shadow = (1.12 - (low.y - p["face_height"] + 0.1).abs() * 4).clamp_(0, 0.85)
    low.paint(inside * shadow, colours["shade"])


def _head(canvas: Canvas, p: Traits, colours: Traits) -> Tensor:
    """Paint ears and head, and return the head's coverage."""
    x, y = canvas.x, canvas.y
    side = canvas.window(-0.85, -0.4, 0.85, 0.5)
    ears = ellipse(side.x.abs() - p["face_width"] * 0.99, side.y - 0.03, p["ear"] * 0.8, p["ear"] * 1.25)
    side.paint(side.cover((ears - 1) * p["ear"]), colours["skin"] * 0.9)
    lower = (y / p["face_height"]).clamp_(0, 1)
    width = p["face_width"] * (1 - p["jaw"] * lower * lower)
    radius = ellipse(x, y, width, p["face_height"])
    head = canvas.cover((radius - 1) * p["face_width"])
    canvas.paint(head, colours["skin"])
    rim = (radius - 0.62).clamp_(0, 0.4).mul_(head)
    canvas.paint(rim, colours["shade"])
    face = canvas.window(-0.7, -0.1, 0.7, 0.6)
    cheek = ellipse((face.x - p["yaw"]).abs() - 0.26, face.y - 0.2, 0.15, 0.12)
    face.paint((1 - cheek).clamp_(min=0) * p["blush"] * 1.6, colours["blush"])
    return head


def _beard(canvas: Canvas, p: Traits, colours: Traits, head: Tensor) -> None:
    """Paint a beard on every fifth person, from stubble to full, round the mouth and along the jaw."""
    strength = ((p["beard"] - 0.78) * 6).clamp_(0, 0.88)
    if not strength.any():
        return
    u = canvas.x - p["yaw"]
    line = _mouth_level(p) - 0.1 - 1.0 * u * u
    share = canvas.cover((line - canvas.y) * 0.35)
    canvas.paint(share * head * strength, colours["brow"])


def _mouth_level(p: Traits) -> Tensor:
    return p["eye_level"] + p["nose_length"] + p["mouth_drop"]


def _mouth(face: Canvas, p: Traits, colours: Traits) -> None:
    """Paint lips, and the open mouth with teeth between them."""
    u = face.x - p["yaw"] * 1.1
    square = u * u
    bend = (square * p["smile"]).add_(face.y).sub_(_mouth_level(p) + 0.006 * p["smile"])
    width = p["mouth_width"] * (1 + 0.04 * p["smile"])
    profile = (1 - square / width**2).clamp_(min=0)
    within = (profile > 0).float()
    gap = p["mouth_open"].clamp(min=0) * 0.5
    dip = (u.abs_().mul_(-4.2).add_(0.3)).clamp_(min=0).neg_().add_(1)  # the cupid's bow
    lower, upper = (p["lip_lower"] + gap) * profile, (dip * p["lip_upper"] + gap) * profile
    face.paint(face.cover(torch.maximum(bend - lower, -bend - upper)) * within, colours["lip"])
    opening = bend.abs() - gap * profile
    face.paint(face.cover(opening) * within * (gap > 0.008), colours["gum"])
    teeth = torch.maximum(opening, bend + 0.1 * gap)
    face.paint(face.cover(teeth) * within * (gap > 0.012), colours["white"])
    line = face.cover(bend.abs_() - 0.007) * within
    face.paint(line * (gap <= 0.008) * 0.75, colours["lip"] * 0.45)


def _nose(face: Canvas, p: Traits, colours: Traits) -> None:
    """Paint the bridge's shadow and light, the tip, and the nostrils."""
    u = face.x - p["yaw"] * 1.5
    tip = p["eye_level"] + p["nose_length"]
    along = ((face.y - p["eye_level"] + 0.05) / (p["nose_length"] + 0.05)).clamp_(0, 1)
    below = (face.y < tip) * along
    flank = (1 - ((u.abs() - p["nose_width"] * (0.25 + 0.5 * along)) * 26).abs()).clamp_(min=0)
    face.paint(flank * below * 0.4, colours["shade"])
    ridge = (1 - u.abs() * 22).clamp_(min=0)
    face.paint(ridge * below * 0.45, colours["light"])
    ball = ellipse(u, face.y - tip, p["nose_width"], 0.045)
    face.paint(face.cover((ball - 1) * 0.045) * (face.y > tip) * 0.5, colours["shade"])
    nostril = ellipse(u.abs() - p["nose_width"] * 0.5, face.y - tip - 0.008, p["nose_width"] * 0.28, 0.016)
    face.paint(face.cover((nostril - 1) * 0.016) * 0.8, colours["shade"] * 0.45)


def _eyes(face: Canvas, p: Traits, colours: Traits) -> None:
    """Paint both eyes at once in mirrored coordinates: socket, white, iris, pupil, glint, lid, brow."""
    u = (face.x - p["yaw"]).abs_().sub_(p["eye_spacing"])
    v = (u * p["eye_tilt"]).add_(face.y).sub_(p["eye_level"])
    height = p["eye_height"] * p["eye_open"]
    socket = ellipse(u, v + 0.015, p["eye_width"] * 1.55, p["eye_height"] * 2.1)
    face.paint((1 - socket).clamp_(min=0).mul_(0.65), colours["shade"])
    almond = ellipse(u, v, p["eye_width"], height).sub_(1).mul_(height)
    white = face.cover(almond)
    face.paint(white, colours["white"])
    iris = ellipse(u, v + 0.006, 1, 1)
    face.paint(face.cover(iris - 0.056).mul_(white), colours["eye"])
    face.paint(face.cover(iris - 0.027).mul_(white), colours["dark"])
    glint = ellipse(u + 0.018, v + 0.024, 1, 1)
    face.paint(face.cover(glint - 0.015).mul_(white), colours["white"])
    lid = face.cover(almond.abs_() - p["lash"]) * (v < 0.004)
    face.paint(lid, colours["dark"] * 2)
    w = u.sub_(0.012)
    tilt = p["eye_tilt"] + p["brow_tilt"]
    arch = (w * 3.2).sub_(tilt).mul_(w).add_(v).add_(p["brow_gap"] + p["brow_lift"] - 0.02)
    thick = p["brow_thickness"] * (1 - 0.35 * w / p["brow_length"])
    brow = torch.maximum(arch.abs_().sub_(thick), w.abs_().sub_(p["brow_length"]))
    face.paint(face.cover(brow).mul_(0.92), colours["brow"])


def _fringe(canvas: Canvas, p: Traits, hair: Tensor, strands: Tensor) -> None:
    """Paint the hair before the face: all of it that lies above the hairline."""
    rows = canvas.y.shape[2]
    x = (canvas.x - p["parting"]).abs_()
    line = (x * p["parting_bend"]).add_(p["parting_slope"]).mul_(x).add_(p["hairline"])
    canvas.paint(canvas.cover(torch.maximum(hair[:, :, :rows], canvas.y - line)), strands[:, :, :rows])


def _glasses(face: Canvas, p: Traits, colours: Traits) -> None:
    """Paint glasses on every fifth person: two rims, bridge and temples."""
    worn = (p["glasses"] > 0.8).float()
    if not worn.any():
        return
    across = (face.x - p["yaw"]).abs()
    u, v = across - p["eye_spacing"], face.y - p["eye_level"]
    size = p["glasses_size"]
    lens = (ellipse(u, v, size, size * 0.86) - 1) * size
    rim = lens.abs() - 0.017
    bar = torch.maximum((v + 0.03).abs() - 0.013, -lens)
    bar = torch.maximum(bar, across - p["face_width"] * 0.98)
    face.paint(face.cover(lens) * worn * 0.12, colours["white"])
    face.paint(face.cover(torch.minimum(rim, bar)) * worn, colours["frame"])
