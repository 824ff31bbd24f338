"""Papers and what implements them."""

import pytest

import similitude as sim
from similitude.core.citation import PAPERS, Citation, cite, cites


def test_the_list_is_complete():
    assert list(PAPERS) == list(range(1, 22))
    assert len({paper.arxiv for paper in PAPERS.values()}) == 21
    for paper in PAPERS.values():
        year, _, number = paper.arxiv.partition(".")
        assert (len(year), len(number)) == (4, 5)
        assert paper.url == f"https://arxiv.org/abs/{paper.arxiv}"


def test_functions_say_where_they_come_from():
    *others, citation = sim.cite(sim.plan)
    assert ([other.paper.number for other in others], citation.paper.number) == ([1, 13, 7], 17)
    assert str(citation).startswith("Tensor Programs V: ")
    assert "(arXiv 2203.03466), Table" in str(citation)
    assert sim.cite(sim.transfer)[0].paper.number == 17
    assert sim.cite(sim.Verdict) == ()


def test_an_object_may_come_from_several_papers():
    @cites(7, "Section 2")
    @cites(17, "Table 3")
    class Thing:
        pass

    expected = (Citation(PAPERS[17], "Table 3"), Citation(PAPERS[7], "Section 2"))
    assert cite(Thing) == cite(Thing()) == expected
    with pytest.raises(KeyError):
        cites(99, "nowhere")(Thing)
