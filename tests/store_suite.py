"""What every backend of the store promises; a backend's test class says where it is and inherits the rest."""

import asyncio
import random
import re
import threading
from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import save

from steerheal import artefact, patience
from steerheal.actors.store_actor import StoreActor
from steerheal.artefact import MANIFEST
from steerheal.errors import ArtefactLost, StoreAway

KEY, OTHER = "ab" * 32, "cd" * 32
WEIGHTS = save({"a": np.arange(12, dtype=np.float32).reshape(3, 4)})
FILES = {"weights.safetensors": WEIGHTS, "curve.json": b"[1]"}


def put(store, key=KEY, files=FILES, summary=None):
    return store.put(key, "heal", files, summary or {"loss": 1.5}, seconds=2.0)


def contents(store, key=KEY, files=FILES):
    return {name: (store.folder(key) / name).read_bytes() for name in files}


class StoreSuite:
    """Tests for one backend. Below, a node is a machine: it shares nothing with another but the backend."""

    def node(self, number=0, patience=0.0):
        """A store as a fresh process on that node opens it."""
        raise NotImplementedError

    def stored(self):
        """Everything that the backend holds for good: name -> bytes."""
        raise NotImplementedError

    def overwrite(self, name, payload):
        """Change what the backend holds behind the store's back; None removes it."""
        raise NotImplementedError

    def fail(self, monkeypatch, store, calls):
        """Make these of the backend's writes (counted from 0) fail, half done."""
        raise NotImplementedError

    def test_what_was_put_is_got_on_every_node(self):
        made = put(self.node(0))
        for number in (0, 1):
            found = self.node(number).get(KEY)
            assert (found.key, found.stage, found.summary, found.seconds) == (KEY, "heal", {"loss": 1.5}, 2.0)
            assert found.hit and not made.hit
            assert contents(self.node(number)) == FILES

    def test_a_summary_is_got_as_json_holds_it(self):
        put(self.node(), summary={"steps": {10: (1, 2), 9: ()}})
        assert self.node(1).get(KEY).summary == {"steps": {"10": [1, 2], "9": []}}

    def test_absent_is_none(self):
        put(self.node(), OTHER)
        assert self.node(1).get(KEY) is None
        with pytest.raises(ArtefactLost) as lost:
            self.node(1).folder(KEY)
        assert lost.value.key == KEY

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_numbers_that_are_none_are_refused_and_found(self, bad, kind, monkeypatch, capsys):
        tensor = np.ones((3, 4), kind)
        tensor[1, 2] = bad
        files = FILES | {"weights.safetensors": save({"a": tensor})}
        for given in ({"files": files}, {"summary": {"loss": bad}}):
            with pytest.raises(ValueError):
                put(self.node(), **given)
        assert not self.stored()
        with monkeypatch.context() as careless:
            careless.setattr(artefact, "_not_finite", lambda name, payload: None)
            put(self.node(), files=files)
        assert self.node(1).get(KEY) is None
        said = capsys.readouterr().out
        assert "a holds NaN or infinite numbers" in said and "computed again" in said and said.count("\n") == 1

    @pytest.mark.parametrize(
        "damage", [lambda b: None, lambda b: b[:-2], lambda b: b"", lambda b: b[:-2] + b"\0" + b[-1:]]
    )
    def test_damage_in_any_file_is_missing_and_computed_again(self, damage, capsys):
        put(self.node(0))
        whole = self.stored()
        assert len(whole) == 3
        for number, (name, payload) in enumerate(whole.items()):
            self.overwrite(name, damage(payload))
            capsys.readouterr()
            reader = self.node(10 + number)
            assert reader.get(KEY) is None
            said = capsys.readouterr().out
            silent = not said and damage(payload) is None
            assert silent or ("computed again" in said and said.count("\n") == 1)
            assert reader.heard() == said.splitlines()
            with pytest.raises(ArtefactLost):
                reader.folder(KEY)
            put(self.node(2))
            assert self.node(20 + number).get(KEY) and contents(self.node(20 + number)) == FILES

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"stage": "heal"}', b"\xff"])
    def test_a_manifest_of_any_kind_is_damage(self, text):
        put(self.node())
        (name,) = [name for name in self.stored() if name.endswith(".json") and "curve" not in name]
        self.overwrite(name, text)
        assert self.node(1).get(KEY) is None

    def test_files_stay_in_the_artefact(self, monkeypatch, tmp_path):
        for name in ("../canary", "/canary", "a/b", "", ".hidden", MANIFEST):
            with pytest.raises(ValueError):
                put(self.node(), files={name: b"x"})
        assert not self.stored()
        with monkeypatch.context() as careless:
            careless.setattr(artefact, "NAME", re.compile(".*"))
            hostile = artefact.describe("heal", {"../../canary": b"x"}, {}, 1.0)
        put(self.node())
        (name,) = [name for name in self.stored() if name.endswith(".json") and "curve" not in name]
        self.overwrite(name, hostile)
        assert self.node(1).get(KEY) is None and not list(tmp_path.rglob("canary"))

    def test_a_put_that_is_cut_leaves_nothing_or_all(self, monkeypatch):
        for cut in range(3):
            with monkeypatch.context() as broken:
                store = self.node(cut)
                self.fail(broken, store, {cut})
                with pytest.raises(StoreAway):
                    put(store)
            assert self.node(10).get(KEY) is None
        put(self.node(0))
        assert contents(self.node(10)) == FILES

    def test_a_put_over_a_whole_artefact_that_is_cut_keeps_it(self, monkeypatch):
        put(self.node(0))
        before = self.stored()
        with monkeypatch.context() as broken:
            store = self.node(1)
            self.fail(broken, store, {0})
            with pytest.raises(StoreAway):
                put(store, files={"weights.safetensors": save({}), "new.json": b"2"})
        assert {name: self.stored()[name] for name in before} == before
        assert contents(self.node(2)) == FILES

    def test_a_store_that_is_away_for_a_while_is_waited_for(self, monkeypatch, capsys):
        pauses = []
        monkeypatch.setattr(patience.time, "sleep", pauses.append)
        store = self.node(0, patience=100)
        self.fail(monkeypatch, store, {0, 1, 4})
        put(store)
        said = store.heard()
        assert all("waiting for it, up to 100 s" in line for line in said[::2]) and len(pauses) == 3
        assert all("back after" in line for line in said[1::2]) and len(said) in (2, 4)
        assert not any("\n" in line or "secret" in line for line in said)
        assert contents(self.node(1)) == FILES

    def test_a_store_that_stays_away_is_an_error_and_not_a_hang(self, monkeypatch):
        store = self.node(0)
        self.fail(monkeypatch, store, set(range(1000)))
        with pytest.raises(StoreAway, match="store: ") as away:
            put(store)
        assert "\n" not in str(away.value) and "secret" not in str(away.value)

    def test_writers_and_readers_of_one_key(self):
        """Each writer's own version is whole, whichever wins; no reader sees a mixture."""
        versions = [{"n": n, "weights": save({"a": np.full(500, n, np.float32)})} for n in range(6)]
        seen, errors, over = [], [], threading.Event()

        def write(version):
            try:
                put(self.node(version["n"]), files={"w.safetensors": version["weights"]}, summary={"n": version["n"]})
            except Exception as error:
                errors.append(error)

        def read():
            while not over.is_set() or not seen:
                store = self.node(random.getrandbits(64))
                if found := store.get(KEY):
                    seen.append((found.summary["n"], (store.folder(KEY) / "w.safetensors").read_bytes()))

        readers = [threading.Thread(target=read) for _ in range(2)]
        writers = [threading.Thread(target=write, args=(version,)) for version in versions]
        for thread in [*readers, *writers]:
            thread.start()
        for thread in writers:
            thread.join()
        over.set()
        for thread in readers:
            thread.join(60)
        assert not errors and seen
        assert all(weights == versions[n]["weights"] for n, weights in seen)

    def test_each_key_is_computed_once_by_ten_clients(self):
        """10 clients of a store actor, 200 keys each in an order of its own: none computed twice, lost or torn."""
        keys = [f"{number:064x}" for number in range(200)]
        computed = Counter()

        async def client(actor, number):
            store = self.node(number % 3)
            for key in random.Random(number).sample(keys, len(keys)):
                ticket = await actor.acquire(key, "heal", f"client {number}")
                if ticket.compute:
                    computed[key] += 1
                    made = await asyncio.to_thread(put, store, key, {"x.json": key.encode()}, {"key": key})
                    await actor.done(made)
                    ticket = await actor.acquire(key, "heal", f"client {number}")
                assert ticket.result.summary == {"key": key}
                assert (store.folder(key) / "x.json").read_text() == key

        async def main():
            actor = StoreActor("unused")
            actor.store = self.node(99)
            await asyncio.gather(*(client(actor, number) for number in range(10)))
            return actor

        actor = asyncio.run(main())
        assert computed == Counter(dict.fromkeys(keys, 1)) and not actor.flights
        assert actor.misses["heal"] == 200
        assert all(self.node(98).get(key) for key in keys)
