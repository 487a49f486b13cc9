"""Generated requests and answers that a gemini wire can carry, for the laws PutGet and Fold.

Left out, because the wire has no place for the difference: empty texts and turns, a reasoning count
larger than the output, the same citation twice.
"""

import base64

from hypothesis import strategies as st

from arno.canon.parts import (
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
from tests.laws.values import (
    arguments,
    costs,
    counts,
    documents,
    ids,
    maybe,
    numbers,
    texts,
    words,
)

OWN = "google-gemini-v1"
signatures = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
foreign_formats = st.sampled_from(["anthropic-claude-v1", "openai-responses-v1", "unknown"])

own_thoughts = st.builds(ReasoningPart, text=texts)
signed_thoughts = st.builds(ReasoningPart, text=texts, signature=signatures, format=st.just(OWN))
foreign_thoughts = st.builds(
    ReasoningPart,
    text=texts,
    form=st.sampled_from([ReasoningForm.FULL, ReasoningForm.SUMMARY]),
    signature=maybe(texts),
    id=maybe(ids),
    format=foreign_formats,
)
sealed_thoughts = st.builds(
    ReasoningPart,
    form=st.sampled_from([ReasoningForm.SEALED, ReasoningForm.REDACTED]),
    sealed=texts,
    id=maybe(ids),
    format=foreign_formats | st.just(OWN),
)
thoughts = st.one_of(own_thoughts, signed_thoughts, foreign_thoughts, sealed_thoughts)

calls = st.builds(ToolCallPart, call_id=ids, name=texts, arguments=arguments)
signed_calls = st.builds(
    ToolCallPart,
    call_id=ids,
    name=texts,
    arguments=arguments,
    signature=signatures,
    format=st.just(OWN) | foreign_formats,
)
pictures = st.builds(
    MediaPart,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.just("image/png"),
    data=signatures,
    filename=maybe(texts),
)
linked = st.builds(
    MediaPart,
    kind=st.just(MediaKind.DOCUMENT),
    media_type=st.just("application/pdf"),
    url=words.map(lambda word: "https://x.test/" + word),
)
refusals = st.builds(RefusalPart, text=texts)
signed_texts = st.builds(
    TextPart, text=texts, signature=signatures, format=st.just(OWN) | foreign_formats
)


@st.composite
def cited_texts(draw: st.DrawFn) -> TextPart:
    """A text with citations of different addresses, each of a piece of it or of none."""
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
    annotations = []
    for number in range(draw(st.integers(0, 2))):
        url = f"https://s{number}.test/{draw(words)}"
        source: dict[str, object] = {"url": url, "title": draw(words)}
        if draw(st.booleans()):
            start = draw(st.integers(0, len(text) - 1))
            end = draw(st.integers(start + 1, len(text)))
            source |= {"start_index": start, "end_index": end}
        if draw(st.booleans()):
            source["content"] = draw(words)
        annotations.append({"type": "url_citation", "url_citation": source})
    return TextPart(text=text, annotations=tuple(annotations))


answer_parts = st.one_of(
    cited_texts(), thoughts, calls, signed_calls, pictures, refusals, signed_texts
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Counts whose parts are not larger than their wholes; output is known where reasoning is."""
    sent, made = draw(counts), draw(counts)
    reasoning = draw(maybe(st.integers(0, made)))
    return Usage(
        input=sent,
        output=made if reasoning is not None else draw(st.sampled_from([None, made])),
        cache_read=draw(maybe(counts)),
        cache_write_5m=draw(maybe(counts)),
        cache_write_1h=draw(maybe(counts)),
        reasoning=reasoning,
        audio_input=draw(maybe(counts)),
        audio_output=draw(maybe(counts)),
        image_output=draw(maybe(counts)),
        tool_input=draw(maybe(st.integers(0, sent))),
        tier=draw(maybe(words)),
        server_tools=draw(maybe(st.dictionaries(words, counts, min_size=1, max_size=2))),
        cost=draw(maybe(costs)),
    )


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """One choice; a turn with calls ends for them or is cut short (R4)."""
    parts: list[Part] = draw(st.lists(answer_parts, min_size=1, max_size=5))
    called = any(isinstance(part, ToolCallPart) for part in parts)
    good = FinishReason.TOOL_CALLS if called else FinishReason.STOP
    reason = draw(st.sampled_from([good, FinishReason.LENGTH, FinishReason.CONTENT_FILTER]))
    native = draw(maybe(words))
    return Choice(index=index, parts=tuple(parts), reason=reason, native_reason=native)


@st.composite
def responses(draw: st.DrawFn, most: int = 2) -> Response:
    """One answer with up to `most` choices."""
    return Response(
        id=draw(maybe(ids)),
        model=draw(maybe(words)),
        created=draw(maybe(st.integers(0, 2**33))),
        choices=tuple(draw(choices(index)) for index in range(draw(st.integers(1, most)))),
        usage=draw(maybe(usages())),
    )


plain_texts = st.builds(TextPart, text=texts)
user_parts = st.lists(st.one_of(plain_texts, pictures, linked), min_size=1, max_size=3)
users = st.builds(Message, role=st.just(Role.USER), parts=user_parts.map(tuple))
systems = st.builds(
    Message, role=st.just(Role.SYSTEM), parts=st.tuples(plain_texts) | st.tuples(plain_texts)
)
history_calls = st.builds(
    ToolCallPart,
    call_id=ids,
    name=texts,
    arguments=st.sampled_from(["{}", '{"x":1}', '{"x": "ü"}']),
)
assistants = st.builds(
    lambda thought, parts: Message(role=Role.ASSISTANT, parts=(*thought, *parts)),
    st.lists(signed_thoughts, max_size=1),
    st.lists(st.one_of(plain_texts, history_calls), min_size=1, max_size=3),
)
results = st.one_of(
    st.builds(
        ToolResultPart,
        call_id=ids,
        name=texts,
        parts=st.tuples(plain_texts) | st.tuples(plain_texts, pictures),
        is_error=st.sampled_from([None, True]),
    ),
    st.builds(ToolResultPart, call_id=ids, name=texts, value=documents),
).map(lambda part: Message(role=Role.TOOL, parts=(part,)))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A system prompt, then turns; no two of the model's in a row, which would be one; results
    first, as they are written (R16)."""
    messages = draw(st.lists(systems, max_size=1))
    for _ in range(draw(st.integers(1, 2))):
        said = draw(st.lists(st.one_of(users, results), min_size=1, max_size=3))
        messages += sorted(said, key=lambda message: message.role is not Role.TOOL)
        messages += draw(st.lists(assistants, max_size=1))
    return tuple(messages)


samplings = st.builds(
    Sampling,
    temperature=maybe(numbers),
    top_p=maybe(numbers),
    top_k=maybe(counts),
    seed=maybe(st.integers(-(2**31), 2**31)),
    frequency_penalty=maybe(numbers),
    presence_penalty=maybe(numbers),
    logprobs=maybe(st.just(True)),
    top_logprobs=maybe(st.integers(1, 20)),
    min_p=maybe(numbers),
)
tools = st.builds(Tool, name=texts, description=maybe(texts), parameters=maybe(documents))
tool_choices = st.one_of(
    st.builds(
        ToolChoice,
        st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.NONE, ToolChoiceMode.REQUIRED]),
    ),
    st.builds(ToolChoice, st.just(ToolChoiceMode.NAMED), st.tuples(texts)),
    st.builds(ToolChoice, st.just(ToolChoiceMode.REQUIRED), st.tuples(texts, texts)),
)
outputs = st.one_of(
    st.builds(Output, kind=st.sampled_from(["text", "json"])),
    st.builds(Output, kind=st.just("schema"), schema=documents),
)
efforts = st.one_of(
    st.builds(
        Reasoning,
        effort=st.sampled_from(["minimal", "low", "medium", "high"]),
        exclude=st.booleans(),
    ),
    st.builds(Reasoning, budget=st.integers(1, 2**20), exclude=st.booleans()),
)
requests = st.builds(
    Request,
    model=st.sampled_from(["gemini-3-pro", "gemini-flash-latest"]),
    messages=conversations(),
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=maybe(tool_choices),
    sampling=samplings,
    output=maybe(outputs),
    reasoning=maybe(efforts),
    max_output_tokens=maybe(st.integers(1, 2**31)),
    stop=st.lists(texts, max_size=5).map(tuple),
    n=maybe(st.integers(1, 8)),
    stream=st.booleans(),
    user=maybe(texts),
    service_tier=maybe(st.sampled_from(["flex", "priority", "standard"])),
)
