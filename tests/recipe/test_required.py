"""A recipe may say which plugins it needs, and how to get them."""

import pytest

from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Broken, Entry, PluginSource
from gansemble.recipe import check, fill
from gansemble.recipe.document import RecipeError


@pytest.fixture
def registry():
    """The installed parts with those of a plugin from elsewhere, version 0.2."""
    made = Plugins().registry
    made.add(Entry("objective", "acme", "gansemble_plugins.basics.objectives:Hinge", "", "acme"))
    made.sources["acme"] = PluginSource("gansemble-acme", "0.2.0")
    return made


def said(path, overrides, registry=None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        check.load(path, overrides, registry)
    return [str(problem).splitlines()[0] for problem in caught.value.problems]


def test_a_missing_plugin_is_named_with_the_way_to_get_it(base):
    listed = "plugins={acme: 'gansemble-acme>=0.2'}"
    first, second = said(base, [listed, "objective.use=acme"])
    assert "plugin 'acme' is not installed; get it with: pip install 'gansemble-acme>=0.2'" in first
    assert "no objective named 'acme'" in second
    assert "it may come with the missing plugin 'acme' (pip install 'gansemble-acme>=0.2')" in second


def test_a_way_that_is_no_requirement_is_shown_as_it_is(base):
    (only,) = said(base, ["plugins={acme: --plugin acme.py}"])
    assert only.endswith("get it with: --plugin acme.py")


def test_an_installed_plugin_must_be_of_the_version_asked_for(base, registry):
    check.load(base, ["plugins={acme: 'gansemble-acme>=0.2'}"], registry)
    (only,) = said(base, ["plugins={acme: 'gansemble-acme>=0.3'}"], registry)
    assert "plugin 'acme': the recipe needs gansemble-acme>=0.3, installed is 0.2.0" in only


def test_a_broken_or_switched_off_plugin_is_not_called_missing(base, registry):
    registry.broken["torn"] = Broken("torn", ImportError("no module x"), "")
    registry.disabled["off"] = "GANSEMBLE_DISABLE"
    one, other = said(base, ["plugins={torn: torn, off: off}"], registry)
    assert "could not be loaded (no module x)" in one and "switched off by GANSEMBLE_DISABLE" in other


@pytest.mark.parametrize("wrong", ["[acme]", "{acme: 3}", "acme"])
def test_the_section_is_a_mapping_of_texts(base, wrong):
    assert said(base, [f"plugins={wrong}"])[0].partition(": ")[2].startswith("plugins")


def test_the_filled_recipe_lists_the_plugins_of_its_parts_that_do_not_ship_with_the_toolkit(base, registry):
    filled = fill.fill(check.load(base, ["objective.use=acme"], registry))
    assert filled["plugins"] == {"acme": "gansemble-acme>=0.2.0"}
    assert "plugins" not in fill.fill(check.load(base))
