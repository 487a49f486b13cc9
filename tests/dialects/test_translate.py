"""`arno.translate`: requests, whole answers and streams; what they look like; what is refused."""

from base64 import b64encode

import pytest

import arno
from arno.canon.failure import FailureKind, RequestError
from arno.dialects import DIALECTS
from arno.dialects.translate import Kind, TranslationError, framing_of, guess, translate
from arno.wire import Framing, encode_message, json
from tests.laws.harness import decode, failed, folded
from tests.shared import ROOT

GOLDEN = ROOT / "tests" / "golden" / "chat"
REQUEST = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":7}'
ANSWER = (GOLDEN / "answer_calls.chat.json").read_bytes()
CHUNK = '{{"id":"a","choices":[{{"index":0,"delta":{{"content":"{0}"}},"finish_reason":{1}}}]}}'
TEXT, END = CHUNK.format("Hi", "null"), CHUNK.format("", '"stop"')
STREAM = f"data: {TEXT}\n\ndata: {END}\n\ndata: [DONE]\n\n".encode()


def chat(document, **options):
    return translate(document, source="chat", target="chat", **options)


def test_it_is_the_public_function():
    assert arno.translate is translate
    assert issubclass(arno.TranslationError, arno.LocalError)


def test_a_request():
    done = chat(REQUEST)
    assert (done.kind, done.path, done.losses) == (Kind.REQUEST, "/chat/completions", ())
    assert json.equal(json.loads(done.body), json.loads(REQUEST))


def test_a_request_for_another_model_and_for_a_stream():
    document = json.loads(chat(REQUEST, model="other/m", stream=True).body)
    assert document == json.loads(REQUEST) | {"model": "other/m", "stream": True}


def test_routing_goes_on_to_an_upstream_of_the_same_dialect():
    request = json.loads(REQUEST) | {"provider": {"order": ["north"]}}
    done = chat(json.dumps(request))
    assert json.loads(done.body) == request


def test_an_answer():
    done = chat(ANSWER)
    assert (done.kind, done.path, done.failure) == (Kind.ANSWER, None, None)
    assert json.equal(json.loads(done.body), json.loads(ANSWER))
    assert json.loads(chat(ANSWER, model="other/m").body)["model"] == "other/m"


def test_an_answer_as_a_stream_says_the_same():
    done = chat(ANSWER, stream=True)
    assert done.kind is Kind.STREAM
    whole = DIALECTS["chat"].decode_response(ANSWER)
    streamed = folded(decode(done.body))
    assert [type(part) for part in streamed.choices[0].parts] == [
        type(part) for part in whole.choices[0].parts
    ]
    assert streamed.choices[0].reason == whole.choices[0].reason


def test_a_stream():
    done = chat(STREAM)
    assert (done.kind, done.failure) == (Kind.STREAM, None)
    assert done.body.endswith(b"data: [DONE]\n\n")
    assert folded(decode(done.body)).choices[0].parts[0].text == "Hi"


def test_a_stream_that_was_cut_is_told_as_a_failure():
    done = chat(STREAM[: STREAM.index(b"data", 10)])
    assert done.failure is not None
    assert done.failure.kind is FailureKind.TRUNCATED
    assert failed(decode(done.body))


ERROR = b'{"error":{"code":429,"message":"slow down"}}'


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_an_error_stays_one(stream):
    done = chat(ERROR, stream=stream)
    assert done.failure is not None
    assert done.failure.kind is FailureKind.RATE_LIMIT
    assert b"slow down" in done.body


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (REQUEST, Kind.REQUEST),
        (b'\n {"model":"m","input":"Hi"}', Kind.REQUEST),
        (b'{"contents":[]}', Kind.REQUEST),
        (b'{"modelId":"m","messages":[],"outputConfig":{}}', Kind.REQUEST),
        (ANSWER, Kind.ANSWER),
        (b'{"type":"message","role":"assistant","content":[]}', Kind.ANSWER),
        (b'{"object":"response","output":[]}', Kind.ANSWER),
        (b'{"candidates":[]}', Kind.ANSWER),
        (b'{"output":{"message":{}},"stopReason":"end_turn"}', Kind.ANSWER),
        (ERROR, Kind.ANSWER),
        (STREAM, Kind.STREAM),
        (b"\xef\xbb\xbfevent: message_start\ndata: {}\n\n", Kind.STREAM),
        (b": waiting\n\n", Kind.STREAM),
        (b'[{"candidates":[]}\n,', Kind.STREAM),
        (b"\0\0\0\x90\0\0\0\x50", Kind.STREAM),
    ],
)
def test_what_a_document_looks_like(document, kind):
    assert guess(document) is kind


@pytest.mark.parametrize("document", [b"", b"   ", b"hello", b"<html>", b'{"a":', b"{1}", b"\xff"])
def test_what_is_no_document(document):
    with pytest.raises(TranslationError, match=r"this is (not JSON|neither)"):
        chat(document)


@pytest.mark.parametrize(
    ("body", "framing"),
    [
        (STREAM, Framing.SSE),
        (b" [1]", Framing.JSON_ARRAY),
        (b"\0\0\1", Framing.EVENT_STREAM),
        (b"x", None),
    ],
)
def test_how_a_stream_is_cut(body, framing):
    assert framing_of(body) is framing


@pytest.mark.parametrize(
    "options",
    [{"source": "esperanto", "target": "chat"}, {"source": "chat", "target": "esperanto"}],
)
def test_an_unknown_dialect_is_told_with_the_known_ones(options):
    with pytest.raises(TranslationError, match=r"no dialect 'esperanto' .*chat"):
        translate(REQUEST, **options)


def test_an_unknown_kind():
    with pytest.raises(TranslationError, match="'letter'"):
        chat(REQUEST, kind="letter")


def test_a_request_that_is_none_names_the_field():
    with pytest.raises(RequestError) as caught:
        chat(b'{"model":"m"}')
    assert caught.value.path == "messages"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b'{"type":"message","content":[{"type":"text","text":"Hi"}]}', None),
        (b'{"a":1}', "answer"),
        (b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n', None),
        (b"data: [DONE]\n\n", None),
        (b"\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0", None),
    ],
)
def test_an_answer_of_another_dialect_is_told_as_none_of_this(document, kind):
    with pytest.raises(TranslationError, match="this is no chat"):
        chat(document, kind=kind)


OTHERS = [name for name in DIALECTS if name != "chat"]
THOUGHT = b"""{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
{"type":"thinking","thinking":"Hm.","signature":"c2ln"},
{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":  "Bern"}}],
"stop_reason":"tool_use","usage":{"input_tokens":20,"output_tokens":9}}"""


def wire(document):
    """The other way round for the model, which some dialects name in the path."""
    return {"model": "m"} if b'"model"' not in document else {}


@pytest.mark.parametrize("target", OTHERS)
def test_a_request_goes_to_another_dialect_and_back(target):
    there = translate(REQUEST, source="chat", target=target)
    back = translate(there.body, source=target, target="chat", **wire(there.body))
    document = json.loads(back.body)
    assert document["model"] == "m"
    assert document["messages"] == [{"role": "user", "content": "Hi"}]
    assert ("seed" in document) is (
        there.losses == () or "seed" not in {x.path for x in there.losses}
    )


@pytest.mark.parametrize("target", OTHERS)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_goes_through_another_dialect_as_it_was(target, stream):
    """Text, reasoning with its proof, calls to the byte, reason and usage; whole and streamed."""
    there = translate(THOUGHT, source="messages", target=target, stream=stream)
    assert there.kind is (Kind.STREAM if stream else Kind.ANSWER)
    back = translate(there.body, source=target, target="chat")
    answer = folded(decode(back.body)) if stream else DIALECTS["chat"].decode_response(back.body)
    thought, call = answer.choices[0].parts
    assert (thought.text, thought.signature) == ("Hm.", "c2ln")
    assert (call.call_id, call.name) == ("toolu_1", "weather")
    assert call.arguments == '{"city":  "Bern"}'
    assert answer.choices[0].reason == "tool_calls"
    assert (answer.usage.input, answer.usage.output) == (20, 9)


@pytest.mark.parametrize("target", OTHERS)
def test_a_cut_stream_is_a_failure_in_every_dialect(target):
    cut = f"data: {TEXT}\n\n".encode()
    there = translate(cut, source="chat", target=target)
    assert there.failure is not None
    back = translate(there.body, source=target, target="chat")
    assert back.failure is not None
    assert b"Hi" in back.body
    whole = translate(STREAM, source="chat", target=target)
    assert whole.failure is None


@pytest.mark.parametrize("target", OTHERS)
def test_routing_is_told_as_lost_where_no_gateway_acts_on_it(target):
    request = json.loads(REQUEST) | {"provider": {"order": ["north"]}}
    done = translate(json.dumps(request), source="chat", target=target)
    assert "provider" in {loss.path for loss in done.losses}
    assert b"north" not in done.body


def test_a_request_of_another_dialect_without_a_message():
    with pytest.raises(TranslationError, match="this is no responses request"):
        translate(REQUEST, source="responses", target="messages")


def test_a_request_whose_model_stands_in_the_path_needs_one():
    body = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
    with pytest.raises(RequestError) as caught:
        translate(body, source="gemini", target="chat")
    assert caught.value.path == "model"
    done = translate(body, source="gemini", target="chat", model="m")
    assert json.loads(done.body)["model"] == "m"


def test_a_stream_in_an_array():
    """streamGenerateContent without `alt=sse`."""
    body = b"""[{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]}}]}
,{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}]"""
    done = translate(body, source="gemini", target="chat")
    assert folded(decode(done.body)).choices[0].parts[0].text == "Hi"


def test_a_binary_stream_of_another_wire_s_documents():
    """Anthropic on Bedrock: each message holds one document of the messages dialect."""
    sse = translate(THOUGHT, source="messages", target="messages", stream=True).body
    documents = [line[6:] for line in sse.splitlines() if line.startswith(b"data: ")]
    headers = {":message-type": "event", ":event-type": "chunk"}
    body = b"".join(
        encode_message(headers, json.dumps({"bytes": b64encode(document).decode()}))
        for document in documents
    )
    done = translate(body, source="messages", target="chat")
    assert done.failure is None
    assert folded(decode(done.body)).choices[0].parts[1].name == "weather"
