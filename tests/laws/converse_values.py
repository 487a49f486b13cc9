"""Generated requests and answers that the converse wire can carry, for the laws PutGet and Fold.

Left out, because the wire has no place for the difference: empty values (an empty text is no text,
`canon.ext`), two texts side by side in one turn of a user (one message or two), and white space
around arguments that are an object (`dialects.arguments`).
"""

from base64 import b64encode

from hypothesis import strategies as st

from arno.canon.ids import is_reversible
from arno.canon.parts import (
    CacheHint,
    MediaKind,
    MediaPart,
    Part,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import (
    Message,
    Output,
    Reasoning,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage
from arno.dialects.converse.artefacts import OWN_FORMAT
from arno.dialects.converse.residue import CALL_IDS
from tests.laws.values import costs, counts, documents, maybe, numbers, texts, words

ids = st.one_of(st.sampled_from(["weather:0", "a_0", "a:0", "0", "ü", "arno-a"]), texts).filter(
    lambda id_: is_reversible(id_, CALL_IDS)
)
arguments = st.one_of(
    st.sampled_from(["{}", '{"x":1}', '{"x": 1}', '{"x": 1', "[]", "null", '{"INVALID_JSON":"a"}']),
    texts.map(str.strip).filter(bool),
)
base64_text = st.binary(min_size=1, max_size=9).map(lambda data: b64encode(data).decode())
formats = st.sampled_from([OWN_FORMAT, "openai-responses-v1", "google-gemini-v1"])
proofs: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {"signature": texts, "format": formats}
)

reasoning_parts = st.one_of(
    st.builds(
        ReasoningPart,
        text=texts,
        form=st.sampled_from([ReasoningForm.FULL, ReasoningForm.SUMMARY]),
        signature=maybe(texts),
        format=formats,
    ),
    st.builds(ReasoningPart, text=texts),
    st.builds(
        ReasoningPart,
        form=st.sampled_from([ReasoningForm.SEALED, ReasoningForm.REDACTED]),
        sealed=texts,
        format=formats,
    ),
)
webs = st.builds(
    lambda url, title, content, start: {
        "type": "url_citation",
        "url_citation": {
            "url": url,
            **({"title": title} if title else {}),
            **({"content": content} if content else {}),
            **({} if start is None else {"start_index": start, "end_index": start + 1}),
        },
    },
    words,
    maybe(texts),
    maybe(texts),
    maybe(counts),
)
told_texts = st.builds(TextPart, text=texts, annotations=st.lists(webs, max_size=2).map(tuple))
calls = st.builds(ToolCallPart, call_id=ids, name=texts, arguments=arguments)
pictures = st.builds(
    MediaPart,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.sampled_from(["image/png", "image/jpeg", "image/webp"]),
    data=base64_text,
)


@st.composite
def signed(draw: st.DrawFn, parts: st.SearchStrategy[Part]) -> Part:
    """A part that is no reasoning, with a signature of another wire or none."""
    part = draw(parts)
    proof = draw(maybe(proofs))
    if proof is None or not isinstance(part, TextPart | ToolCallPart):
        return part
    fields = {name: getattr(part, name) for name in part.__struct_fields__} | proof
    return type(part)(**fields)


shown = st.one_of(reasoning_parts, signed(told_texts), signed(calls), pictures)

usages = st.builds(
    Usage,
    input=maybe(counts),
    output=maybe(counts),
    cache_read=maybe(counts),
    cache_write_5m=maybe(counts),
    cache_write_1h=maybe(counts),
    reasoning=maybe(counts),
    audio_input=maybe(counts),
    audio_output=maybe(counts),
    image_output=maybe(counts),
    tool_input=maybe(counts),
    tier=maybe(words),
    server_tools=maybe(st.dictionaries(words, counts, min_size=1, max_size=2)),
    cost=maybe(costs),
).filter(lambda usage: usage != Usage() and not (usage.tier and _only_tier(usage)))


def _only_tier(usage: Usage) -> bool:
    """The tier stands beside the usage object, which must be there."""
    return Usage(tier=usage.tier) == usage


def endings(has_calls: bool) -> st.SearchStrategy[tuple[FinishReason, str | None]]:
    """Reason and the upstream's own word (R4)."""
    reasons = [FinishReason.LENGTH, FinishReason.CONTENT_FILTER]
    reasons += [FinishReason.TOOL_CALLS] if has_calls else [FinishReason.STOP, FinishReason.OTHER]
    own = st.sampled_from(["end_turn", "stop_sequence", "max_tokens", "guardrail_intervened", "x"])
    return st.tuples(st.sampled_from(reasons), maybe(own))


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """One answer with one choice."""
    parts = tuple(draw(st.lists(shown, max_size=5)))
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    reason, native = draw(endings(has_calls))
    return Response(
        id=draw(maybe(words)),
        model=draw(maybe(words)),
        served_by=draw(maybe(texts)),
        created=draw(maybe(counts)),
        choices=(Choice(parts=parts, reason=reason, native_reason=native),),
        usage=draw(maybe(usages)),
    )


hints = maybe(st.builds(CacheHint, ttl=st.sampled_from([None, "5m", "1h"])))
cached_texts = st.builds(TextPart, text=texts, cache=hints)
stored = st.builds(
    MediaPart,
    kind=st.just(MediaKind.VIDEO),
    media_type=st.sampled_from(["video/mp4", "video/3gpp"]),
    url=words.map(lambda word: f"s3://bucket/{word}"),
)
blocks = st.one_of(cached_texts, pictures, stored)
contents = st.lists(blocks, min_size=1, max_size=3).map(tuple)
plain_texts = st.builds(TextPart, text=texts)
found = st.lists(st.one_of(plain_texts, pictures, stored), max_size=3).map(tuple)
proven = st.builds(ReasoningPart, text=texts, signature=texts, format=st.just(OWN_FORMAT))
sealed = st.builds(
    ReasoningPart, form=st.just(ReasoningForm.REDACTED), sealed=texts, format=st.just(OWN_FORMAT)
)
results = st.builds(
    ToolResultPart,
    call_id=ids,
    parts=found,
    is_error=st.sampled_from([None, True, False]),
    cache=hints,
) | st.builds(ToolResultPart, call_id=ids, value=documents)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A system prompt perhaps, then turns in alternation; results come first in theirs."""
    messages: list[Message] = []
    if draw(st.booleans()):
        prompt = draw(st.lists(cached_texts, min_size=1, max_size=2))
        messages.append(Message(Role.SYSTEM, tuple(prompt)))
    for number in range(draw(st.integers(1, 4))):
        if number % 2:
            parts = draw(st.lists(proven | sealed | cached_texts | calls, min_size=1, max_size=4))
            messages.append(Message(Role.ASSISTANT, tuple(parts)))
            continue
        answers = draw(st.lists(results, max_size=2))
        messages += [Message(Role.TOOL, (result,)) for result in answers]
        if not answers or draw(st.booleans()):
            messages.append(Message(Role.USER, draw(contents)))
    return tuple(messages)


schemas = documents.map(lambda properties: {"type": "object", "properties": properties})
tools = st.builds(
    Tool,
    name=texts,
    description=maybe(texts),
    parameters=schemas,
    strict=maybe(st.booleans()),
    cache=hints,
)
choices = st.one_of(
    st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED]).map(ToolChoice),
    st.builds(ToolChoice, st.just(ToolChoiceMode.NAMED), st.tuples(texts)),
)
efforts = st.one_of(
    st.builds(Reasoning, effort=st.sampled_from(["low", "medium", "high", "xhigh", "max"])),
    st.builds(Reasoning, effort=maybe(st.just("high")), enabled=st.just(True), budget=counts),
    st.builds(Reasoning, effort=maybe(st.just("high")), enabled=st.just(True)),
)
labels = st.dictionaries(words, words, min_size=1, max_size=3)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One request; what the wire has no place for comes from `lossy`."""
    offered = tuple(draw(st.lists(tools, max_size=2)))
    return Request(
        model=draw(words),
        messages=draw(conversations()),
        tools=offered,
        tool_choice=draw(maybe(choices)) if offered else None,
        sampling=Sampling(
            temperature=draw(maybe(st.sampled_from([0, 1]))), top_p=draw(maybe(numbers))
        ),
        output=draw(maybe(st.builds(Output, st.just("schema"), schemas, maybe(texts)))),
        reasoning=draw(maybe(efforts)),
        max_output_tokens=draw(maybe(counts)),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        stream=draw(st.booleans()),
        metadata=draw(maybe(labels)),
        service_tier=draw(maybe(st.sampled_from(["priority", "default", "flex", "reserved"]))),
    )
