"""Each rule between parts alone: what it finds at the borders, which changes it proposes, and when it is silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.audio.spec import AudioSpec
from gansemble.contract import (
    Contract,
    CorpusContract,
    DiscriminatorContract,
    FeatureContract,
    GeneratorContract,
    NetworkContract,
    RepresentationContract,
    TermContract,
)
from gansemble.plugins.registry import Entry
from gansemble.recipe.document import Document
from gansemble.recipe.rules import abilities, decoding, features, fit, growth, restoration
from gansemble.recipe.rules.finding import Finding, first_part, problem
from gansemble.recipe.rules.fixes import TRIES, find_fix
from gansemble.recipe.rules.view import RecipeView
from gansemble.recipe.schema import MANY, SINGLE, Recipe
from gansemble.recipe.sections import Data, Part, Phase, Plan

KINDS = {name: kind for name, (kind, _) in SINGLE.items()} | MANY
WAVE = GeneratorContract(reads=frozenset({"mel"}))


class Known:
    """A registry with two parts of every kind, ``one`` and ``two``."""

    def entries(self, kind: str) -> list[Entry]:
        return [Entry(kind, name, "", "", "") for name in ("one", "two")]


def view(
    parts: dict[str, Any],
    *,
    plan: Plan | None = None,
    audio: AudioSpec | None = None,
    data: Data | None = None,
    written: dict[str, Any] | None = None,
    classes: dict[str, dict[str, Any]] | None = None,
    registry: Any = None,
) -> RecipeView:
    """A recipe of parts with these contracts, by dotted path; each part is used by the last name of its path.

    ``written`` is what the document holds; ``classes`` gives attributes to the classes of parts.
    """
    recipe = Recipe(Path("r.yaml"), Document(written or {}), audio or AudioSpec(), registry=registry)
    recipe.plan, recipe.data = plan or Plan(), data or Data()
    recipe.many = {name: {} for name in MANY}
    contracts = {}
    for name, contract in ({"generator": WAVE} | parts).items():
        path = tuple(name.split("."))
        made = {"contract": staticmethod(lambda parameters, contract=contract: contract)}
        target = type("Made", (), made | (classes or {}).get(name, {}))
        kind = KINDS[path[0]]
        part = Part(kind, path, path[-1], Entry(kind, path[-1], "", "", "here"), target)
        if len(path) == 1:
            recipe.single[name] = part
        else:
            recipe.many[path[0]][path[1]] = part
        contracts[path] = contract
    return RecipeView(recipe, contracts)


def of(findings: Iterable[Finding]) -> list[tuple[Any, ...]]:
    """What a message is about, without its words: path, against, changes, advice."""
    return [(found.path, found.against, found.changes, found.advice) for found in findings]


# the view ---------------------------------------------------------------


def test_a_part_is_named_by_its_place_and_its_use():
    seen = view({"losses.mel": TermContract()})
    assert seen.use(("losses", "mel")) == "losses.mel (mel)" and seen.use(("generator",)) == "generator (generator)"
    assert seen.use(("representation",)) == "representation (by default)"


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ({"losses": {"mel": {"use": "mel", "bands": 3}}}, ("losses", "mel", "bands")),
        ({"losses": {"mel": {"use": "mel"}}}, ("losses", "mel", "use")),
        ({"losses": {"mel": {}}}, ("losses", "mel")),
        ({"losses": {"mel": 3}}, ("losses", "mel")),
        ({"losses": 3}, ("losses", "mel")),
        ({}, ("losses", "mel")),
    ],
)
def test_a_field_is_decided_by_its_parameter_where_that_is_written(written, path):
    seen = view({"losses.mel": TermContract(because={"shape": "bands"})}, written=written)
    assert seen.decided_by(("losses", "mel"), "shape") == path


def test_a_field_of_which_no_parameter_is_named_is_decided_by_the_use():
    written = {"losses": {"mel": {"use": "mel", "bands": 3}}}
    seen = view({"losses.mel": TermContract(because={"shape": "bands"})}, written=written)
    assert seen.decided_by(("losses", "mel"), "domain") == ("losses", "mel", "use")
    assert seen.decided_by(("regularisers", "none"), "domain") == ("regularisers", "none")


def test_changes_of_a_part():
    seen = view({"losses.one": TermContract(because={"shape": "bands"}), "corpus": CorpusContract()}, registry=Known())
    assert seen.set(("losses", "one"), "shape", 5) == (("losses.one.bands=5",),)
    assert seen.set(("losses", "one"), "domain", 5) == ()
    assert seen.swap(("losses", "one")) == (("losses.one.use=two",),)
    assert seen.swap(("corpus",)) == (("corpus.use=one",), ("corpus.use=two",))
    assert seen.swap(("representation",)) == () == view({}).swap(("generator",))
    assert seen.remove(("losses", "one")) == (("losses.one=null",),)
    assert seen.remove(("corpus",)) == seen.remove(("generator",)) == seen.remove(("optimisers", "generator")) == ()


@pytest.mark.parametrize(
    ("segment", "unit", "shortest", "least", "factor", "lengths"),
    [
        (8192, None, None, 0, 1.0, [8192, 8192]),
        (8000, None, None, 0, 1.0, [7936, 8192]),
        (8100, None, None, 0, 1.0, [8192, 7936]),
        (100, None, None, 0, 1.0, [256, 256]),
        (8192, 768, None, 0, 1.0, [8448, 7680]),
        (8192, None, 9000, 0, 1.0, [9216]),
        (8192, None, 9000, 9300, 1.0, [9472]),
        (8192, None, 9000, 8500, 1.0, [9216]),
        (8192, None, None, 0, 0.5, [4096, 4096]),
        (8192, None, None, 0, 2.03, [16640, 16384]),
        (8192, None, 4096, 0, 0.25, [4096, 4096]),
        (8192, None, None, 8192, 1.0, [8192, 8192]),
    ],
)
def test_the_nearest_segments_that_every_part_allows(segment, unit, shortest, least, factor, lengths):
    """The nearer one first, in multiples of a hop of 256 and of the parts' granularity, and none that is too short."""
    term = TermContract(granularity=unit, shortest=shortest)
    seen = view({"losses.one": TermContract(), "losses.two": term}, plan=Plan(segment=segment))
    assert seen.segments(least, factor) == tuple((f"plan.segment={length}",) for length in lengths)
    if (least, factor) == (0, 1.0):
        assert seen.segments() == seen.segments(0, 1.0)


def test_what_the_view_gives_where_there_is_nothing():
    seen = view({}, plan=Plan(segment=512))
    assert (seen.domain, seen.shape) == ("waveform", (1, 512))
    assert seen.corpus == CorpusContract() and seen.representation == RepresentationContract()
    assert seen.generator is WAVE and seen.imitates
    assert not view({"generator": GeneratorContract(reads=frozenset({"latent"}))}).imitates


def test_the_representation_gives_domain_and_shape():
    seen = view({"representation": RepresentationContract(domain="picture", shape=(1, 8, None))})
    assert (seen.domain, seen.shape) == ("picture", (1, 8, None))
    assert view({"representation": RepresentationContract(shape=(3,))}).shape == (1, 8192)


def test_metrics_of_pairs_compare_and_those_of_sets_do_not():
    sets = {"score_set": lambda self: None, "collect": lambda self: None}
    seen = view({"metrics.pairs": Contract(), "metrics.sets": Contract(), "losses.l": TermContract()})
    assert seen.compares == {("metrics", "pairs"), ("metrics", "sets")}
    seen = view({"metrics.pairs": Contract(), "metrics.sets": Contract()}, classes={"metrics.sets": sets})
    assert seen.compares == {("metrics", "pairs")}


def test_which_parts_see_what_the_generator_makes():
    everything = {
        "corpus": CorpusContract(),
        "representation": RepresentationContract(),
        "losses.l": TermContract(),
        "features.f": FeatureContract(),
        "discriminators.d": DiscriminatorContract(),
        "monitors.m": TermContract(),
    }
    seen = view(everything)
    assert [path[-1] for path, _ in seen.of_items()] == ["generator", "representation", "l", "d", "m"]
    assert [path[-1] for path, _ in seen.works_on()] == ["generator", "l", "d", "m"]
    assert [path[-1] for path, _ in seen.of_classes()] == ["generator", "l", "d", "m"]
    assert [path[-1] for path, _ in seen.discriminators()] == ["d"]


# findings ---------------------------------------------------------------


def marked(text: str) -> Document:
    from gansemble.recipe.document import parse

    return parse(text, "r.yaml")


def test_a_finding_becomes_a_problem_with_both_places():
    document = marked("plan: {segment: 5}\naudio: {hop: 2}\n")
    shown = problem(Finding(("plan", "segment"), "m", ("audio", "hop"), "hop is 2"), document, "--set x")
    assert (shown.path, shown.message, shown.other, shown.fix) == (("plan", "segment"), "m", "hop is 2", "--set x")
    assert (shown.mark.line, shown.other_mark.line, shown.other_mark.column) == (1, 2, 14)


@pytest.mark.parametrize(
    ("against", "stands", "other", "line"),
    [
        (("audio", "hop"), "hop is 2", "hop is 2 (its default)", None),
        (("audio", "hop"), "representation (by default) gives", "representation (by default) gives", None),
        (("plan",), "plan decides", "plan decides", 1),
        (("audio",), "audio decides", "audio decides (its default)", None),
        (None, "hop is 2", "", None),
    ],
)
def test_a_value_that_is_not_written_is_called_a_default(against, stands, other, line):
    """Of a section the key is marked; of a value that is not written nothing, not even what is around it."""
    shown = problem(Finding(("plan",), "m", against, stands), marked("plan: {segment: 5}\n"))
    assert shown.other == other and shown.fix == ""
    assert (shown.other_mark and shown.other_mark.line) == line
    if line:
        assert shown.other_mark.column == 1


def test_the_first_registered_part_of_a_kind_is_suggested():
    seen = view({}, registry=Known())
    assert first_part(seen.recipe, "loss") == "one"
    seen.recipe.registry = SimpleNamespace(entries=lambda kind: [])
    assert first_part(seen.recipe, "loss") == "…" == first_part(view({}).recipe, "loss")


def test_the_first_change_that_mends_and_breaks_nothing_is_the_fix():
    from gansemble.recipe.document import RecipeError

    wrong, old, new = Finding(("a",), "wrong"), Finding(("b",), "old"), Finding(("c",), "new")
    outcome = {"a=1": [wrong], "a=2": [new], "a=3": None, "a=[4]": [old], "a=5": []}
    tried = []

    def attempt(change: tuple[str, ...]) -> list[Finding]:
        tried.append(change[0])
        found = outcome[change[0]]
        if found is None:
            raise RecipeError([])
        return found

    faulty = Finding(("a",), "wrong", changes=tuple((change, "b=x") for change in outcome))
    assert find_fix(faulty, [wrong, old], attempt) == "--set 'a=[4]' --set b=x"
    assert tried == ["a=1", "a=2", "a=3", "a=[4]"]
    assert find_fix(Finding(("a",), "wrong", changes=(("a=1",),)), [wrong], attempt) == ""


@pytest.mark.parametrize(("place", "fix"), [(23, "--set a=23"), (24, "")])
def test_so_many_changes_are_tried(place, fix):
    assert TRIES == 24
    wrong = Finding(("a",), "wrong", changes=tuple((f"a={number}",) for number in range(30)))
    assert find_fix(wrong, [wrong], lambda change: [] if change == (f"a={place}",) else [wrong]) == fix


@pytest.mark.parametrize("change", ["a=b c", "a={b", "a=b}", "a=[b", "a=b]", 'a="b'])
def test_an_option_that_a_shell_would_take_apart_is_quoted(change):
    wrong = Finding(("a",), "wrong", changes=((change,),))
    assert find_fix(wrong, [wrong], lambda _: []) == f"--set '{change}'"


def test_findings_with_other_partners_are_others():
    wrong = Finding(("a",), "wrong", ("b",), changes=(("x=1",),))
    assert find_fix(wrong, [wrong], lambda _: [Finding(("a",), "wrong", ("c",))]) == ""
    assert find_fix(wrong, [wrong], lambda _: [Finding(("a",), "other", ("b",))]) == ""
    assert find_fix(wrong, [wrong], lambda _: [Finding(("d",), "wrong", ("b",))]) == ""


# hop and segment --------------------------------------------------------


@pytest.mark.parametrize(("made", "segment", "moved"), [(512, 8192, 8192), (300, 8192, 8100), (9000, 100, 9000)])
def test_a_generator_makes_a_hop_of_each_frame(made, segment, moved):
    upsamples = GeneratorContract(reads=frozenset({"mel"}), upsampling=made)
    seen = view({"generator": upsamples}, plan=Plan(segment=segment), registry=Known())
    (found,) = fit.hop(seen)
    assert (found.path, found.against, found.stands) == (("generator",), ("audio", "hop"), "audio.hop is 256")
    assert found.changes[:2] == ((f"audio.hop={made}",), (f"audio.hop={made}", f"plan.segment={moved}"))
    assert found.changes[2:] == (("generator.use=one",), ("generator.use=two",))
    assert f"makes {made} samples" in found.message and "audio.hop is 256" in found.message


@pytest.mark.parametrize("made", [None, 256])
def test_a_generator_of_a_hop_or_of_no_word_is_right(made):
    assert not [*fit.hop(view({"generator": GeneratorContract(upsampling=made)}))]


@pytest.mark.parametrize(
    ("segment", "nearest"), [(1, 256), (255, 256), (257, 256), (383, 256), (385, 512), (8191, 8192)]
)
def test_a_segment_is_a_whole_number_of_hops(segment, nearest):
    (found,) = fit.segment(view({}, plan=Plan(segment=segment)))
    assert found.path == ("plan", "segment") and found.against == ("audio", "hop")
    assert found.message.endswith(f"got {segment}; the nearest is {nearest}")
    assert found.changes[0] == (f"plan.segment={nearest}",)


@pytest.mark.parametrize("segment", [-1, 0, 256, 512])
def test_a_segment_of_whole_hops_is_right_and_a_negative_one_is_told_elsewhere(segment):
    assert not [*fit.segment(view({}, plan=Plan(segment=segment)))]


def test_a_segment_suits_each_part_that_says_what_it_needs():
    term = TermContract(granularity=768, shortest=8193, because={"shortest": "window"})
    seen = view(
        {"losses.one": term, "losses.two": TermContract(granularity=512, shortest=8192)},
        registry=Known(),
        written={"losses": {"one": {"use": "one", "window": 8193}}},
    )
    multiple, short = fit.segment(seen)
    assert multiple.path == short.path == ("plan", "segment")
    assert (multiple.against, short.against) == (("losses", "one", "use"), ("losses", "one", "window"))
    assert "multiples of 768 samples, got 8192" in multiple.message
    assert "at least 8193 samples, got 8192" in short.message
    assert multiple.changes == (("plan.segment=9216",), ("losses.one.use=two",))
    assert short.changes == (("plan.segment=9216",), ("losses.one=null",))


# receptive field --------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "told"), [(None, None), (8192, None), (8193, True), (4 * 8192, True), (4 * 8192 + 1, False)]
)
def test_a_score_that_sees_beyond_four_segments_is_an_error_and_beyond_one_is_advice(seen, told):
    parts = {"discriminators.d": DiscriminatorContract(receptive_field=seen)}
    found = [*fit.receptive_field(view(parts, registry=Known()))]
    assert [each.advice for each in found] == ([] if told is None else [told])
    for each in found:
        length = -(-seen // 256) * 256
        assert each.path == ("plan", "segment") and each.against == ("discriminators", "d")
        assert f"sees {seen} samples, and a segment of 8192" in each.message
        assert each.changes == (
            (f"plan.segment={length}",),
            *((f"plan.segment={length}",) for _ in range(seen % 256 == 0)),
            ("discriminators.d.use=one",),
            ("discriminators.d.use=two",),
        )


def test_each_discriminator_is_looked_at():
    parts = {f"discriminators.d{size}": DiscriminatorContract(receptive_field=size) for size in (9, 40000, 10, 9000)}
    assert [(each.against[1], each.advice) for each in fit.receptive_field(view(parts))] == [
        ("d40000", False),
        ("d9000", True),
    ]


# domain and shape -------------------------------------------------------

PICTURE = RepresentationContract(domain="picture", shape=(1, 8, 32))


def test_a_part_of_another_domain_may_be_changed_or_another_representation_taken():
    seen = view(
        {
            "representation": PICTURE,
            "generator": GeneratorContract(reads=frozenset({"mel"}), domain="waveform", because={"domain": "kind"}),
            "losses.one": TermContract(domain="spectrum"),
            "losses.two": TermContract(domain="picture"),
            "losses.any": TermContract(),
        },
        registry=Known(),
    )
    generator, term = fit.domain(seen)
    assert (generator.path, generator.against) == (("generator",), ("representation",))
    assert generator.changes == (
        ("generator.kind=picture",),
        ("representation=null",),
        ("representation={use: one}",),
        ("representation={use: two}",),
        ("generator.use=one",),
        ("generator.use=two",),
    )
    assert (term.path, term.against) == (("losses", "one"), ("representation",))
    assert term.changes == (
        ("representation={use: one}",),
        ("representation={use: two}",),
        ("losses.one.use=two",),
        ("losses.one=null",),
    )
    assert "works on spectrum" in term.message and "gives picture" in term.message


def test_domains_agree_where_all_are_of_waveforms():
    assert not [*fit.domain(view({"losses.one": TermContract(domain="waveform")}))]


@pytest.mark.parametrize(
    ("shape", "given", "agree"),
    [
        ((1, 8, 32), (1, 8, 32), True),
        ((1, 8, None), (1, 8, 32), True),
        ((None, None, None), (1, 8, 32), True),
        ((1, 8, 32), (1, None, 32), True),
        ((1, 8, 33), (1, 8, 32), False),
        ((1, 9, None), (1, 8, 32), False),
        ((2, 8, 32), (1, 8, 32), False),
        ((8, 32), (1, 8, 32), False),
        ((1, 8, 32, None), (1, 8, 32), False),
        (None, (1, 8, 32), True),
        ((1, 9, 32), None, True),
    ],
)
def test_a_shape_agrees_where_every_size_does_or_is_left_open(shape, given, agree):
    representation = RepresentationContract(domain="picture", shape=given)
    found = [*fit.shape(view({"representation": representation, "losses.l": TermContract(shape=shape)}))]
    assert (not found) == agree
    if found:
        assert of(found)[0][:2] == (("losses", "l"), ("representation",))


def test_of_a_wrong_shape_the_first_size_is_set_or_the_segment_made_longer_by_the_last():
    """Maps of 8 by 32, where 16 by 96 are wanted: 16 rows of the part, or three times the segment."""
    term = TermContract(shape=(1, 16, 96), because={"shape": "rows"})
    seen = view({"representation": PICTURE, "losses.one": term}, registry=Known())
    (found,) = fit.shape(seen)
    assert found.changes == (
        ("losses.one.rows=8",),
        ("plan.segment=24576",),
        ("plan.segment=24576",),
        ("losses.one.use=two",),
        ("losses.one=null",),
    )
    assert "[B, 1, 16, 96]" in found.message and "[B, 1, 8, 32] for a segment of 8192" in found.message
    assert "[B, 1, 8, 32]" in found.stands


def test_of_a_shape_with_another_number_of_axes_no_size_is_proposed():
    term = TermContract(shape=(None, 16), because={"shape": "rows"})
    (found,) = fit.shape(view({"representation": PICTURE, "losses.one": term}))
    assert found.changes == (("losses.one=null",),) and "[B, any, 16]" in found.message


def test_the_shape_of_another_domain_is_not_compared():
    assert not [*fit.shape(view({"representation": PICTURE, "losses.l": TermContract(domain="wave", shape=(9,))}))]
    own = TermContract(domain="picture", shape=(9,))
    assert len([*fit.shape(view({"representation": PICTURE, "losses.l": own}))]) == 1


@pytest.mark.parametrize(
    ("given", "lengths"),
    [
        ((1, 8, 8), None),
        ((8, 8, 1), [1024 * 64, 1024 * 64]),
        ((1, 8, 32), [2048, 2048]),
        ((1, 32, 8), [32768, 32768]),
        ((8, 8), [8192, 8192]),
        ((1, 8, None), [8192, 8192]),
    ],
)
def test_square_maps_have_two_equal_last_axes(given, lengths):
    representation = RepresentationContract(domain="picture", shape=given)
    term = TermContract(square=True, because={"square": "mode"})
    found = [*fit.shape(view({"representation": representation, "losses.one": term}))]
    assert len(found) == (lengths is not None)
    if found:
        assert found[0].against == ("plan", "segment") and "8192" in found[0].stands
        assert found[0].changes == (
            *((f"plan.segment={length}",) for length in lengths),
            ("losses.one.mode=resize_shorter",),
            ("losses.one=null",),
        )


# latent vectors, classes and pitches ------------------------------------


def test_a_part_works_on_the_latent_vector_that_the_generator_reads():
    reads = GeneratorContract(reads=frozenset({"latent"}), latent=100, because={"latent": "size"})
    back = TermContract(latent=64, because={"latent": "width"})
    seen = view({"generator": reads, "regularisers.one": back}, registry=Known())
    (found,) = fit.latent(seen)
    assert (found.path, found.against) == (("regularisers", "one"), ("generator",))
    assert "vector of 64" in found.message and "vector of 100" in found.message and "100" in found.stands
    assert found.changes == (
        ("regularisers.one.width=100",),
        ("generator.size=64",),
        ("regularisers.one=null",),
        ("generator.use=one",),
        ("generator.use=two",),
    )


def test_a_part_of_latent_vectors_beside_a_generator_that_reads_none():
    """What the contract says of a latent size counts for nothing where none is read."""
    reads = GeneratorContract(reads=frozenset({"mel"}), latent=64, because={"latent": "size"})
    back = TermContract(latent=64, because={"latent": "width"})
    (found,) = fit.latent(view({"generator": reads, "regularisers.one": back}))
    assert found.changes == (("regularisers.one.width=0",), ("regularisers.one=null",))
    assert "reads no latent vector" in found.message


@pytest.mark.parametrize("size", [None, 100])
def test_latent_vectors_of_one_size_and_parts_of_none_are_right(size):
    reads = GeneratorContract(reads=frozenset({"latent"}), latent=100)
    assert not [*fit.latent(view({"generator": reads, "regularisers.one": TermContract(latent=size)}))]


def classed(classes: int | None, reads: set[str], **more: Any) -> GeneratorContract:
    return GeneratorContract(reads=frozenset(reads), classes=classes, because={"classes": "count"}, **more)


def test_a_critic_of_classes_beside_a_generator_that_reads_no_label():
    critic = DiscriminatorContract(classes=10, because={"classes": "number"})
    (found,) = abilities.classes(view({"generator": classed(None, {"mel"}), "discriminators.d": critic}))
    assert (found.path, found.against) == (("discriminators", "d"), ("generator",)) and not found.advice
    assert found.changes == (("discriminators.d.number=null",), ("generator.count=10",))
    assert "judges 10 classes" in found.message


@pytest.mark.parametrize(
    ("part", "reads"),
    [
        (DiscriminatorContract(classes=10), {"mel", "label"}),
        (DiscriminatorContract(), {"mel"}),
        (TermContract(classes=10), {"mel"}),
    ],
)
def test_who_may_judge_classes(part, reads):
    name = "discriminators.d" if isinstance(part, DiscriminatorContract) else "losses.d"
    assert not [*abilities.classes(view({"generator": classed(None, reads), name: part}))]


def test_a_critic_is_not_measured_by_a_generator_that_says_nothing_of_what_it_reads():
    seen = view({"generator": GeneratorContract(), "discriminators.d": DiscriminatorContract(classes=10)})
    assert not [*abilities.classes(seen)]


def test_parts_are_built_for_the_classes_of_the_corpus():
    corpus = CorpusContract(classes=10, because={"classes": "kinds"})
    parts = {"generator": classed(35, {"label"}), "corpus": corpus, "losses.one": TermContract(classes=10)}
    (found,) = abilities.classes(view(parts, registry=Known()))
    assert (found.path, found.against) == (("generator",), ("corpus",))
    assert "35 classes" in found.message and "has 10" in found.message and "10 classes" in found.stands
    assert found.changes == (
        ("generator.count=10",),
        ("corpus.use=one",),
        ("corpus.use=two",),
        ("generator.use=one",),
        ("generator.use=two",),
    )
    assert not [*abilities.classes(view(parts, data=Data(label="speaker")))], "of which the corpus says no number"
    assert not [*abilities.classes(view(parts | {"corpus": CorpusContract()}))]


@pytest.mark.parametrize(
    ("pitches", "agree"),
    [((24, 84), True), ((23, 85), True), ((25, 84), False), ((24, 83), False), (None, True)],
)
def test_a_network_has_every_pitch_of_the_corpus(pitches, agree):
    corpus = CorpusContract(pitches=(24, 84), because={"pitches": "compass"})
    built = NetworkContract(pitches=pitches, because={"pitches": "range"})
    generator = GeneratorContract(reads=frozenset({"label"}))
    seen = view({"generator": generator, "corpus": corpus, "discriminators.one": built}, registry=Known())
    found = [*abilities.classes(seen)]
    assert (not found) == agree
    if found:
        assert of(found)[0][:2] == (("discriminators", "one"), ("corpus",))
        assert found[0].changes == (
            ("discriminators.one.range=[24, 84]",),
            (f"corpus.compass=[{pitches[0]}, {pitches[1]}]",),
            ("discriminators.one.use=two",),
        )
        assert f"{pitches[0]} to {pitches[1]}" in found[0].message and "24 to 84" in found[0].message
    assert not [*abilities.classes(view({"generator": generator, "discriminators.one": built}))], "without a corpus"


@pytest.mark.parametrize(
    ("parts", "untaught"),
    [
        ({"generator": classed(3, {"latent", "label"})}, True),
        ({"generator": classed(3, {"latent"})}, False),
        ({"generator": classed(3, {"mel", "label"})}, False),
        ({"generator": GeneratorContract()}, None),
        ({"generator": classed(3, {"label"}), "discriminators.d": DiscriminatorContract(receptive_field=3)}, True),
        ({"generator": classed(3, {"label"}), "discriminators.d": DiscriminatorContract()}, False),
        ({"generator": classed(3, {"label"}), "discriminators.d": DiscriminatorContract(classes=3)}, False),
        ({"generator": classed(3, {"label"}), "losses.l": TermContract(needs=frozenset({"labels"}))}, False),
        ({"generator": classed(3, {"label"}), "regularisers.l": TermContract(needs=frozenset({"labels"}))}, False),
        ({"generator": classed(3, {"label"}), "losses.l": TermContract(classes=3)}, False),
        ({"generator": classed(3, {"label"}), "losses.l": TermContract(needs=frozenset({"logits"}))}, True),
        ({"generator": classed(3, {"label"}), "monitors.l": TermContract(classes=3)}, True),
    ],
)
def test_a_label_that_nothing_teaches_is_advice(parts, untaught):
    if untaught is None:
        assert not [*abilities.taught(view(parts))]
        return
    assert of(abilities.taught(view(parts))) == ([(("generator",), None, (), True)] if untaught else [])


# abilities --------------------------------------------------------------


def needing(*needs: str) -> TermContract:
    return TermContract(needs=frozenset(needs))


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ({"losses.l": needing("features")}, ["features"]),
        ({"losses.l": needing("outputs", "features")}, ["features", "outputs"]),
        ({"losses.l": needing("outputs"), "discriminators.d": DiscriminatorContract()}, []),
        (
            {"losses.l": needing("features"), "discriminators.d": DiscriminatorContract(gives=frozenset({"features"}))},
            [],
        ),
        ({"losses.l": needing("mel", "pairs")}, []),
        ({"losses.l": needing("mel", "pairs"), "generator": classed(None, {"latent"})}, ["mel", "pairs"]),
        ({"losses.l": needing("labels")}, ["labels"]),
        ({"losses.l": needing("labels"), "corpus": CorpusContract(gives=frozenset({"labels"}))}, []),
        ({"losses.l": needing("labels"), "corpus": CorpusContract(gives=frozenset({"pitch"}))}, []),
        ({"losses.l": needing("pitch"), "corpus": CorpusContract(gives=frozenset({"labels"}))}, ["pitch"]),
        ({"losses.l": needing("f0")}, ["f0"]),
        ({"losses.l": needing("f0"), "features.f0": FeatureContract()}, []),
        ({"losses.l": needing("x"), "baselines.b": GeneratorContract(gives=frozenset({"x"}))}, ["x"]),
        ({"losses.l": needing("x"), "test_degradations.b": Contract(gives=frozenset({"x"}))}, ["x"]),
        ({"losses.l": needing("x"), "augmentations.b": Contract(gives=frozenset({"x"}))}, []),
        ({"generator": classed(None, {"mel", "label"})}, ["labels"]),
        ({"generator": classed(None, {"degraded"})}, ["degraded"]),
        ({"generator": classed(None, {"degraded"}), "degradation": Contract(gives=frozenset({"degraded"}))}, []),
        ({"generator": classed(None, {"mel", "f0"})}, []),
        ({"metrics.m": Contract()}, []),
        ({"metrics.m": Contract(), "generator": classed(None, {"latent"})}, ["pairs"]),
    ],
)
def test_what_a_part_needs_another_gives(parts, missing):
    found = [*abilities.abilities(view(parts))]
    assert len(found) == len(missing)
    assert all(f" needs {name}, but " in each.message for name, each in zip(missing, found, strict=True))
    known = [f"gives {name!r}" in each.message for name, each in zip(missing, found, strict=True)]
    assert known == [name not in abilities.ABILITIES for name in missing]


@pytest.mark.parametrize(
    ("need", "section", "stands"),
    [
        ("features", "discriminators", "discriminators.a (a) and discriminators.b (b) give no features"),
        ("logits", "discriminators", "discriminators.a (a) and discriminators.b (b) give no logits"),
        ("degraded", "degradation", "degradation has no part"),
        ("labels", "corpus", "corpus (corpus) gives no labels"),
        ("pitch", "corpus", "corpus (corpus) gives no pitch"),
        ("mel", "generator", "generator (generator) gives no mel"),
        ("pairs", "generator", "generator (generator) gives no pairs"),
    ],
)
def test_who_would_give_what_is_needed(need, section, stands):
    parts = {
        "corpus": CorpusContract(),
        "discriminators.a": DiscriminatorContract(),
        "discriminators.b": DiscriminatorContract(),
        "generator": classed(None, {"latent"}),
        "losses.l": needing(need),
    }
    (found,) = abilities.abilities(view(parts))
    assert found.path == ("losses", "l") and found.stands == stands
    assert found.against == ((section, "use") if section in ("corpus", "generator") else (section,))


def test_outputs_are_missing_where_there_is_no_discriminator():
    (found,) = abilities.abilities(view({"losses.l": needing("outputs")}))
    assert found.against == ("discriminators",) and found.stands == "discriminators has no part"


def test_a_discriminator_that_gives_what_is_missing_comes_with_all_that_it_needs():
    (found,) = abilities.abilities(view({"losses.one": needing("features")}, registry=Known()))
    assert found.changes == (
        *(
            (
                f"discriminators.{name}={{use: {name}}}",
                "objective={use: one}",
                "optimisers.discriminators={use: one}",
            )
            for name in ("one", "two")
        ),
        ("losses.one.use=two",),
        ("losses.one=null",),
    )
    parts = {"losses.l": needing("features"), "objective": Contract(), "optimisers.discriminators": Contract()}
    (found,) = abilities.abilities(view(parts, registry=Known()))
    assert found.changes[:2] == tuple((f"discriminators.{name}={{use: {name}}}",) for name in ("one", "two"))
    (found,) = abilities.abilities(view(parts))
    assert found.changes == (("losses.l=null",),), "nothing is known without a registry"


def test_another_corpus_may_give_what_is_missing():
    (found,) = abilities.abilities(view({"losses.l": needing("pitch"), "corpus": CorpusContract()}, registry=Known()))
    assert found.changes[:2] == (("corpus.use=one",), ("corpus.use=two",))


def test_a_part_that_another_excludes():
    parts = {
        "losses.one": TermContract(clashes=frozenset({"batch_norm", "dropout"}), because={"clashes": "mode"}),
        "discriminators.one": DiscriminatorContract(
            gives=frozenset({"batch_norm", "features"}), because={"gives": "norm"}
        ),
        "losses.two": TermContract(),
    }
    (found,) = abilities.clashes(view(parts, registry=Known()))
    assert (found.path, found.against) == (("discriminators", "one"), ("losses", "one"))
    assert "batch_norm" in found.message and "batch_norm" in found.stands and not found.advice
    assert found.changes == (
        ("discriminators.one.norm=none",),
        ("losses.one=null",),
        ("discriminators.one.use=two",),
    )


# rates and precision ----------------------------------------------------


def at(*rates: int, **more: Any) -> dict[str, Any]:
    return {"sample_rates": frozenset(rates), **more}


def test_a_part_of_other_rates_may_be_flipped_or_the_rate_changed():
    parts = {"metrics.one": Contract(**at(16000, 8000, because={"sample_rates": "resample"}))}
    for value, flip in ((False, "true"), (True, "false")):
        seen = view(parts)
        seen.recipe.many["metrics"]["one"].arguments["resample"] = value
        (found,) = fit.rates(seen)
        assert (found.path, found.against) == (("metrics", "one"), ("audio", "sample_rate"))
        assert "8000 or 16000 Hz, but audio.sample_rate is 22050" in found.message and "22050" in found.stands
        assert found.changes == (
            (f"metrics.one.resample={flip}",),
            ("audio.sample_rate=8000",),
            ("audio.sample_rate=8000", "data.rate=resample"),
            ("audio.sample_rate=16000",),
            ("audio.sample_rate=16000", "data.rate=resample"),
            ("metrics.one=null",),
        )


@pytest.mark.parametrize(
    ("because", "value"), [({}, False), ({"sample_rates": "mode"}, 1), ({"sample_rates": "mode"}, None)]
)
def test_only_a_switch_can_be_flipped(because, value):
    seen = view({"metrics.one": Contract(**at(8000, because=because)), "metrics.two": Contract(**at(22050))})
    if value is not None:
        seen.recipe.many["metrics"]["one"].arguments["mode"] = value
    (found,) = fit.rates(seen)
    assert found.changes[0] == ("audio.sample_rate=8000",)


@pytest.mark.parametrize(("rate", "told"), [("error", True), ("resample", False)])
def test_a_corpus_of_another_rate_is_resampled_where_the_recipe_says_so(rate, told):
    parts = {"corpus": CorpusContract(**at(44100)), "metrics.m": Contract(**at(8000))}
    found = [*fit.rates(view(parts, data=Data(rate=rate)))]
    assert len(found) == 1 + told
    if told:
        assert of(found)[0] == (("audio", "sample_rate"), ("corpus",), (("data.rate=resample",),), False)
        assert "44100 Hz, got 22050" in found[0].message and "44100" in found[0].stands


def test_a_part_works_under_the_precision_of_the_plan():
    parts = {
        "losses.one": TermContract(precisions=frozenset({"fp16", "no", "bf16"})),
        "losses.two": TermContract(precisions=frozenset({"no", "bf16"})),
        "losses.three": TermContract(),
    }
    assert not [*fit.precision(view(parts))]
    (found,) = fit.precision(view(parts, plan=Plan(precision="fp16")))
    assert (found.path, found.against) == (("losses", "two"), ("plan", "precision"))
    assert found.changes == (("plan.precision=bf16",), ("plan.precision=no",), ("losses.two=null",))
    assert "bf16 or no, but it is fp16" in found.message and "fp16" in found.stands


# features ---------------------------------------------------------------


def test_a_signal_that_is_read_is_made_by_the_feature_of_its_name():
    reads = GeneratorContract(reads=frozenset({"mel", "two", "f0", "latent", "label"}))
    seen = view({"generator": reads, "features.f0": FeatureContract()}, registry=Known())
    (found,) = features.features(seen)
    assert (found.path, found.against, found.stands) == (("generator",), ("features",), "features: f0")
    assert found.changes == (
        ("features.two={use: two}",),
        ("features.two={use: one}",),
        ("generator.use=one",),
        ("generator.use=two",),
    )
    bare = view({"generator": reads})
    assert [(each.stands, each.changes) for each in features.features(bare)] == [("features: none", ())] * 2


@pytest.mark.parametrize(("wanted", "given", "agree"), [(3, 3, True), (3, 4, False), (None, 4, True), (3, None, True)])
def test_a_feature_has_the_channels_that_are_read(wanted, given, agree):
    reads = GeneratorContract(
        reads=frozenset({"f0"}), channels={} if wanted is None else {"f0": wanted}, because={"channels": "width"}
    )
    found = [*features.features(view({"generator": reads, "features.f0": FeatureContract(channels=given)}))]
    assert (not found) == agree
    if found:
        assert of(found) == [(("generator",), ("features", "f0"), (("generator.width=4",),), False)]
        assert "3 channels" in found[0].message and "gives 4" in found[0].message and "4 channels" in found[0].stands


def test_a_feature_that_nobody_reads_is_advice_and_one_that_a_term_needs_is_not():
    parts = {"features.f0": FeatureContract(), "features.x": FeatureContract(), "losses.l": needing("x")}
    assert of(features.features(view(parts))) == [(("features", "f0", "use"), None, (("features.f0=null",),), True)]


@pytest.mark.parametrize(
    ("reads", "channels", "path", "changes"),
    [
        ({"mel"}, None, None, ()),
        ({"mel", "f0"}, 513, None, ()),
        ({"mel"}, 80, "bands", (("generator.bands=513",), ("generator.prior=null",))),
        ({"mel"}, 512, "bands", (("generator.bands=513",), ("generator.prior=null",))),
        ({"f0"}, None, "prior", (("generator.prior=null",),)),
        ({"latent"}, None, "prior", (("generator.prior=null",),)),
        (None, None, "prior", (("generator.prior=null",),)),
    ],
)
def test_a_prior_is_for_generators_of_mel_spectrograms_and_as_many_channels_as_frequencies(
    reads, channels, path, changes
):
    generator = GeneratorContract(
        reads=None if reads is None else frozenset(reads),
        channels={} if channels is None else {"mel": channels},
        because={"channels": "bands"},
    )
    seen = view({"generator": generator}, written={"generator": {"use": "generator", "bands": 80, "prior": "x"}})
    assert list(features.prior(seen)) == []
    seen.recipe.single["generator"].prior = "pseudo_inverse"
    assert [(each.path, each.changes) for each in features.prior(seen)] == (
        [] if path is None else [(("generator", path), changes)]
    )


@pytest.mark.parametrize("name", ["mel", "degraded", "latent", "label"])
def test_what_the_toolkit_supplies_is_no_name_of_a_feature(name):
    found = [*features.features(view({f"features.{name}": FeatureContract(), "losses.l": needing(name)}))]
    assert [each.path for each in found if not each.advice] == [("features", name)]


def test_what_is_restored_has_no_signals_of_the_clean_clip():
    reads = GeneratorContract(reads=frozenset({"degraded", "mel", "f0", "latent", "label"}))
    seen = view({"generator": reads, "features.f0": FeatureContract()}, registry=Known())
    found = [*features.features(seen)]
    assert of(found) == [(("generator",), None, (("generator.use=one",), ("generator.use=two",)), False)] * 2
    assert ["'f0'" in found[0].message, "'mel'" in found[1].message] == [True, True]


# growth -----------------------------------------------------------------

GROWS = {"set_progress": lambda self, progress: None}


def grown(phases: list[Phase], *, sizes: dict[str, float | None] | None = None) -> list[Finding]:
    """What is found of a generator and a critic that grow, to 4 unless said otherwise."""
    sizes = {"generator": 4} if sizes is None else sizes
    kinds = {"generator": GeneratorContract, "discriminators": DiscriminatorContract}
    parts = {
        name: kinds[name.partition(".")[0]](grows_to=size, **({"reads": WAVE.reads} if name == "generator" else {}))
        for name, size in sizes.items()
    }
    return [*growth.growth(view(parts, plan=Plan(phases=tuple(phases)), classes=dict.fromkeys(parts, GROWS)))]


def phases(*progress: tuple[float, float] | None) -> list[Phase]:
    return [Phase(1, None, each) for each in progress]


@pytest.mark.parametrize(
    "progress",
    [
        ((0, 4),),
        ((0, 1), (1, 2), (2, 2), (3, 4)),
        ((0, 1), None, (2, 4)),
        ((1, 1), (2, 4)),
        ((4, 4),),
    ],
)
def test_growth_that_goes_on_step_by_step_to_the_end_is_right(progress):
    assert grown(phases(*progress)) == []


@pytest.mark.parametrize(
    ("progress", "number", "first", "last"),
    [
        (((0, 4.5),), 1, "0", "4.5"),
        (((-0.5, 4),), 1, "-0.5", "4"),
        (((0, 2), (3, 2.5)), 2, "3", "2.5"),
        ((None, (0, 5)), 2, "0", "5"),
    ],
)
def test_growth_stays_within_the_sizes_there_are(progress, number, first, last):
    (found,) = grown(phases(*progress))
    assert (found.path, found.against, found.advice) == (("plan", "phases"), ("generator",), False)
    assert f"phase {number}: progress goes from {first} to {last}" in found.message and "4" in found.stands


@pytest.mark.parametrize(
    ("progress", "number", "what"),
    [
        (((0, 2), (1.5, 4)), 2, "falls from 2 to 1.5"),
        (((0, 1), (2.5, 4)), 2, "leaps from 1 to 2.5"),
        (((0, 1), (1, 2), None, (3.25, 4)), 4, "leaps from 2 to 3.25"),
    ],
)
def test_growth_neither_falls_nor_leaps_between_phases(progress, number, what):
    (found,) = grown(phases(*progress))
    assert (found.path, found.against, found.advice) == (("plan", "phases"), None, False)
    assert f"phase {number}: progress " in found.message and what in found.message


def test_growth_that_ends_early_or_is_not_stated_is_advice():
    (early,) = grown(phases((0, 3.5)))
    assert (early.path, early.advice) == (("plan", "phases"), True) and "3.5" in early.message
    (unsaid,) = grown(phases(None))
    assert (unsaid.path, unsaid.advice) == (("generator",), True)


def test_the_generator_is_asked_first_and_every_size_is_kept_to():
    sizes = {"discriminators.d": 3.0, "generator": 4.0}
    (found,) = grown(phases((0, 3.5)), sizes=sizes)
    assert found.against == ("discriminators", "d") and "within 0 and 3" in found.message
    (found,) = grown(phases((0, 5)), sizes=sizes)
    assert found.against == ("generator",)
    (found,) = grown([], sizes=sizes)
    assert found.path == ("generator",) and found.advice


def test_progress_of_what_does_not_grow():
    stated = view({"generator": GeneratorContract(grows_to=4)}, plan=Plan(phases=tuple(phases((0, 9)))))
    (found,) = growth.growth(stated)
    assert (found.path, found.advice) == (("plan", "phases"), False)
    assert not [*growth.growth(view({}, plan=Plan(phases=tuple(phases(None)))))]
    assert not [*growth.growth(view({"generator": GeneratorContract(grows_to=4)}))]
    assert grown(phases((0, 9), (3, 99)), sizes={"generator": None})[0].path == ("plan", "phases"), "it leaps"
    assert grown(phases((0, 9)), sizes={"generator": None}) == [] == grown([], sizes={"generator": None})


# restoration and decoding ----------------------------------------------

RESTORES = GeneratorContract(reads=frozenset({"degraded"}))


@pytest.mark.parametrize(("reads", "idle"), [("mel", False), ("degraded", False), ("latent", True)])
def test_degradations_have_nothing_to_do_where_nothing_is_restored_nor_baselines_where_nothing_is_imitated(reads, idle):
    """A vocoder has baselines: what a mel spectrogram gives without learning, such as Griffin-Lim."""
    parts = {
        "corpus": CorpusContract(),
        "degradation": Contract(),
        "test_degradations.t": Contract(),
        "baselines.b": RESTORES,
        "generator": GeneratorContract(reads=frozenset({reads})),
    }
    found = [*restoration.degraded(view(parts, registry=Known()))]
    swaps = (("generator.use=one",), ("generator.use=two",))
    paths = [] if reads == "degraded" else [("degradation",), ("test_degradations", "t")]
    paths += [("baselines", "b")] if idle else []
    assert of(found) == [
        ((*path, "use"), ("generator", "use"), ((f"{'.'.join(path)}=null",), *swaps), True) for path in paths
    ]


@pytest.mark.parametrize(
    ("gives", "degradation", "told"), [((), True, False), (("degraded",), True, True), (("degraded",), False, False)]
)
def test_a_corpus_of_degraded_recordings_needs_no_degradation(gives, degradation, told):
    parts: dict[str, Any] = {"generator": RESTORES, "corpus": CorpusContract(gives=frozenset(gives))}
    parts |= {"degradation": Contract()} if degradation else {}
    found = of(restoration.degraded(view(parts, registry=Known())))
    changes = (("degradation=null",), ("corpus.use=one",), ("corpus.use=two",))
    assert found == ([(("degradation", "use"), ("corpus", "use"), changes, False)] if told else [])


def test_variants_of_clean_clips_do_not_go_with_degraded_recordings():
    parts = {
        "generator": RESTORES,
        "corpus": CorpusContract(gives=frozenset({"degraded"})),
        "augmentations.a": Contract(),
    }
    changes = (("augmentations.a=null",), ("corpus.use=one",), ("corpus.use=two",))
    assert of(restoration.degraded(view(parts, registry=Known()))) == [
        (("augmentations", "a", "use"), ("corpus", "use"), changes, False)
    ]
    assert not [*restoration.degraded(view(parts | {"corpus": CorpusContract()}))]


@pytest.mark.parametrize(
    ("contract", "learns", "why"),
    [
        (RESTORES, False, None),
        (RESTORES, True, "has weights"),
        (GeneratorContract(reads=frozenset({"mel", "degraded"})), False, "reads degraded, mel"),
        (GeneratorContract(), False, "reads nothing"),
    ],
)
def test_a_baseline_learns_nothing_and_reads_what_the_generator_reads(contract, learns, why):
    parts = {"generator": RESTORES, "baselines.a": RESTORES, "baselines.b": contract}
    classes = {"baselines.a": {"learns": False}, "baselines.b": {"learns": learns}}
    found = [*restoration.baselines(view(parts, classes=classes))]
    assert of(found) == ([(("baselines", "b", "use"), None, (("baselines.b=null",),), False)] if why else [])
    assert all(why in each.message and "reads degraded, as the generator does" in each.message for each in found)


@pytest.mark.parametrize(
    ("reads", "fits"), [({"mel"}, True), ({"mel", "f0"}, True), ({"degraded"}, False), ({"mel", "label"}, False)]
)
def test_a_baseline_of_a_vocoder_reads_some_of_what_the_vocoder_reads(reads, fits):
    parts = {
        "generator": GeneratorContract(reads=frozenset({"mel", "f0"})),
        "baselines.b": GeneratorContract(reads=frozenset(reads)),
    }
    found = [*restoration.baselines(view(parts, classes={"baselines.b": {"learns": False}}))]
    assert len(found) == (not fits)
    assert all("reads f0 or mel, as the generator does" in each.message for each in found)


def test_only_baselines_are_asked_what_a_baseline_is():
    assert not [*restoration.baselines(view({"baselines.x": Contract(), "generator": RESTORES}))]


def test_what_makes_no_sound_cannot_be_validated():
    found = decoding.decodable(view({"representation": RepresentationContract(gives=frozenset({"no_sound"}))}))
    assert of(found) == [(("representation",), None, (), False)]
    assert not [*decoding.decodable(view({"representation": RepresentationContract()}))]
    assert isinstance(decoding.decodable(view({})), Iterator)
