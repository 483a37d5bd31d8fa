"""One picture, from bytes to an array: what is kept, what is converted and told, and what is refused."""

import io
import logging
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.drawn import cases
from tests.pets import made, picture, put
from tests.refusals import assert_refused
from workflow_scripts.config.errors import Damaged, Unfit
from workflow_scripts.data.decoding import decoded

ORIENTATION = 0x0112


def saved(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(bits: int, colour: int, row: bytes, *further: bytes) -> bytes:
    """A picture of 2x1 pixels, written by hand."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, colour, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(further) + rows + chunk(b"IEND", b"")


def alone(content: bytes, mode: str | None = None, size: list[int] | None = None) -> tuple[np.ndarray, list[str]]:
    return decoded("pets: a.png", content, mode, size)


def channels_first(image: Image.Image) -> np.ndarray:
    return np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)


def text(n: int, zipped: bool) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * n, zip=zipped)
    info.add_itxt("XML:com.adobe.xmp", "y" * n, zip=zipped)
    return info


# What is kept


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"pnginfo": text(2_000_000, zipped=True)},
        {"pnginfo": text(70_000_000, zipped=False)},
        {"icc_profile": bytes(3_000_000)},
        {"compress_level": 0},
        {"optimize": True},
        {"dpi": (300, 300)},
    ],
)
def test_pixels_are_kept_whatever_else_a_png_holds(mode, beside):
    image = picture(0, mode)
    array, changes = alone(saved(image, **beside))
    np.testing.assert_array_equal(array, channels_first(image))
    assert not changes


def test_a_picture_with_much_beside_its_pixels_is_as_sound_or_damaged_as_without():
    content = saved(picture(0), pnginfo=text(2_000_000, zipped=False))
    with pytest.raises(Damaged):
        alone(content[:1_000_000])
    with pytest.raises(Damaged):
        alone(content[:-40])


@pytest.mark.parametrize(
    ("bits", "row", "values"), [(1, b"\x40", [0, 255]), (2, b"\x60", [85, 170]), (4, b"\x1f", [17, 255])]
)
def test_few_shades_of_grey_are_spread_over_all_values(bits, row, values):
    array, _ = alone(png(bits, 0, row), mode="L")
    assert array.tolist() == [[values]]


# What is converted, and told


@given(
    opaque=st.sampled_from(["RGBA", "LA", "P", "1", "L", "RGB"]),
    mode=st.sampled_from(["L", "RGB"]),
    seed=st.integers(0, 99),
)
@cases(20)
def test_a_mode_that_is_converted_is_told(opaque, mode, seed):
    image = picture(seed).convert(opaque)
    array, changes = alone(saved(image), mode)
    np.testing.assert_array_equal(array, channels_first(image.convert(mode)))
    assert changes == ([] if opaque == mode else [f"converted from {opaque} to {mode}"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_picture_is_turned_upright_and_that_is_told(orientation, kind):
    stored = picture(0, size=(16, 24)).resize((240, 160))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(stored, kind, exif=exif)
    seen = {  # the row and the column of what is stored first, by the standard
        2: lambda a: a[:, :, ::-1],
        3: lambda a: a[:, ::-1, ::-1],
        4: lambda a: a[:, ::-1],
        5: lambda a: a.transpose(0, 2, 1),
        6: lambda a: np.rot90(a, -1, (1, 2)),
        7: lambda a: np.rot90(a, 2, (1, 2)).transpose(0, 2, 1),
        8: lambda a: np.rot90(a, 1, (1, 2)),
    }
    array, changes = alone(content)
    plain, _ = alone(saved(stored, kind))
    np.testing.assert_array_equal(array, seen.get(orientation, lambda a: a)(plain))
    assert len(changes) == (orientation in seen)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*garbage", b"Exif\0\0", b"nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_says_nothing_of_a_sound_picture(exif):
    image = picture(0, size=(16, 16))
    array, changes = alone(saved(image, "JPEG", exif=exif))
    np.testing.assert_array_equal(array, alone(saved(image, "JPEG"))[0])
    assert not changes


def test_of_several_pictures_in_a_jpeg_the_first_is_taken_and_that_is_told():
    image = picture(0, size=(16, 16))
    array, changes = alone(saved(image, "MPO", save_all=True, append_images=[picture(1, size=(8, 8))]))
    np.testing.assert_array_equal(array, alone(saved(image, "JPEG"))[0])
    assert len(changes) == 1


def test_resizing_is_bilinear_and_told():
    image = picture(1, size=(4, 5))
    array, changes = alone(saved(image), size=[6, 3])
    np.testing.assert_array_equal(array, channels_first(image.resize((3, 6), Image.Resampling.BILINEAR)))
    assert len(changes) == 1 and not alone(saved(image), size=[4, 5])[1]


def test_the_log_counts_what_was_converted(tmp_path, caplog):
    pets = put(tmp_path / "pets")
    for number in range(2):
        picture(number, "L").save(pets / "train" / "cat" / f"{number}.png")
    picture(9, size=(9, 9)).save(pets / "test" / "dog" / "0.png")
    with caplog.at_level(logging.INFO, "workflow_scripts"):
        made(pets, mode="RGB", size=[4, 5])
    told = [record.getMessage() for record in caplog.records]
    assert "2 of 10 pictures: converted from L to RGB" in told and "1 of 10 pictures: resized to [4, 5]" in told


# What would change its meaning, and is refused


def half(mode: str) -> Image.Image:
    """A picture, a part of which is transparent."""
    image = picture(0).convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.putpixel((2, 2), 254)
    image.putalpha(alpha)
    return image


BLACK_IS_CLEAR = chunk(b"tRNS", bytes(6))


@pytest.mark.parametrize("mode", [None, "L", "RGB"])
@pytest.mark.parametrize(
    "content",
    [
        saved(half("RGBA")),
        saved(half("LA")),
        saved(picture(0).convert("P"), transparency=picture(0).convert("P").getpixel((0, 0))),
        png(8, 2, bytes(6), BLACK_IS_CLEAR),
        png(8, 0, bytes(2), chunk(b"tRNS", bytes(2))),
        png(1, 0, b"\x40", chunk(b"tRNS", bytes(2))),
        png(16, 0, bytes(range(4))),
        png(16, 2, bytes(range(12))),
        png(16, 4, bytes(range(8))),
        png(16, 6, bytes(range(16))),
        saved(picture(0), save_all=True, append_images=[picture(1)]),
        saved(picture(0).convert("CMYK"), "JPEG"),
    ],
    ids=["RGBA", "LA", "P", "RGB-key", "L-key", "1-key", "I;16", "48-bit", "LA;16", "64-bit", "animation", "CMYK"],
)
def test_a_picture_that_would_lose_its_meaning_is_refused_in_every_mode(content, mode):
    with pytest.raises(Unfit) as raised:
        alone(content, mode)
    assert_refused(raised.value, Unfit, "pets", "a.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        saved(picture(0))[:30],
        saved(picture(0))[:-30],
        saved(picture(0), "JPEG")[:300],
        saved(picture(0), "GIF"),
        png(8, 3, bytes(2)),
        png(8, 2, b""),
        png(3, 2, bytes(6)),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", zlib.compress(bytes(7))),
    ],
)
def test_what_is_no_sound_picture_is_called_damaged(content):
    with pytest.raises(Damaged) as raised:
        alone(content, "RGB")
    assert_refused(raised.value, Damaged, "pets", "a.png")


SOUND = [
    saved(picture(0)),
    saved(picture(0).convert("P")),
    saved(picture(0, size=(16, 16)), "JPEG"),
    saved(half("RGBA")),
]


@pytest.mark.filterwarnings("ignore")
@given(
    content=st.sampled_from(SOUND),
    damage=st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 40),
)
@cases(150)
def test_a_picture_damaged_anywhere_gives_an_array_or_one_clear_error(content, damage, cut):
    changed = bytearray(content)
    for at, byte in damage:
        changed[at % len(changed)] = byte
    try:
        array, _ = alone(bytes(changed[: len(changed) - cut]), "RGB")
        assert array.dtype == np.uint8 and array.ndim == 3 and len(array) == 3
    except (Damaged, Unfit) as error:
        assert_refused(error, type(error), "pets", "a.png")
