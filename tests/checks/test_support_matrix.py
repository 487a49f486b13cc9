"""The support matrix: what its verdicts are, and that a loss without a word is noticed."""

import msgspec
import pytest

from arno.canon.ext import Loss
from arno.canon.parts import TextPart
from arno.canon.request import Message, Reasoning, Request, Role, Sampling
from arno.dialects import DIALECTS
from scripts import support_matrix as matrix

Word = matrix.Word

TEXTS = {"part": "text", "fields": ["text"]}
SEED = {"path": "/sampling/seed"}
BUDGET = matrix.Instead(see=({"path": "/reasoning/budget"},), why="as a budget")


def request(*texts, **fields):
    parts = tuple(TextPart(text=text) for text in texts or ("Hi",))
    return Request(model="m", messages=(Message(Role.USER, parts),), **fields)


def verdict(see, before, after, *losses, instead=None):
    scenario = matrix.Scenario("a feature", (see,), instead)
    return matrix.judged(scenario, before, after, losses)[0]


SEEDED = request(sampling=Sampling(seed=7))
DROPPED = Loss("/sampling/seed", "dropped", "no seeds here")
NEARLY = Loss("/sampling/seed", "approximated", "another seed")


@pytest.mark.parametrize(
    ("see", "before", "after", "losses", "word"),
    [
        (SEED, SEEDED, SEEDED, (), Word.CARRIED),
        (SEED, SEEDED, request(), (DROPPED,), Word.DROPPED),
        (SEED, SEEDED, request(sampling=Sampling(seed=8)), (NEARLY,), Word.APPROXIMATED),
        (SEED, SEEDED, request(), (), Word.SILENT),
        (SEED, SEEDED, request(sampling=Sampling(seed=8)), (), Word.SILENT),
        (TEXTS, request("a", "b"), request("ab"), (), Word.APPROXIMATED),
        (TEXTS, request("a", "b"), request("ba"), (), Word.SILENT),
        (TEXTS, request("a", "b"), request("a"), (), Word.SILENT),
    ],
)
def test_verdicts(see, before, after, losses, word):
    assert verdict(see, before, after, *losses) is word


def test_other_words_for_the_same_count_where_something_stands_there():
    assert verdict(SEED, SEEDED, request(), instead=BUDGET) is Word.SILENT
    after = request(reasoning=Reasoning(budget=5))
    assert verdict(SEED, SEEDED, after, instead=BUDGET) is Word.APPROXIMATED


class Forgetful:
    """A dialect that loses the seed and does not say so."""

    def __init__(self):
        self.chat = DIALECTS["chat"]

    def encode_request(self, value):
        return self.chat.encode_request(msgspec.structs.replace(value, sampling=Sampling()))

    def decode_request(self, body, line):
        return self.chat.decode_request(body, line)


def test_an_encoder_that_keeps_a_loss_to_itself_is_noticed():
    scenario = matrix.Scenario("Seed", (SEED,), request=SEEDED)
    assert matrix.request_verdict(DIALECTS["chat"], scenario) == (Word.CARRIED, "")
    assert matrix.request_verdict(Forgetful(), scenario)[0] is Word.SILENT


def test_a_page_with_such_a_loss_is_not_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(matrix, "PAGE", tmp_path / "matrix.md")
    monkeypatch.setattr(matrix, "page", lambda: ("the page\n", ["Seed, chat: lost"]))
    assert matrix.main(["--write"]) == 1
    assert capsys.readouterr().err == "Seed, chat: lost\n"
    assert not (tmp_path / "matrix.md").exists()
    monkeypatch.setattr(matrix, "page", lambda: ("the page\n", []))
    assert matrix.main(["--write"]) == 0
    assert (tmp_path / "matrix.md").read_text() == "the page\n"
