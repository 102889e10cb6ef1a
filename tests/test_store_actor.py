"""Who computes a key and who waits for it: the store actor alone, in one event loop."""

import asyncio
import time
from collections import Counter

from steerheal.actors.store_actor import StoreActor


class Crowd:
    """Clients of a StoreActor in one event loop, each computing what it is told to."""

    def __init__(self, root, **options):
        self.actor = StoreActor(str(root), **options)
        self.computed = Counter()

    async def client(self, name, keys):
        for key in keys:
            ticket = await self.actor.acquire(key, "heal", name)
            if ticket.compute:
                self.computed[key] += 1
                await asyncio.sleep(0)
                result = self.actor.store.put(key, "heal", {"x": key.encode()}, {"key": key}, 0.0)
                await self.actor.done(result)
                ticket = await self.actor.acquire(key, "heal", name)
            assert ticket.result.summary == {"key": key}


def test_a_client_that_shows_no_life_is_replaced(tmp_path):
    async def main():
        crowd = Crowd(tmp_path, lease_seconds=0.2)
        assert (await crowd.actor.acquire("ab", "heal", "dead")).compute
        began = time.monotonic()
        await asyncio.gather(crowd.client("one", ["ab"]), crowd.client("two", ["ab"]))
        return crowd, time.monotonic() - began

    crowd, waited = asyncio.run(main())
    assert crowd.computed["ab"] == 1 and 0.1 < waited < 2


def test_a_client_that_renews_keeps_its_lease(tmp_path):
    async def main():
        actor = StoreActor(str(tmp_path), lease_seconds=0.2)
        await actor.acquire("ab", "heal", "slow")
        waiter = asyncio.create_task(actor.acquire("ab", "heal", "waiter"))
        for _ in range(8):
            await asyncio.sleep(0.05)
            await actor.renew("slow")
            assert not waiter.done()
        await actor.failed("ab", "no")
        return await waiter

    assert asyncio.run(main()).error == "no"


def test_released_keys_go_to_the_next_in_line(tmp_path):
    async def main():
        actor = StoreActor(str(tmp_path))
        await actor.acquire("ab", "heal", "first")
        waiter = asyncio.create_task(actor.acquire("ab", "heal", "second"))
        await asyncio.sleep(0.01)
        await actor.release(["ab"], "stranger")
        await asyncio.sleep(0.01)
        assert not waiter.done()
        await actor.release(["ab"], "first")
        return await waiter

    assert asyncio.run(main()).compute


def test_replicas_share_the_work_and_a_key_stays_where_it_was_sent(tmp_path):
    async def main():
        actor = StoreActor(str(tmp_path))
        assert (await actor.acquire("00", "heal", "early")).actor is None
        await actor.serve({"heal": ["one", "two"], "collect": ["three"]})
        sent = {key: (await actor.acquire(key, "heal", "t")).actor for key in ("aa", "bb", "cc", "dd")}
        assert sorted(sent.values()) == ["one", "one", "two", "two"] and sent["aa"] != sent["bb"]
        assert (await actor.acquire("ee", "collect", "t")).actor == "three"
        await actor.release(list(sent), "t")
        assert {key: (await actor.acquire(key, "heal", "u")).actor for key in sent} == sent
        await actor.serve({"heal": ["two", "four"]})
        await actor.release(list(sent), "u")
        again = {key: (await actor.acquire(key, "heal", "v")).actor for key in sent}
        assert {again[key] for key in sent if sent[key] == "one"} <= {"two", "four"}
        assert {again[key] for key in sent if sent[key] == "two"} == {"two"}

    asyncio.run(main())
