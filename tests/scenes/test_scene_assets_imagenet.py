"""Names and numbers of ImageNet's classes."""

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.assets.imagenet import class_ids, class_names, class_synonyms


def test_there_are_a_thousand_in_the_usual_order():
    names = class_names()
    assert len(names) == 1000
    # From the class list that every torchvision and timm model has: first, last, and some between.
    known = {0: "tench", 207: "golden retriever", 340: "zebra", 504: "coffee mug", 999: "toilet tissue"}
    assert {number: names[number] for number in known} == known


def test_every_first_name_finds_its_class():
    for number, name in enumerate(class_names()):
        assert number in class_ids([name])
    assert sum(len(class_ids([name])) > 1 for name in class_names()) == 4  # two cranes, two maillots


def test_every_synonym_finds_a_class_that_bears_it():
    for names in class_synonyms():
        for name in names:
            assert all(name in class_synonyms()[number] for number in class_ids([name]))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["cup", "coffee mug"], (504, 968)),
        (["Coffee Mug"], (504,)),
        (["crane"], (134, 517)),
        (["missile"], (657,)),
        (["cardigan"], (474,)),
        (["Cardigan"], (264,)),
        (["n03063599"], (504,)),
        (["tabby cat", "tabby"], (281,)),
        ([], ()),
    ],
)
def test_names_give_numbers(names, numbers):
    assert class_ids(names) == numbers


def test_a_close_name_is_said():
    with pytest.raises(SceneError, match=r"'cofee mug' is none of the 1,000.*Did you mean 'coffee mug'"):
        class_ids(["cofee mug"])


def test_a_text_is_no_list_of_names():
    with pytest.raises(SceneError, match="Give a list"):
        class_ids("cup")
