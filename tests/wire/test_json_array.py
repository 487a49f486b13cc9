"""The framer of JSON arrays and its reverse: any split gives the same frames, and nothing is lost.

Law Framing, R12 and row 18 of the fault matrix.
"""

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.wire import Frame, FrameTooLarge, MalformedJSON, encode_comment, encode_sse, json
from arno.wire.json_array import ArrayWriter, JSONArrayDecoder
from tests.wire.streams import bytewise, cut_at

PRETTY = b'[{\r\n  "a": "]}\\"\\\\"\r\n}\r\n,\r\n{"b": [1, {"c": "{["}]}\r\n]\r\n'


def frames(pieces, limit: int = 10_000) -> list[Frame]:
    decoder = JSONArrayDecoder(limit)
    return [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.close()


def test_an_element_is_a_frame_and_so_is_the_end():
    found = frames([PRETTY])
    assert [frame.data for frame in found] == [
        b'{\r\n  "a": "]}\\"\\\\"\r\n}',
        b'{"b": [1, {"c": "{["}]}',
        None,
        None,
    ]
    assert [frame.complete for frame in found] == [True] * 4
    assert b"".join(frame.raw for frame in found) == PRETTY
    assert [frame.raw for frame in found[2:]] == [b"\r\n]", b"\r\n"]


def test_an_element_is_told_as_soon_as_it_ends():
    decoder = JSONArrayDecoder()
    assert decoder.feed(b"[") == []
    assert [frame.data for frame in decoder.feed(b'{"a":1}')] == [b'{"a":1}']
    assert decoder.feed(b"\r\n,\r\n") == []
    assert [frame.data for frame in decoder.feed(b'{"b":2}')] == [b'{"b":2}']


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (b"[]", [None]),
        (b"  [ ] ", [None, None]),
        (b'{"error":{"code":503}}\n', [b'{"error":{"code":503}}', None]),
        (b"\xef\xbb\xbf[{}]", [b"{}", None]),
        (b'[1,"a,]", true ,[[]]]', [b"1", b'"a,]"', b"true", b"[[]]", None]),
        (b"", []),
    ],
)
def test_other_shapes(body, elements):
    assert [frame.data for frame in frames([body])] == elements
    assert frames(bytewise(body)) == frames([body])


@pytest.mark.parametrize("body", [b'[{"a":1}]x', b"[}", b"[:1]", b"]", b'{"a":1}{'])
def test_what_cannot_stand_there_is_refused(body):
    for pieces in ([body], bytewise(body)):
        with pytest.raises(MalformedJSON):
            frames(pieces)


def test_a_refusal_lets_what_was_whole_before_it_pass():
    decoder = JSONArrayDecoder()
    assert [frame.data for frame in decoder.feed(b"[{},}")] == [b"{}"]
    for _ in range(2):
        with pytest.raises(MalformedJSON):
            decoder.feed(b"1")


@pytest.mark.parametrize("end", range(1, len(PRETTY.rstrip())))
def test_a_cut_leaves_an_unfinished_frame_or_none(end):
    """The control is the whole body: nothing of it is unfinished."""
    found = frames([PRETTY[:end]])
    assert b"".join(frame.raw for frame in found) == PRETTY[:end]
    assert all(frame.complete for frame in found[:-1])
    ends_with_element = PRETTY[:end].endswith((b"\r\n}", b"]}")) and end > 20
    assert found[-1].complete is ends_with_element
    assert all(frame.complete for frame in frames([PRETTY]))


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
space = st.sampled_from([b"", b" ", b"\r\n", b"\n\t"])


@given(elements=st.lists(documents, max_size=4), data=st.data())
@settings(max_examples=100)
def test_any_split_gives_the_same_frames(elements, data):
    separated = [data.draw(space) + json.dumps(each) + data.draw(space) for each in elements]
    body = data.draw(space) + b"[" + b",".join(separated) + b"]" + data.draw(space)
    whole = frames([body])
    told = [frame.data for frame in whole if frame.data is not None]
    assert [json.loads(text) for text in told] == json.loads(body)
    assert b"".join(frame.raw for frame in whole) == body
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    assert frames(cut_at(body, cuts)) == whole


brackets = st.lists(st.sampled_from(list(b'[]{},:"\\ 1x')), max_size=60).map(bytes)


@given(
    body=brackets | brackets.map(lambda rest: b"[" + rest) | st.binary(max_size=60), data=st.data()
)
@settings(max_examples=100)
def test_garbage_is_cut_or_refused_alike_however_it_arrives(body, data):
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=5))

    def outcome(pieces):
        decoder = JSONArrayDecoder(limit=40)
        found: list[Frame] = []
        try:
            for piece in pieces:
                found += decoder.feed(piece)
            found += decoder.close()
        except (MalformedJSON, FrameTooLarge) as error:
            return found, type(error)
        return found, None

    assert outcome(cut_at(body, cuts)) == outcome([body])


@pytest.mark.parametrize("size", [1, 64])
def test_a_frame_over_the_limit_is_refused_and_one_at_the_limit_is_not(size):
    element = b'{"a":"' + b"x" * 40 + b'"}'
    body = b"[" + element + b"]"
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert frames(pieces, limit=len(element) + 1)[0].data == element
    with pytest.raises(FrameTooLarge):
        frames(pieces, limit=len(element))


def test_the_work_grows_with_the_bytes_alone():
    def spent(count: int) -> float:
        body = b'[{"a":"' + b"x" * count + b'"}]'
        before = process_time()
        frames([body[at : at + 16] for at in range(0, len(body), 16)], limit=2 * count)
        return process_time() - before

    spent(10_000)
    assert spent(800_000) < 40 * max(spent(100_000), 0.002)


def test_a_closed_decoder_takes_nothing_more():
    decoder = JSONArrayDecoder()
    assert decoder.close() == decoder.close() == []
    with pytest.raises(ValueError, match="closed"):
        decoder.feed(b"[")
    with pytest.raises(ValueError, match="at least one"):
        JSONArrayDecoder(0)


def written(*pieces: bytes) -> bytes:
    writer = ArrayWriter()
    return b"".join(map(writer.feed, pieces)) + writer.close() + writer.close()


def test_events_become_the_elements_of_an_array():
    events = encode_sse(b'{"a":1}'), encode_sse(b'{"b":\n2}'), encode_comment("x")
    assert written(*events) == b'[{"a":1},\r\n{"b":\n2}\r\n]'
    assert written(b"".join(events)) == written(*events)
    assert written() == b"[]"
    assert json.loads(written(encode_comment("x"), b"\r\n", events[0])) == [{"a": 1}]


def test_an_error_event_is_the_last_element_without_its_echo():
    error = b'{"error":{"code":503}}'
    body = written(encode_sse(b"{}"), encode_sse(error) + error + b"\r\n")
    assert json.loads(body) == [{}, json.loads(error)]
    assert [frame.data for frame in frames([body])] == [b"{}", error, None]
