"""Students in memory: which are kept, and how many."""

import torch

from steerheal.students.adapter import Adapter
from steerheal.students.rows import Student
from steerheal.students.shelf import Shelf, room, size


def shelf_of(students):
    """A shelf with room for so many, each of 4 * 2 * 8 bytes, and what it was made to make."""
    made = []

    def make(history, bands):
        made.append((history, bands))
        return Student(history, Adapter({"s": torch.zeros(1, 8)}, {"s": torch.zeros(8, 1)}, 1.0) if history else None)

    return Shelf(make, 64 * students), made


def test_the_students_used_last_are_kept_within_the_room():
    shelf, made = shelf_of(2)
    first = shelf(("a",))
    assert size(first) == 64 and shelf(("a",), None) is first
    shelf(("b",))
    shelf(("a",))
    shelf(("c",))
    assert made == [(("a",), None), (("b",), None), (("c",), None)]
    assert shelf(("a",)) is first
    shelf(("b",))
    assert made[3:] == [(("b",), None)] and sum(map(size, shelf.kept.values())) == 128


def test_base_takes_no_room_and_the_last_student_always_stays():
    shelf, made = shelf_of(0)
    shelf(())
    student = shelf(("a",))
    assert shelf(("a",)) is student and size(Student(())) == 0


def test_a_band_of_a_student_is_another():
    shelf, made = shelf_of(2)
    assert shelf(("a",), "20-40") is not shelf(("a",)) and len(made) == 2


def test_the_room_is_a_small_share_of_the_memory():
    assert 0 < room(torch.device("cpu")) < 2**40
