"""One picture, from its bytes to its array.

What a picture means to people must not change unseen on the way in. So what can't be kept is refused: transparency,
more than 8 bits, animations, CMYK. What is converted is told, to be counted in the log.
"""

import io

import numpy as np

from workflow_scripts.config.errors import Damaged, StudyError, Unfit
from workflow_scripts.data.many import reason

PNG = b"\x89PNG\r\n\x1a\n"
#: chunks of a PNG that change no pixel, and whose length Pillow limits
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
#: number of an orientation in EXIF -> what turns the picture upright
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def decoded(where: str, content: bytes, mode: str | None, size: list[int] | None) -> tuple[np.ndarray, list[str]]:
    """A PNG or JPEG as uint8[channels, height, width], and what was converted, in words.

    where: how errors call it; mode: L or RGB, to convert to; size: [height, width], to resize to (bilinear). Raises
    StudyError where it is damaged, or would lose its meaning.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(_without_texts(content)), formats=("PNG", "JPEG"))
        if (unfit := _unfit(image, mode)) is not None:
            why, remedy = unfit
            raise Unfit(f"{where}: {why}: {remedy}")
        image.load()
        if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
            raise Unfit(f"{where}: some of it is transparent: put it on a background, or move it away")
        image.info.pop("transparency", None)
        image, changes = _converted(image, mode, size)
        return np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1), changes
    except StudyError:
        raise
    except UnidentifiedImageError:
        raise Damaged(f"{where}: not a PNG or JPEG picture, or a damaged one: convert it, or move it away") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError, MemoryError):
        raise Unfit(f"{where}: more than {Image.MAX_IMAGE_PIXELS} pixels: make it smaller, or move it away") from None
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise Damaged(f"{where}: damaged ({reason(error)}): replace it, or move it away") from None


def _unfit(image, mode: str | None) -> tuple[str, str] | None:
    """Why a picture can't be used as it is, and the remedy; None: it can."""
    if image.format == "PNG" and "16" in image.tile[0].args:  # such as RGB;16B
        return "it has 16 bits per channel, data sets have 8", "scale it to 8 bits, or move it away"
    if image.format == "PNG" and image.is_animated:
        return "it is an animation", "save the frame that you mean, or move it away"
    if image.mode == "CMYK":
        return "it is in CMYK, whose colours depend on inks", "convert it to RGB, or move it away"
    if mode is None and image.mode not in ("L", "RGB"):
        return f"it is of mode {image.mode}", "set mode to L or RGB, which converts it"
    return None


def _converted(image, mode: str | None, size: list[int] | None):
    """The picture upright, in this mode and size, and what that changed."""
    from PIL import Image

    changes = []
    if getattr(image, "n_frames", 1) > 1:
        changes.append("the first of several in a file, the others left out")
    if turn := _turn(image):
        image = image.transpose(Image.Transpose[turn])
        changes.append("turned upright, as their EXIF says")
    if mode and image.mode != mode:
        changes.append(f"converted from {image.mode} to {mode}")
        image = image.convert(mode)
    if size and image.size != (size[1], size[0]):
        changes.append(f"resized to {size}")
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return image, changes


def _turn(image) -> str | None:
    """What turns a picture upright; None: it is, or does not tell."""
    try:
        return _UPRIGHT.get(image.getexif().get(0x0112))
    except Exception:  # Pillow raises many kinds for damaged EXIF, with which the picture is sound
        return None


def _without_texts(content: bytes) -> bytes:
    """A PNG without its texts and colour profile; anything else as it is."""
    if not content.startswith(PNG):
        return content
    kept, start = [PNG], len(PNG)
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4])
        if content[start + 4 : start + 8] not in _TEXTS:
            kept.append(content[start:end])
        start = end
    return b"".join(kept)
