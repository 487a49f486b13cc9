"""Generated requests and answers that a responses wire can carry, for the laws PutGet and Fold.

Left out, because the wire has no place for the difference: words on a sealed part of reasoning, the
turns that the assistant's items were split into, a name, a document's kind, empty content.
"""

import msgspec
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
from tests.laws.values import arguments, base64_text, costs, counts, documents, ids, texts, words


def maybe(values):
    return st.none() | values


formats = st.sampled_from(["openai-responses-v1", "anthropic-claude-v1", "google-gemini-v1"])

words_of_reasoning = st.builds(
    ReasoningPart,
    text=texts,
    form=st.sampled_from([ReasoningForm.FULL, ReasoningForm.SUMMARY]),
    signature=maybe(texts),
    format=maybe(formats),
)
artefacts = st.builds(
    ReasoningPart,
    form=st.sampled_from([ReasoningForm.SEALED, ReasoningForm.REDACTED]),
    sealed=texts | st.just('arno:{"sealed":"looks like a tag"}'),
    signature=maybe(texts),
    format=formats,
    id=maybe(words.map("rs_".__add__)),
)
proofs = st.builds(ReasoningPart, signature=texts, format=formats)
reasoning_parts = st.one_of(words_of_reasoning, artefacts, proofs)

citations = st.fixed_dictionaries(
    {"url": texts}, optional={"title": texts, "start_index": counts, "end_index": counts}
).map(lambda inner: {"type": "url_citation", "url_citation": inner})


@st.composite
def signed(draw, parts):
    """A part of another wire, with that wire's proof now and then."""
    part = draw(parts)
    if not draw(st.booleans()):
        return part
    return msgspec.structs.replace(part, signature=draw(texts), format=draw(formats))


text_parts = st.builds(TextPart, text=texts, annotations=st.lists(citations, max_size=2).map(tuple))
refusals = st.builds(RefusalPart, text=texts)
pictures = st.builds(
    MediaPart,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.sampled_from(["image/png", "image/webp"]),
    data=base64_text,
)
functions = st.builds(ToolCallPart, call_id=ids, name=texts, arguments=arguments)
customs = st.builds(ToolCallPart, call_id=ids, name=texts, arguments=texts, kind=st.just("custom"))
calls = st.one_of(functions, customs)

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
    server_tools=maybe(st.dictionaries(words, counts, min_size=1, max_size=2)),
    cost=maybe(costs),
)

answer_parts = st.one_of(
    reasoning_parts, signed(text_parts), signed(refusals), signed(calls), signed(pictures)
)


def has_own_calls(parts: list[Part]) -> bool:
    return any(isinstance(part, ToolCallPart) for part in parts)


@st.composite
def responses(draw) -> Response:
    """One answer; calls have ids of their own, which signatures are found by."""
    parts = draw(
        st.lists(
            answer_parts,
            max_size=6,
            unique_by=lambda part: getattr(part, "call_id", None) or object(),
        )
    )
    reasons = [FinishReason.LENGTH, FinishReason.CONTENT_FILTER]
    reasons.append(FinishReason.TOOL_CALLS if has_own_calls(parts) else FinishReason.STOP)
    choice = Choice(parts=tuple(parts), reason=draw(st.sampled_from(reasons)))
    return Response(
        id=draw(maybe(ids)),
        model=draw(maybe(words)),
        served_by=draw(maybe(texts)),
        created=draw(maybe(counts)),
        choices=(choice,),
        usage=draw(maybe(usages)),
    )


linked = st.builds(
    MediaPart,
    kind=st.just(MediaKind.IMAGE),
    url=words.map(lambda word: "https://x.test/" + word),
    detail=maybe(words),
)
files = st.builds(MediaPart, file_id=words, filename=maybe(texts))
papers = st.builds(
    MediaPart, media_type=st.just("application/pdf"), data=base64_text, filename=texts
)
sounds = st.builds(
    MediaPart,
    kind=st.just(MediaKind.AUDIO),
    media_type=st.just("audio/wav"),
    data=base64_text,
)
given_texts = st.builds(TextPart, text=texts)
contents = st.lists(
    st.one_of(given_texts, pictures, linked, files, papers, sounds), min_size=1, max_size=3
).map(tuple)
spoken = st.builds(
    Message,
    role=st.sampled_from([Role.SYSTEM, Role.DEVELOPER, Role.USER]),
    parts=contents,
)
results = st.builds(
    ToolResultPart, call_id=ids, parts=contents, is_error=st.sampled_from([None, True])
).map(lambda part: Message(role=Role.TOOL, parts=(part,)))
turns = st.lists(
    st.one_of(reasoning_parts, signed(text_parts), signed(refusals), signed(calls)),
    min_size=1,
    max_size=4,
).map(lambda parts: Message(role=Role.ASSISTANT, parts=tuple(parts)))


def parted(messages: list[Message]) -> tuple[Message, ...]:
    """No two turns of the assistant behind each other: on the wire they are one."""
    kept: list[Message] = []
    for message in messages:
        if kept and kept[-1].role is message.role is Role.ASSISTANT:
            continue
        kept.append(message)
    return tuple(kept)


conversations = st.lists(st.one_of(spoken, turns, results), min_size=1, max_size=5).map(parted)

numbers = st.one_of(st.integers(-10, 10), st.decimals("-2", "2", places=3))
samplings = st.builds(
    Sampling,
    temperature=maybe(numbers),
    top_p=maybe(numbers),
    top_k=maybe(counts),
    seed=maybe(st.integers(0, 9)),
    logprobs=st.sampled_from([None, True]),
    top_logprobs=maybe(counts),
)
tools = st.one_of(
    st.builds(
        Tool,
        name=texts,
        description=maybe(texts),
        parameters=maybe(documents),
        strict=st.booleans(),
        deferred=st.booleans(),
    ),
    st.builds(
        Tool,
        name=texts,
        description=maybe(texts),
        kind=st.just("custom"),
        format=maybe(st.just({"type": "text"})),
    ),
)
modes = st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED])
tool_choices = st.one_of(
    st.builds(ToolChoice, st.sampled_from(list(ToolChoiceMode)[:3])),
    st.builds(ToolChoice, st.just(ToolChoiceMode.NAMED), st.tuples(texts)),
    st.builds(ToolChoice, modes, st.tuples(texts, texts)),
)
outputs = st.one_of(
    st.builds(Output, kind=st.sampled_from(["text", "json"])),
    st.builds(
        Output, kind=st.just("schema"), schema=documents, name=texts, strict=maybe(st.booleans())
    ),
)
requests = st.builds(
    Request,
    model=words,
    messages=conversations,
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=maybe(tool_choices),
    parallel_tool_calls=maybe(st.booleans()),
    sampling=samplings,
    output=maybe(outputs),
    reasoning=maybe(st.builds(Reasoning, effort=maybe(words), summary=maybe(words))),
    max_output_tokens=maybe(counts),
    stream=st.booleans(),
    user=maybe(texts),
    metadata=maybe(documents),
    service_tier=maybe(words),
    verbosity=maybe(words),
    safety_identifier=maybe(texts),
    cache_key=maybe(texts),
    store=st.booleans(),
    routing=maybe(st.fixed_dictionaries({"provider": documents})),
)
