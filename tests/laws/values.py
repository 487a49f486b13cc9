"""Generated requests and answers that a chat wire can carry, for the laws PutGet and Fold.

Left out, because the wire has no place for the difference: empty values (an empty text is no
text, `canon.ext`), the order between reasoning, content, refusal and calls (`chat.turn`), several
texts in one choice, ids of reasoning that are the ids of calls (`chat.signatures`), and the form of
sealed reasoning where its format does not tell it (`chat.reasoning`).
"""

from decimal import Decimal
from itertools import pairwise

import msgspec
from hypothesis import strategies as st

from arno.canon.parts import (
    CacheHint,
    MediaKind,
    MediaPart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
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

texts = st.text(min_size=1, max_size=20)
words = st.text("abcdefgh_-.:/", min_size=1, max_size=12)
ids = st.one_of(st.sampled_from(["weather:0", "functions.add:0", "0", "call 1", "ü"]), texts)
arguments = st.one_of(
    st.sampled_from(["{}", '{"x":1}', '{"x": 1', "[]", "null", '{"x":"{\\"y\\":2}"}', "no JSON"]),
    texts,
)
counts = st.integers(0, 2**40)
costs = st.decimals("0", "1000", allow_nan=False, places=7).map(lambda cost: format(cost, "f"))
documents = st.dictionaries(words, st.integers() | texts, min_size=1, max_size=3)
base64_text = st.binary(min_size=1, max_size=9).map(lambda data: data.hex())


def maybe(values):
    return st.none() | values


reasoning_ids = words.map("rs_".__add__)
formats = st.one_of(st.sampled_from(["google-gemini-v1", "openai-responses-v1"]), words)
reasoning_parts = st.one_of(
    st.builds(
        ReasoningPart,
        text=texts,
        form=st.sampled_from([ReasoningForm.FULL, ReasoningForm.SUMMARY]),
        signature=maybe(texts),
        format=formats,
        id=maybe(reasoning_ids),
    ),
    st.builds(ReasoningPart, text=texts),
    st.builds(ReasoningPart, signature=texts, format=formats),
    st.builds(
        ReasoningPart,
        form=st.just(ReasoningForm.SEALED),
        sealed=texts,
        format=formats,
        id=maybe(reasoning_ids),
    ),
    st.builds(
        ReasoningPart,
        form=st.just(ReasoningForm.REDACTED),
        sealed=texts,
        format=st.just("anthropic-claude-v1"),
    ),
)


def signed(parts):
    """Parts some of which bear a signature with the format that says who reads it."""
    return st.one_of(
        parts,
        st.builds(
            lambda part, signature, format_: msgspec.structs.replace(
                part, signature=signature, format=format_
            ),
            parts,
            texts,
            formats,
        ),
    )


function_calls = st.builds(ToolCallPart, call_id=ids, name=texts, arguments=arguments)
custom_calls = st.builds(
    ToolCallPart, call_id=ids, name=texts, arguments=texts, kind=st.just("custom")
)
calls = st.lists(
    signed(st.one_of(function_calls, custom_calls)), max_size=3, unique_by=lambda part: part.call_id
)
neutral = st.fixed_dictionaries(
    {
        "type": st.just("url_citation"),
        "url_citation": st.fixed_dictionaries(
            {"url": texts}, optional={"title": texts, "start_index": st.integers(0, 9)}
        ),
    }
)
own = documents.map(lambda document: {"type": "@chat", "@chat": document})
annotations = st.lists(st.one_of(neutral, own), max_size=2).map(tuple)
pictures = st.builds(
    MediaPart,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.just("image/png"),
    data=base64_text,
    detail=maybe(words),
)
linked_pictures = st.builds(
    MediaPart, kind=st.just(MediaKind.IMAGE), url=words.map(lambda word: "https://x.test/" + word)
)
sounds = st.builds(MediaPart, kind=st.just(MediaKind.AUDIO), data=base64_text, transcript=texts)


def _within(usage: Usage) -> Usage:
    """Reasoning is a part of the output."""
    if usage.reasoning is None or usage.output is None:
        return usage
    return msgspec.structs.replace(usage, reasoning=min(usage.reasoning, usage.output))


usages = st.builds(
    Usage,
    input=counts,
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
    server_tools=maybe(st.dictionaries(words, counts, max_size=2)),
    cost=maybe(costs),
).map(_within)


def _endings(has_calls: bool) -> st.SearchStrategy[tuple[FinishReason | None, str | None]]:
    """Reason and native reason as the wire can say them together (R4)."""
    reasons = [FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALLS]
    if has_calls:
        return st.tuples(st.sampled_from(reasons), maybe(words))
    known = st.tuples(st.sampled_from([*reasons, FinishReason.STOP]), maybe(words))
    other = st.sampled_from(["language", "network"]).map(lambda word: (FinishReason.OTHER, word))
    return st.one_of(known, other)


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """One choice, its parts in the order that the wire implies."""
    parts: list[Part] = list(draw(st.lists(reasoning_parts, max_size=3)))
    text = draw(maybe(signed(st.builds(TextPart, text=texts, annotations=annotations))))
    refusal = draw(maybe(signed(st.builds(RefusalPart, text=texts))))
    sound = draw(maybe(signed(sounds)))
    asked = draw(calls)
    parts += [part for part in (text, refusal) if part is not None]
    parts += draw(st.lists(signed(st.one_of(pictures, linked_pictures)), max_size=2))
    parts += [part for part in (sound,) if part is not None]
    parts += asked
    reason, native = draw(_endings(bool(asked)))
    return Choice(index=index, parts=tuple(parts), reason=reason, native_reason=native)


@st.composite
def responses(draw: st.DrawFn, most: int = 3) -> Response:
    """One answer with up to `most` choices."""
    number = draw(st.integers(1, most))
    return Response(
        id=draw(maybe(ids)),
        model=draw(maybe(words)),
        served_by=draw(maybe(texts)),
        created=draw(maybe(counts)),
        choices=tuple(draw(choices(index)) for index in range(number)),
        usage=draw(maybe(usages)),
    )


cached_texts = st.builds(TextPart, text=texts, cache=maybe(st.builds(CacheHint, ttl=maybe(words))))
files = st.builds(MediaPart, file_id=words, filename=maybe(texts))
recordings = st.builds(
    MediaPart,
    kind=st.just(MediaKind.AUDIO),
    media_type=st.just("audio/wav"),
    data=base64_text,
)
blocks = st.one_of(cached_texts, pictures, linked_pictures, files, recordings)
contents = st.lists(blocks, max_size=3).map(tuple)
plain = st.builds(
    Message,
    role=st.sampled_from([Role.SYSTEM, Role.DEVELOPER, Role.USER]),
    parts=contents,
    name=maybe(texts),
)
results = st.builds(
    ToolResultPart, call_id=ids, parts=contents, is_error=st.sampled_from([None, True])
).map(lambda part: Message(role=Role.TOOL, parts=(part,)))
assistants = st.builds(
    lambda reasoning, content, refusal, made, asked: Message(
        role=Role.ASSISTANT, parts=(*reasoning, *content, *refusal, *made, *asked)
    ),
    st.lists(reasoning_parts, max_size=2),
    st.lists(signed(cached_texts), max_size=2),
    st.lists(st.builds(RefusalPart, text=texts), max_size=1),
    st.lists(signed(pictures), max_size=1),
    calls,
)


def _are_apart(messages: list[Message]) -> bool:
    """False for calls that another turn of the model follows, which the wire does not allow."""
    return not any(
        first.role is second.role is Role.ASSISTANT
        and any(isinstance(part, ToolCallPart) for part in first.parts)
        for first, second in pairwise(messages)
    )


messages = (
    st.lists(st.one_of(plain, assistants, results), min_size=1, max_size=4)
    .filter(_are_apart)
    .map(tuple)
)

numbers = st.one_of(st.integers(-10, 10), st.decimals("-2", "2", places=3).map(Decimal.normalize))
samplings = st.builds(
    Sampling,
    temperature=maybe(numbers),
    top_p=maybe(numbers),
    top_k=maybe(counts),
    seed=maybe(st.integers(-(2**31), 2**31)),
    logit_bias=maybe(documents),
    logprobs=maybe(st.booleans()),
)
grammars = st.fixed_dictionaries(
    {"type": st.just("grammar"), "syntax": words, "definition": texts}
) | st.just({"type": "text"})
caches = st.builds(CacheHint, ttl=maybe(words))
tools = st.one_of(
    st.builds(
        Tool,
        name=texts,
        description=maybe(texts),
        parameters=maybe(documents),
        strict=maybe(st.booleans()),
        cache=maybe(caches),
    ),
    st.builds(Tool, name=texts, kind=st.just("custom"), format=maybe(grammars)),
)
tool_choices = st.one_of(
    st.builds(
        ToolChoice,
        st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.NONE, ToolChoiceMode.REQUIRED]),
    ),
    st.builds(ToolChoice, st.just(ToolChoiceMode.NAMED), st.tuples(texts)),
    st.builds(
        ToolChoice,
        st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED]),
        st.tuples(texts, texts),
    ),
)
outputs = st.one_of(
    st.builds(Output, kind=st.sampled_from(["text", "json"])),
    st.builds(
        Output,
        kind=st.just("schema"),
        schema=documents,
        name=texts,
        strict=maybe(st.booleans()),
    ),
)
efforts = st.builds(
    Reasoning,
    effort=maybe(words),
    budget=maybe(counts),
    summary=maybe(words),
    exclude=maybe(st.booleans()),
    enabled=maybe(st.booleans()),
)
requests = st.builds(
    Request,
    model=words,
    messages=messages,
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=maybe(tool_choices),
    parallel_tool_calls=maybe(st.booleans()),
    sampling=samplings,
    output=maybe(outputs),
    reasoning=maybe(efforts),
    max_output_tokens=maybe(counts),
    stop=st.lists(texts, max_size=3).map(tuple),
    n=maybe(st.integers(1, 8)),
    stream=st.booleans(),
    include_usage=maybe(st.booleans()),
    user=maybe(texts),
    metadata=maybe(documents),
    service_tier=maybe(words),
    verbosity=maybe(words),
    safety_identifier=maybe(texts),
    cache=maybe(caches),
    cache_key=maybe(texts),
    store=maybe(st.booleans()),
    routing=maybe(st.fixed_dictionaries({"provider": documents})),
)
