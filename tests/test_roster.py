"""Trials in line, and the processes that take them."""

import asyncio

from steerheal.actors.roster import Roster


def run(scene):
    """A scene with a roster, within a second."""

    async def played():
        return await asyncio.wait_for(scene(Roster()), 1.0)

    return asyncio.run(played())


async def breath():
    """Whoever can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_trials_are_taken_in_the_order_in_which_they_were_posted():
    async def scene(roster):
        early = asyncio.ensure_future(roster.take("early"))
        await breath()
        for number in (7, 3, 5):
            await roster.post(number, f"settings {number}")
        await breath()
        return [await early, await roster.take("b"), await roster.take("c")]

    assert run(scene) == [(7, "settings 7"), (3, "settings 3"), (5, "settings 5")]


def test_who_asks_again_gets_the_same_and_a_taken_trial_is_not_posted_twice():
    async def scene(roster):
        await roster.post(1, "one")
        first = await roster.take("a")
        await roster.post(1, "one")
        assert not roster.waiting and roster.known == {1}
        return first, await roster.take("a")

    assert run(scene) == ((1, "one"), (1, "one"))


def test_a_trial_whose_taker_died_goes_to_a_process_that_waits():
    async def scene(roster):
        await roster.post(1, "one")
        await roster.take("dead")
        waiting = asyncio.ensure_future(roster.take("waits"))
        await breath()
        assert await roster.leave("dead") == 1 and not waiting.done()
        await roster.post(1, "one again")
        return await waiting

    assert run(scene) == (1, "one again")


def test_who_died_in_line_takes_nothing_with_it():
    async def scene(roster):
        dead = asyncio.ensure_future(roster.take("dead"))
        await breath()
        assert await roster.leave("dead") is None
        await roster.post(1, "one")
        return await dead, await roster.take("alive"), await roster.take("dead")

    assert run(scene) == (None, (1, "one"), None)


def test_what_was_posted_last_counts_and_a_turn_says_twice_what_it_had_taken():
    async def scene(roster):
        await roster.post(3, "stale")
        await roster.post(3, "new")
        taken = await roster.take("a")
        return taken, await roster.leave("a"), await roster.leave("a"), roster.known

    assert run(scene) == ((3, "new"), 3, 3, set())


def test_a_trial_of_a_race_is_taken_again_with_its_new_settings():
    async def scene(roster):
        await roster.post(3, "first heat")
        await roster.take("a")
        await roster.leave("a")
        await roster.post(3, "second heat")
        return await roster.take("b")

    assert run(scene) == (3, "second heat")
