"""The site: it builds without a warning, its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from docs.tools.commands import command_line
from docs.tools.hooks import unlisted
from docs.tools.maths import mathml
from docs.tools.outside import links_of
from docs.tools.pictures import LARGEST
from flows.cli.options import RESERVED
from tests.docs.conftest import ROOT
from tests.docs.links import dead_links, loads_from_elsewhere
from wilss.known_settings import known_settings
from wilss.spec import RunSpec


def test_all_links_lead_somewhere(site: Path) -> None:
    assert list(dead_links(site)) == []


def test_a_dead_link_and_a_dead_anchor_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#there">x</a><a href="b.html#gone">x</a><a href="c.html">x</a>')
    (tmp_path / "b.html").write_text('<h2 id="there">x</h2><img src="no.png"><a href="https://example.org/no">x</a>')
    assert sorted(dead_links(tmp_path)) == [
        "a.html: 'b.html#gone' leads to no place on its page",
        "a.html: 'c.html' leads to no file",
        "b.html: 'no.png' leads to no file",
    ]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert list(loads_from_elsewhere(site)) == []


def test_what_is_loaded_from_elsewhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<script src="https://cdn.example/x.js"></script><link rel="icon" href="//x/y">')
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example/x.woff2) }")
    assert len(list(loads_from_elsewhere(tmp_path))) == 3


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_links_of_files_beside_the_site_lead_to_files(name: str) -> None:
    targets = list(links_of((ROOT / name).read_text()))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_command_is_on_the_page_of_commands(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text()
    app = command_line()
    names = [name for name in app if not name.startswith("-")]
    assert len(names) > 20
    assert [name for name in names if f'id="wilss-{name}"' not in text] == []
    assert "--skip-unreadable" in text


def test_every_setting_is_on_the_page_of_settings(site: Path) -> None:
    text = (site / "reference" / "settings.html").read_text()
    keys = [one.key for one in known_settings(RunSpec, None, RESERVED)]
    assert len(keys) > 50
    assert [key for key in keys if f"<code>{key}</code>" not in text] == []
    assert "WILSS_DEVICE" in text


def test_the_public_face_is_on_the_pages_of_python(site: Path) -> None:
    import wilss
    from wilss import testing

    text = "".join((site / "reference" / f"{page}.html").read_text() for page in ("python", "contracts"))
    names = [*(name for name in wilss.__all__ if name != "__version__"), *testing.__all__]
    assert [name for name in names if f'.{name}"' not in text] == []


def test_pictures_are_small_and_shown() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert {path.stem for path in pictures} >= {"way", "labels", "step", "inspector"}
    shown = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
        assert path.stat().st_size <= LARGEST
        assert f"pictures/{path.name})" in shown


def test_a_page_without_a_place_is_a_guide(site: Path) -> None:
    assert unlisted([{"Home": "index.md"}, {"Guides": ["data.md"]}], ["data.md", "index.md", "new.md"]) == ["new.md"]
    (first, *_) = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    assert f'href="{first}.html"' in (site / "index.html").read_text()


def test_equations_are_drawn_without_scripts() -> None:
    drawn = mathml(r"\frac{1}{2}")
    assert drawn.startswith("<math")
    assert "<mfrac>" in drawn
    with pytest.raises(ValueError, match=r"\\nonsense"):
        mathml(r"x + \nonsense")
