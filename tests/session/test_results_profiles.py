import pytest
from profiled import fake_measure, made_study
from raises import raises_code

import searchlab


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    output = tmp_path_factory.mktemp("results") / "runs"
    return made_study(output)[0], output


def test_results_measure_a_profile_and_show_its_front(made, monkeypatch, capsys):
    store, output = made
    fake = fake_measure(monkeypatch, store)
    results = searchlab.open_study("tiny", output=str(output))
    assert results.profiles == []
    found = results.profile("torch", device="cpu", threads=1, name="there")
    assert fake.measured and results.profiles == ["there"]
    assert found.engine.str.startswith("torch").all()
    assert found.equals(results.front(profile="there")) and not found.equals(results.front())
    assert [trace.name.split(":")[0] for trace in results.plot("study", "there").data] == ["study", "there"]


def test_what_python_is_told_in_its_own_words(made):
    _, output = made
    results = searchlab.open_study("tiny", output=str(output))
    with raises_code("unknown-profile", value="nowhere"):
        results.front(profile="nowhere")
    with raises_code("unknown-parameter", where="profile", value="thread"):
        results.profile("torch", thread=1)
    with raises_code("conflicting-options", where="profile"):
        results.front(profile="there", test=True)
