"""Frames of another framing as events."""

from arno.exchange.reframing import AsEvents
from arno.wire import EventStreamBytesDecoder, SSEDecoder, encode_message, json


def message(document, kind="chunk"):
    """One binary message around a document."""
    import base64

    inner = base64.b64encode(json.dumps(document)).decode()
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_message(headers, json.dumps({"bytes": inner, "p": "abc"}))


DOCUMENTS = [{"type": "ping"}, {"type": "text", "text": "a\nb"}, {"no": "type"}]


def test_each_message_is_an_event_of_its_own():
    body = b"".join(map(message, DOCUMENTS))
    framer = AsEvents(EventStreamBytesDecoder())
    frames = [f for byte in body for f in framer.feed(bytes([byte]))] + framer.close()
    written = b"".join(frame.raw for frame in frames)
    read = SSEDecoder().feed(written)
    assert [json.loads(frame.data) for frame in read] == DOCUMENTS
    assert [frame.event for frame in read] == ["ping", "text", ""]
    assert [(f.data, f.event) for f in frames] == [(f.data, f.event) for f in read]


def test_a_name_that_would_forge_a_line_is_left_out():
    [frame] = AsEvents(EventStreamBytesDecoder()).feed(message({"type": "a\ndata: {}\n\nx"}))
    [read] = SSEDecoder().feed(frame.raw)
    assert (read.event, read.data) == ("", frame.data)


def test_what_is_unfinished_stays_unfinished():
    framer = AsEvents(EventStreamBytesDecoder())
    assert framer.feed(message(DOCUMENTS[0])[:-1]) == []
    assert all(not frame.complete for frame in framer.close())
