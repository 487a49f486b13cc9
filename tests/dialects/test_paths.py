"""Model ids in paths: what is one segment, what is refused, in every dialect with such a path."""

import pytest

from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.dialects.paths import segment

GOOD_IDS = {
    "claude-3-7-sonnet@20250219": "claude-3-7-sonnet@20250219",
    "us.amazon.nova-micro-v1:0": "us.amazon.nova-micro-v1%3A0",
    "arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1": (
        "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fmi1"
    ),
    "My_deployment.v1": "My_deployment.v1",
    "a": "a",
}
BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "a/..",
    "a/../b",
    "a/./b",
    "a//b",
    "/a",
    "a/",
    "a?b",
    "a#b",
    "a%2e",
    "a b",
    "a\\b",
    "a;b",
    "..;x",
    "a\n",
    "ä",
    "a\0",
    "-a",
    "a" * 3000,
]


@pytest.mark.parametrize(("model", "found"), GOOD_IDS.items())
def test_an_id_is_one_segment_of_the_path(model, found):
    assert segment(model) == found


@pytest.mark.parametrize("model", BAD_IDS)
def test_an_id_that_could_lead_elsewhere_is_refused(model):
    with pytest.raises(RequestError) as refused:
        segment(model)
    assert refused.value.path == "model"


@pytest.mark.parametrize("dialect", ["gemini", "converse"])
@pytest.mark.parametrize("model", [*BAD_IDS, "tunedModels/..", "models/../x", "models/x?key=1"])
def test_dialects_that_name_the_model_in_their_path_refuse_it_too(dialect, model):
    with pytest.raises(RequestError) as refused:
        DIALECTS[dialect].path(model, stream=False)
    assert refused.value.path == "model"


@pytest.mark.parametrize("model", GOOD_IDS)
def test_an_id_stays_below_the_operation(model):
    """Of a good id a path has neither more steps nor a query; but for names of resources."""
    converse = DIALECTS["converse"].path(model, stream=False)
    gemini = DIALECTS["gemini"].path(model, stream=False)
    assert converse == f"/model/{segment(model)}/converse"
    assert gemini == f"/models/{segment(model)}:generateContent"
