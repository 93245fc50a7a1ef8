"""Contract checks for users' own search spaces, strategies and rewards.

May import run and what is below it. Each function raises AssertionError with a sentence that says which
promise is broken, and needs no test framework:

    from raynas.testing import check_space, check_strategy

    def test_my_space():
        check_space(MySpace())

    def test_my_strategy():
        check_strategy(lambda seed: MyStrategy(MySpace(), MyConfig(), seed=seed))

raynas's own spaces, strategies and rewards are tested with the same functions. They use assertions, which
`python -O` removes.
"""

from raynas.testing.reward import check_reward
from raynas.testing.space import check_space
from raynas.testing.strategy import check_strategy

__all__ = ["check_reward", "check_space", "check_strategy"]
