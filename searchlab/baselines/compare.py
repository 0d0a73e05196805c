"""Comparison of all rules and policies: fitted on one table, judged on another, at equal cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from searchlab.baselines.policy import Policy, PolicyPoint, policy_point
from searchlab.baselines.rules import POLICY_FAMILIES, RULE_FAMILIES, PolicyFamily, RuleFamily
from searchlab.errors import UserError
from searchlab.exits.evaluate import operating_point, scores_of
from searchlab.exits.frontier import FrontierSettings
from searchlab.exits.table import ExitTable
from searchlab.objective import Objective, macs
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile


@dataclass(frozen=True)
class Judged:
    """A rule or policy with its results on the table that it was fitted to and on the other."""

    by: ExitRule | Policy
    fitted: OperatingPoint | PolicyPoint
    judged: OperatingPoint | PolicyPoint


@dataclass(frozen=True)
class Row:
    """Row of one entry of RULE_FAMILIES or POLICY_FAMILIES. `left_out` is the reason if it could not be evaluated."""

    rule: str
    points: tuple[Judged, ...]
    left_out: str = ""


@dataclass(frozen=True)
class _Comparison:
    """Common inputs of all rules and policies."""

    fit_table: ExitTable
    judge_table: ExitTable
    profile: Profile
    settings: FrontierSettings

    def rules(self, family: RuleFamily) -> tuple[Judged, ...]:
        points = family(self.fit_table, self.profile, self.settings)
        scores = {name: scores_of(self.judge_table, name) for name in {point.rule.score for point in points}}
        correct_NK = self.judge_table.correct_NK
        found = []
        for point in points:
            again = operating_point(correct_NK, scores[point.rule.score], point.rule, self.profile)
            found.append(Judged(point.rule, point, again))
        return tuple(found)

    def policies(self, family: PolicyFamily) -> tuple[Judged, ...]:
        found = family(self.fit_table, self.profile, self.settings)
        tables = (self.fit_table, self.judge_table)
        return tuple(Judged(policy, *(self._point(policy, table) for table in tables)) for policy in found)

    def _point(self, policy: Policy, table: ExitTable) -> PolicyPoint:
        return policy_point(table, policy.leaves_at(table), self.profile, policy.scores, policy.exits)


def compare(
    fit_table: ExitTable,
    judge_table: ExitTable,
    profile: Profile,
    settings: FrontierSettings | None = None,
) -> tuple[Row, ...]:
    """Fit all of RULE_FAMILIES (the exact frontier among them) and POLICY_FAMILIES on one table, judge them on another.

    A family whose decision latency was not measured is omitted; its row gives the reason.

    Raises:
        UserError: the settings name an unknown score, or "gate" where a table has no gates.
    """
    settings = settings or FrontierSettings()
    assert fit_table.exits == judge_table.exits, (fit_table.exits, judge_table.exits)
    for score in settings.scores:
        scores_of(fit_table, score)
    bench = _Comparison(fit_table, judge_table, profile, settings)
    rules = [_row(name, partial(bench.rules, family)) for name, family in RULE_FAMILIES.items()]
    return (*rules, *(_row(name, partial(bench.policies, family)) for name, family in POLICY_FAMILIES.items()))


def _row(rule: str, points: Callable[[], tuple[Judged, ...]]) -> Row:
    try:
        return Row(rule, points())
    except UserError as error:
        return Row(rule, (), left_out=str(error))


def chosen_at(points: Sequence[Judged], limit: float, objective: Objective = macs) -> Judged | None:
    """Returns the most accurate result that costs at most `limit` on the fitted table; of equals the cheapest.

    On the other table it may cost a little more. None if no result is cheap enough, or the cost was not measured.
    """
    costs = [(getattr(point.fitted, objective.name), point) for point in points]
    cheap = [(point.fitted.accuracy, -cost, point) for cost, point in costs if cost is not None and cost <= limit]
    return max(cheap, key=lambda found: found[:2])[2] if cheap else None
