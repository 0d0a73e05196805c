import optuna
import pytest
from raises import raises_code

from searchlab.search.samplers import check_sampler, sampler_for
from searchlab.user_file import UserFile

OWN = """from optuna.samplers import RandomSampler

class Mine(RandomSampler):
    def sample_independent(self, study, trial, name, kind):
        {sampled}
        return super().sample_independent(study, trial, name, kind)

def sampler(seed):
    {made}
"""


def file(made: str = "return Mine(seed=seed)", sampled: str = "pass") -> tuple[UserFile]:
    return (UserFile("./mine.py", "/away/mine.py", OWN.format(made=made, sampled=sampled)),)


def suggested(files, seed=1, number=0) -> float:
    study = optuna.create_study(sampler=sampler_for("./mine.py", seed, number, files=files))
    return study.ask().suggest_float("rate", 0, 1)


def test_a_sampler_in_a_file_of_ones_own_suggests_by_seed_and_number():
    check_sampler("./mine.py", file())
    assert suggested(file()) == suggested(file())
    assert len({suggested(file()), suggested(file(), number=1), suggested(file(), seed=2)}) == 3


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        ("return 3", raises_code("wrong-return-type", where="/away/mine.py", value="int")),
        ("return Mine", raises_code("wrong-return-type", where="/away/mine.py", value="ABCMeta")),
        (
            "return Mine(sead=seed)",
            raises_code("user-code-raised", where="/away/mine.py:9", mentions=["TypeError", "sead"]),
        ),
    ],
)
def test_a_file_that_makes_no_sampler_is_refused_before_any_trial(made, refused):
    with refused:
        check_sampler("./mine.py", file(made))


def test_a_sampler_that_raises_names_its_line():
    with raises_code("user-code-raised", where="/away/mine.py:5", mentions="ZeroDivisionError"):
        suggested(file(sampled="1 / 0"))
